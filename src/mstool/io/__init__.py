"""Files to arrays and back; no decisions.

What these modules take for granted:

- A `path` is that of the file in question, and an error names it. What is damaged, or of a kind
  that cannot be used, is an `InputError`; what the system refuses an `OSError`, or in writing an
  `OutputError`. Files are written whole or not at all.
- Windows are given as row, col, height and width [px]; `pixel_size_um` is in um/px, and None where
  it is unknown. `palette` holds the colour of each index: uint8, shape (n, 3).
- `record` is a JSON object, `tile` a line of a manifest, `folder` that which holds them.
"""
