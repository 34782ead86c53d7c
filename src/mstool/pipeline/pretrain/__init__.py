"""Learn encoder weights from tiles without labels."""
