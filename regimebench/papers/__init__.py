"""The printed tables of the papers beside ours: how they are printed, and what of them is reproduced."""
