"""How two sets of micrographs differ, what that costs, and what repairs it.

What every module takes for granted:

- The sets are `source` and `target`; where they are in one array, the source comes first. Arrays
  have a row for each of N micrographs; there are K classes, U units and B divisions.
- Grey levels are float from 0 to 1 and images (H, W, C); values as in files are called stored.
  Histograms have 256 bins, logarithms of power 32 rings of frequency.
- Labels are uint8 (H, W): class indices, 255 ignored.
- A group is the specimen of a micrograph. Groups, not micrographs or pixels, are what varies.
- `seed` decides all chance of a function; where sets are resampled, they are drawn apart.
- Scores, phase fractions, p and alpha are from 0 to 1, and NaN where undefined. An interval is low
  and high, 95 % if nothing else is said, and NaN where a set has a single unit.
"""
