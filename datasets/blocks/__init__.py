"""Building blocks that several data sets share."""
