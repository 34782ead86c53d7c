"""Where tiles lie, and what happens to pixels on the way.

What these modules call by the same name is the same thing, and is described here alone:

height, width : int
    Size of the whole image [px].
size : int
    Tile edge [px].
overlap : int
    Least number of pixels that neighbouring tiles share [px].
window : Window
    Where a tile lies in the image.
n_in, n_out : int
    Pixels along an axis before and after it is resampled.
row_weights, col_weights : csr_array of float32, shape (h, H) and (w, W)
    From `axis_weights`: how an image (H, W) is resampled to (h, w).
read : callable
    ``read(row, col, height, width)`` gives pixels of an image.
blend : {"crop", "flat", "hann", "gaussian"}
    How tiles share pixels. ``crop`` takes each from the one tile in which it lies deepest, and from
    the first of those in which it lies equally deep. The others average: ``flat`` evenly, ``hann``
    and ``gaussian`` (sigma an eighth of the tile) in favour of the middle of a tile.
"""
