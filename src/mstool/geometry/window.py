"""Where a tile lies in its image."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of whole pixels."""

    row: int  # first row inside [px]
    col: int  # first column inside [px]
    height: int  # [px]
    width: int  # [px]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices that cut the window out of an array."""
        return slice(self.row, self.end_row), slice(self.col, self.end_col)

    @property
    def end_row(self) -> int:
        """First row below the window [px]."""
        return self.row + self.height

    @property
    def end_col(self) -> int:
        """First column right of the window [px]."""
        return self.col + self.width
