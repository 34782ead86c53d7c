"""How `--rescale-greys` calls the greys of each micrograph; without numpy, for the command line."""

OWN_GREYS = "each"
