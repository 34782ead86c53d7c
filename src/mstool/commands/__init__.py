"""One file a verb: its flags, its help, its exit."""
