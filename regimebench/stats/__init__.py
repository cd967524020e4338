"""Statistics over seeds."""

from regimebench.stats.pairwise import against_reference, mann_whitney, smallest_p

__all__ = ["against_reference", "mann_whitney", "smallest_p"]
