"""RegimeBench: a reproducible benchmark of clustering methods on reanalysis data."""

__version__ = "0.1.0"
