"""Files to arrays and back; no decisions."""
