"""Crops as a network is shown them in training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mstool.pictures.class_legend import class_patches, fit_legend, legend_height
from mstool.pictures.overlay import as_rgb, outline
from mstool.pictures.scale_bar import draw_scale_bar

_MAGNIFIED = 2.2  # inches a crop


def draw_preview(
    rows: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]],
    names: Sequence[str],
    classes: Sequence[str],
    colours: np.ndarray,
    levels: tuple[float, float],
    title: str,
    pixel_size_um: float | None,
) -> Figure:
    """Draw a contact sheet of augmented crops, a tile a row, with classes tinted and outlined.

    Parameters
    ----------
    rows : sequence of sequence of (ndarray, ndarray)
        Image (H, W, C) in stored values and classes (H, W), 255 ignored; the first of each row as
        it is.
    names : sequence of str
        Of the tiles.
    levels : tuple of float
        Stored values that are shown black and white, the same in all crops.
    """
    n_columns = len(rows[0])
    wide = _MAGNIFIED * n_columns
    legend = fit_legend(class_patches(classes, colours), wide, 9)
    tall = (_MAGNIFIED + 0.2) * len(rows) + 1.1 + legend_height(legend)
    figure = Figure(figsize=(wide, tall), layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(len(rows), n_columns, squeeze=False)
    black, white = levels
    for panel_row, row, name in zip(panels, rows, names, strict=True):
        for number, (axes, (image, labels)) in enumerate(zip(panel_row, row, strict=True)):
            grey = np.clip((image - black) / ((white - black) or 1), 0, 1)
            axes.imshow(outline(as_rgb(grey), labels, colours))
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"{name}, as it is" if number == 0 else f"draw {number}", fontsize=8)
    draw_scale_bar(panels[0, 0], pixel_size_um)
    figure.legend(loc="outside lower center", **legend)
    return figure
