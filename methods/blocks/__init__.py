"""Torch building blocks that several methods share; each module names the paper or code it follows."""
