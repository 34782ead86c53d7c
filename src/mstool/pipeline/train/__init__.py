"""Fit a segmentation network to tiles."""
