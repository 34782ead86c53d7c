"""Splits that keep micrographs of one specimen together."""
