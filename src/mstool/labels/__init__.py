"""Label maps and what their values mean."""
