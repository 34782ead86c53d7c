"""How two sets of micrographs differ, what that costs, and what repairs it."""
