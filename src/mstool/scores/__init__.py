"""Agreement of predicted label maps with the truth."""
