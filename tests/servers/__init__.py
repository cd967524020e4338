"""Servers on the loopback interface that treat a client as the real services do."""
