"""Label maps read through a legend."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mstool.errors import InputError, LabelError, MissingInputError, UsageError
from mstool.geometry.resample import nearest_indices, pick_window
from mstool.geometry.window import Window
from mstool.io.conversions import without_alpha
from mstool.io.images import Micrograph, open_label_values
from mstool.labels.legend import (
    Legend,
    encode_labels,
    legend_from_toml,
    legend_from_values,
    parse_classes,
)

_BAND_PIXELS = 2**24


def choose_legend(
    legend_path: Path | None, classes: str | None, label_paths: Sequence[Path]
) -> Legend:
    """Legend from ``--legend``, from ``--classes``, or from the values that occur.

    Raises
    ------
    UsageError
        If both are given.
    MissingInputError, InputError
        If the file cannot be used, or the values are not 0..K-1.
    """
    if legend_path and classes:
        raise UsageError("--legend and --classes: give one of them")
    if classes:
        return parse_classes(classes)
    if legend_path:
        return read_legend(legend_path)
    by_path = {path: _distinct_values(path) for path in label_paths}
    with named(max(by_path, key=lambda path: max(by_path[path]))):
        return legend_from_values(set().union(*by_path.values()))


def read_legend(path: Path) -> Legend:
    """Read ``legend.toml``."""
    if not path.is_file():
        raise MissingInputError(f"{path}: no such legend")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    with named(path):
        return legend_from_toml(text)


def open_labels(path: Path, legend: Legend) -> Micrograph:
    """Open a label map for reading by window, in the form that the legend speaks of."""
    return without_alpha(open_label_values(path, expand_palette=legend.is_colour))


def read_label_window(
    labels: Micrograph, legend: Legend, window: Window, scaled_shape: tuple[int, int]
) -> np.ndarray:
    """Class indices of a window, scaled by taking the nearest pixel.

    Returns
    -------
    ndarray of uint8, shape (window.height, window.width)
        0..C-1, or 255 for ignored.
    """
    rows = nearest_indices(labels.height, scaled_shape[0])
    cols = nearest_indices(labels.width, scaled_shape[1])
    raw = pick_window(labels.read, window, rows, cols)
    origin = (int(rows[window.row]), int(cols[window.col]))
    with named(labels.path):
        return encode_labels(raw, legend, origin)


def read_label_map(path: Path, legend: Legend) -> np.ndarray:
    """Class indices of a whole label map: uint8, (H, W), 255 for ignored."""
    labels = open_labels(path, legend)
    with named(path):
        return encode_labels(labels.read(), legend)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put a file's name in front of errors about its content."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None


def _distinct_values(path: Path) -> set[int]:
    labels = without_alpha(open_label_values(path))
    if len(labels.shape) == 3:
        raise LabelError(
            f"{path}: is in colours; name the classes, e.g. --classes 'matrix=*,phase=#0000ff'"
        )
    found: set[int] = set()
    n_rows = max(1, _BAND_PIXELS // labels.width)
    for row in range(0, labels.height, n_rows):
        distinct = np.unique(labels.read(row, 0, min(n_rows, labels.height - row)))
        if (distinct != distinct.astype(np.int64)).any():
            raise LabelError(f"{path}: holds fractions; a label map holds whole numbers")
        found.update(map(int, distinct))
    return found
