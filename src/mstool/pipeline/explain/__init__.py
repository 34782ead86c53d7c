"""Explanations of a network's decisions, and whether they can be believed."""
