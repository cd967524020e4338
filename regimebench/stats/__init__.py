"""Statistics over seeds: see ``docs/statistics.md``."""
