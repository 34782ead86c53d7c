"""Regular grids of overlapping tiles that cover an image.

::

    length 10, size 4, overlap 1        |0 1 2 3|
                                              |3 4 5 6|
                                                    |6 7 8 9|
"""

from collections.abc import Iterator

from mstool.errors import UsageError
from mstool.geometry.window import Window


def check_tile_size(size: int, overlap: int) -> None:
    """Refuse a tile size and an overlap that make no grid.

    Raises
    ------
    UsageError
        If ``size < 1`` or not ``0 <= overlap < size``.
    """
    if size < 1:
        raise UsageError(f"--size {size}: a tile has at least 1 pixel")
    if not 0 <= overlap < size:
        raise UsageError(f"--overlap {overlap}: must be at least 0 and less than --size {size}")


def spread_starts(length: int, size: int, overlap: int) -> list[int]:
    """First pixels of tiles spread evenly along one axis of a `length` [px].

    Starts are in increasing order: the first is 0, the last tile ends with the axis. A single 0 if
    the axis is no longer than a tile.

    Examples
    --------
    >>> spread_starts(10, size=4, overlap=1)
    [0, 3, 6]
    """
    check_tile_size(size, overlap)
    return [*_starts(length, size, overlap)]


def plan_windows(height: int, width: int, size: int, overlap: int) -> list[Window]:
    """Windows that cover an image, row by row, all inside it.

    They are `size` x `size`, or as long as the image where that is smaller than a tile.
    """
    return [*each_window(height, width, size, overlap)]


def each_window(height: int, width: int, size: int, overlap: int) -> Iterator[Window]:
    """Windows of `plan_windows` one by one, for sizes that may be absurd."""
    check_tile_size(size, overlap)
    tall, wide = min(size, height), min(size, width)
    for row in _starts(height, size, overlap):
        for col in _starts(width, size, overlap):
            yield Window(row, col, tall, wide)


def _starts(length: int, size: int, overlap: int) -> Iterator[int]:
    if length <= size:
        yield 0
        return
    n_tiles = -(-(length - overlap) // (size - overlap))
    yield from (i * (length - size) // (n_tiles - 1) for i in range(n_tiles))
