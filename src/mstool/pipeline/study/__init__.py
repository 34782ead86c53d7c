"""A study: its plan as a file, what it needs, and what it will cost."""
