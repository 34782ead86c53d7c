"""Networks: the only part of mstool that imports torch."""
