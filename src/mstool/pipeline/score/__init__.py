"""Masks against label maps: what is found, counted, and written into a record."""
