"""The papers' printed tables beside ours: how they are printed, what of them is reproduced, and files in four formats."""
