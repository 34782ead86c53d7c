"""Where a tile lies in its image."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of whole pixels.

    Attributes
    ----------
    row, col : int
        First row and column inside [px].
    height, width : int
        Extent [px].
    """

    row: int
    col: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices that cut the window out of an array."""
        return (
            slice(self.row, self.row + self.height),
            slice(self.col, self.col + self.width),
        )

    @property
    def end_row(self) -> int:
        """First row below the window [px]."""
        return self.row + self.height

    @property
    def end_col(self) -> int:
        """First column right of the window [px]."""
        return self.col + self.width
