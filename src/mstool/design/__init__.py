"""What a study consists of: its cells, and the commands that make them."""
