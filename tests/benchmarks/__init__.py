"""How fast reading and segmentation are; `make bench` runs it."""
