"""Microstructure numbers from label maps."""
