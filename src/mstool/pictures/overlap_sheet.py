"""Pairs of micrographs that show the same field, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mstool.pictures.colours import YELLOW
from mstool.pictures.overlay import stretch

MOST_ROWS = 12  # pairs on one sheet

Window = tuple[slice, slice]


@dataclass(frozen=True)
class SharedField:
    """Two micrographs, the second laid as the first, and what both show.

    Attributes
    ----------
    micrographs : tuple of ndarray
        First and second, (H, W).
    windows : tuple of (slice, slice)
        Rows and columns of the shared field in each.
    titles : tuple of str
        Of the first, of the second, and of what they share.
    """

    micrographs: tuple[np.ndarray, np.ndarray]
    windows: tuple[Window, Window]
    titles: tuple[str, str, str]


def draw_overlap_sheet(rows: Sequence[SharedField], n_pairs: int) -> Figure:
    """Draw a contact sheet, a pair a row: both micrographs, and what they share from each.

    Parameters
    ----------
    n_pairs : int
        Pairs that were found, of which `rows` are the first.
    """
    height, width = rows[0].micrographs[0].shape
    tall = 3.4 * min(1.3, height / width) + 0.35
    figure = Figure(figsize=(11, tall * len(rows) + 0.5), layout="constrained")
    shown = "" if len(rows) == n_pairs else f"; the first {len(rows)} of {n_pairs}"
    figure.suptitle(f"Micrographs that show the same field{shown}", fontsize=11)
    for part, row in zip(np.atleast_1d(figure.subfigures(len(rows), 1)), rows, strict=True):
        _draw_row(part.subplots(1, 3), row)
    return figure


def _draw_row(places: Sequence[Axes], row: SharedField) -> None:
    pictures = [stretch(micrograph) for micrograph in row.micrographs]
    for axes, picture, (rows, cols) in zip(places, pictures, row.windows, strict=False):
        axes.imshow(picture)
        size = cols.stop - cols.start - 1, rows.stop - rows.start - 1
        box = Rectangle((cols.start, rows.start), *size, fill=False, edgecolor=YELLOW, linewidth=2)
        axes.add_patch(box)
    places[2].imshow(_side_by_side(*(p[w] for p, w in zip(pictures, row.windows, strict=True))))
    for axes, title in zip(places, row.titles, strict=True):
        axes.set_title(title, fontsize=9)
        axes.set(xticks=[], yticks=[])


def _side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Both pieces with a white gap, one below the other where they are wide."""
    height, width = (min(pair) for pair in zip(first.shape[:2], second.shape[:2], strict=True))
    axis = 0 if width > height else 1
    gap = np.ones(
        (max(2, height // 40), width, 3) if axis == 0 else (height, max(2, width // 40), 3)
    )
    return np.concatenate([first[:height, :width], gap, second[:height, :width]], axis=axis)
