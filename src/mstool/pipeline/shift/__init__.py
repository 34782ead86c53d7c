"""How far two sets of micrographs are apart, what it costs, and what repairs it."""
