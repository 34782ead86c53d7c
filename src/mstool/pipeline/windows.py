"""Fields of view: windows of micrographs as float images, with their truth."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mstool.errors import InputError
from mstool.geometry.grid import plan_windows
from mstool.geometry.resample import axis_weights, resample_window, scaled_length
from mstool.geometry.window import Window
from mstool.io.images import Micrograph
from mstool.labels.legend import Legend
from mstool.pipeline.label_maps import open_labels, read_label_window

Candidate = tuple[np.ndarray, np.ndarray | None, Window, float | None]


def windows_of(
    micrograph: Micrograph,
    label_path: Path | None,
    legend: Legend | None,
    size: int,
    scale: float,
    most: int | None = None,
) -> Iterator[Candidate]:
    """Read a micrograph window by window.

    Parameters
    ----------
    micrograph : Micrograph
        Opened.
    label_path : Path or None
        Its label map.
    legend : Legend or None
        Of the label map.
    size : int
        Edge of a window [px]; smaller where the micrograph is.
    scale : float
        Magnification, before windows are cut.
    most : int, optional
        Read so many windows at most, spread evenly over the micrograph.

    Yields
    ------
    image : ndarray of float32, shape (h, w, C)
        Stored pixel values.
    truth : ndarray of uint8, shape (h, w), or None
        Class indices, 255 ignored.
    window : Window
        Where it lies in the scaled micrograph.
    pixel_size_um : float or None
        After scaling [um/px].

    Raises
    ------
    InputError
        If the label map is of another size.
    """
    shape = scaled_length(micrograph.height, scale), scaled_length(micrograph.width, scale)
    rows, cols = axis_weights(micrograph.height, shape[0]), axis_weights(micrograph.width, shape[1])
    labels = None
    if label_path is not None and legend is not None:
        labels = open_labels(label_path, legend)
        if (labels.height, labels.width) != (micrograph.height, micrograph.width):
            raise InputError(
                f"{label_path}: is {labels.height} x {labels.width} pixels, its micrograph "
                f"{micrograph.path.name} is {micrograph.height} x {micrograph.width}; save the "
                "label map in the same size"
            )
    pixel_size = None if micrograph.pixel_size_um is None else micrograph.pixel_size_um / scale
    windows = plan_windows(*shape, size, 0)
    if most is not None and len(windows) > most:
        chosen = np.linspace(0, len(windows) - 1, most).round().astype(int)
        windows = [windows[index] for index in chosen]
    for window in windows:
        if scale == 1:
            values = micrograph.read(window.row, window.col, window.height, window.width)
        else:
            values = resample_window(micrograph.read, window, rows, cols)
            values = values if micrograph.dtype.kind == "f" else np.rint(values)
        image = values[..., None] if values.ndim == 2 else values
        truth = None
        if labels is not None and legend is not None:
            truth = read_label_window(labels, legend, window, shape)
        yield image.astype(np.float32), truth, window, pixel_size
