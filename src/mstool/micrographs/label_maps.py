"""A label map read through a legend."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mstool.errors import InputError, MissingInputError, UsageError
from mstool.geometry.resample import nearest_indices, pick_window
from mstool.geometry.window import Window
from mstool.io.images import open_label_values
from mstool.io.micrograph import Micrograph
from mstool.io.parsing import read_text
from mstool.labels.encode import encode_labels
from mstool.labels.legend import Legend, legend_from_toml, parse_classes

_BAND_PIXELS = 2**22


@dataclass(frozen=True)
class LabelMap:
    """A label map, opened for reading by window.

    Attributes
    ----------
    values : Micrograph
        What the file holds.
    legend : Legend
        What that means.
    """

    values: Micrograph
    legend: Legend

    @property
    def path(self) -> Path:
        """The file."""
        return self.values.path

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.values.height, self.values.width

    def bands(self) -> Iterator[Window]:
        """Windows over its whole width, from the top down, each of a few million pixels."""
        height, width = self.shape
        n_rows = max(1, _BAND_PIXELS // width)
        for row in range(0, height, n_rows):
            yield Window(row, 0, min(n_rows, height - row), width)

    def read(self, window: Window | None = None, scaled_shape: tuple[int, int] | None = None):
        """Class indices of a window, or of all; scaled by taking the nearest pixel.

        Parameters
        ----------
        window : Window, optional
            In the scaled label map.
        scaled_shape : tuple of int, optional
            (H, W) of the scaled label map [px].

        Returns
        -------
        ndarray of uint8, shape (window.height, window.width)
            0..C-1, or 255 for ignored.

        Raises
        ------
        LabelError
            If a value means nothing, naming file and place.
        """
        height, width = scaled_shape or self.shape
        window = window or Window(0, 0, height, width)
        rows = nearest_indices(self.shape[0], height)
        cols = nearest_indices(self.shape[1], width)
        raw = pick_window(self.values.read, window, rows, cols)
        with named(self.path):
            return encode_labels(raw, self.legend, (int(rows[window.row]), int(cols[window.col])))


def choose_legend(legend_path: Path | None, classes: str | None) -> Legend | None:
    """Legend from ``--legend`` or from ``--classes``; None if neither is given.

    Raises
    ------
    UsageError
        If both are given.
    MissingInputError, InputError
        If the file cannot be used.
    """
    if legend_path and classes:
        raise UsageError("--legend and --classes: give one of them")
    if legend_path:
        return read_legend(legend_path)
    return parse_classes(classes) if classes else None


def read_legend(path: Path) -> Legend:
    """Read ``legend.toml``."""
    if not path.is_file():
        raise MissingInputError(f"{path}: no such legend")
    text = read_text(path)
    with named(path):
        return legend_from_toml(text)


def open_label_map(path: Path, legend: Legend) -> LabelMap:
    """Open a label map; indexed colour as the legend speaks of it, by colour or by index."""
    return LabelMap(open_label_values(path, expand_palette=legend.is_colour), legend)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put a file's name in front of errors about its content."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None
