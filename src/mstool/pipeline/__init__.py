"""One file a verb: files in, files out, resumable; nothing of the terminal."""
