"""What the report shows, one module per view; :mod:`regimebench.report` puts them on a page."""
