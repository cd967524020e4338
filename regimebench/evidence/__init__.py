"""Evidence on whether a cube holds the papers' data: published facts beside ours, one module per kind of fact."""
