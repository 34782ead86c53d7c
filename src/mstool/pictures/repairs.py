"""Repairs of the target: how each fares, and what it does to a micrograph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mstool.pictures.class_legend import class_patches, fit_legend, legend_height
from mstool.pictures.colours import BLUE, GREY, ORANGE
from mstool.pictures.overlay import as_rgb, outline
from mstool.pictures.scale_bar import draw_scale_bar


def draw_mitigation(
    repairs: Sequence[Any], chosen: str, source_score: float | None, title: str
) -> Figure:
    """Draw self-consistency of each repair and, where there are labels, its score.

    Parameters
    ----------
    repairs : sequence of object
        With ``name``, ``self_consistency``, ``mean_iou`` and ``interval``; NaN without labels.
    chosen : str
        Name that is marked.
    source_score : float or None
        Mean IoU on the source [1].
    """
    figure = Figure(figsize=(8, 0.45 * len(repairs) + 1.9), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(repairs))
    values = [row.self_consistency for row in repairs]
    axes.plot(values, places, "o", color=BLUE, ms=8, label="agreement with itself, no labels used")
    scores = np.array([row.mean_iou for row in repairs])
    if np.isfinite(scores).any():
        words = "mean IoU with the truth, 95 %"
        axes.plot(scores, places, "D", color=ORANGE, ms=7, label=words)
        axes.hlines(places, *np.array([row.interval for row in repairs]).T, color=ORANGE, lw=1.5)
    if source_score is not None:
        axes.axvline(source_score, color=GREY, lw=1, ls="--", label="mean IoU on the source")
    names = [f"{row.name} (chosen)" if row.name == chosen else row.name for row in repairs]
    axes.set(yticks=places, yticklabels=names, xlabel="mean IoU [1]", xlim=(0, 1.02), title=title)
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)
    return figure


def draw_examples(
    rows: Sequence[Sequence[tuple[str, np.ndarray, np.ndarray | None]]],
    classes: Sequence[str],
    colours: np.ndarray,
    title: str,
    pixel_size_um: float | None,
) -> Figure:
    """Draw micrographs above each other with what is predicted on them.

    Parameters
    ----------
    rows : sequence of sequence of (str, ndarray, ndarray or None)
        Title, image (H, W, C) with grey levels from 0 to 1, and classes (H, W) or None.
    classes : sequence of str
        For the legend; empty without a network.
    """
    n_columns = max(len(row) for row in rows)
    wide, tall = 3.4 * n_columns, 3.5 * len(rows) + 0.8
    legend = fit_legend(class_patches(classes, colours), wide, 10) if classes else None
    if legend:
        tall += legend_height(legend) - 0.2
    figure = Figure(figsize=(wide, tall), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(len(rows), n_columns, squeeze=False)
    for panel_row, row in zip(panels, rows, strict=True):
        for axes in panel_row:
            axes.set_axis_off()
        for axes, (name, image, labels) in zip(panel_row, row, strict=False):
            grey = as_rgb(image)
            axes.imshow(grey if labels is None else outline(grey, labels, colours))
            axes.set_title(name, fontsize=9)
    draw_scale_bar(panels[0, 0], pixel_size_um)
    if legend:
        figure.legend(loc="outside lower center", **legend)
    return figure
