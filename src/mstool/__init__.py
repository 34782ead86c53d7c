"""Segment micrographs, and know how far to trust the result."""
