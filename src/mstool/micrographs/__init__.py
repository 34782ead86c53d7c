"""The one reader of micrographs and label maps: found, paired, checked, and given by window."""
