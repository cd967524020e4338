"""Statistics over seeds."""

from regimebench.stats.pairwise import against_best, smallest_p

__all__ = ["against_best", "smallest_p"]
