"""Micrograph, prediction and error side by side."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from skimage.segmentation import find_boundaries

from mstool.pictures.class_legend import class_patches, fit_legend, legend_height
from mstool.pictures.colours import GREY
from mstool.pictures.scale_bar import draw_scale_bar

_WRONG_WEIGHT = 0.75
_PANEL_IN = 5.2  # width of a panel
_USUAL_LEGEND_IN = 0.5  # height of one for which there is room below


def draw_overlay(
    image: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray | None,
    classes: tuple[str, ...],
    colours: np.ndarray,
    title: str,
    pixel_size_um: float | None,
) -> Figure:
    """Draw a micrograph, the outlines of its prediction and, given the truth, where it is wrong.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, 3)
        Micrograph.
    prediction, truth : ndarray of uint8, shape (H, W)
        Labels. What the truth ignores is striped whatever was predicted there; that, and what the
        prediction leaves without a class, counts neither as right nor as wrong.
    """
    n_panels = 2 if truth is None else 3
    height, width = image.shape[:2]
    painted = paint_panels(image, prediction, truth, colours)
    ignored = np.zeros(prediction.shape, bool) if truth is None else truth == 255
    titles = ["micrograph", "prediction"]
    legends = [{}, _fit_legend(classes, colours, prediction[~ignored], "", ignored.any())]
    if truth is not None:
        wrong, is_scored = find_errors(prediction, truth)
        is_open = (prediction[~ignored] == 255).any()
        titles.append(_errors_in_words(wrong, is_scored, is_open))
        wrongly = "wrong, taken for "
        legends.append(_fit_legend(classes, colours, prediction[wrong], wrongly, ignored.any()))
    below = max([_USUAL_LEGEND_IN, *(legend_height(legend) for legend in legends if legend)])
    tall = _PANEL_IN * height / width + 1.3 - _USUAL_LEGEND_IN + below
    figure = Figure(figsize=(_PANEL_IN * n_panels, tall), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(1, n_panels)
    for axes, picture, words, legend in zip(panels, painted, titles, legends, strict=True):
        axes.imshow(picture)
        axes.set_title(words)
        axes.set(xticks=[], yticks=[], anchor="N")  # at the top, so that all room is for the legend
        if legend:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), **legend)
    draw_scale_bar(panels[0], pixel_size_um)
    return figure


def paint_panels(
    image: np.ndarray, prediction: np.ndarray, truth: np.ndarray | None, colours: np.ndarray
) -> list[np.ndarray]:
    """Micrograph, outlines of its prediction and, given the truth, where it is wrong.

    Each is float RGB from 0 to 1, (H, W, 3); arguments as in `draw_overlay`.
    """
    grey = stretch(image)
    ignored = np.zeros(prediction.shape, bool) if truth is None else truth == 255
    panels = [grey, _stripe(outline(grey, prediction, colours), grey, ignored)]
    if truth is not None:
        faint = 0.35 + 0.6 * grey
        wrong, _ = find_errors(prediction, truth)
        panels.append(_stripe(_paint_errors(faint, prediction, wrong, colours), faint, ignored))
    return panels


def find_errors(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a prediction is wrong, and where it can be: where both have a class, bool (H, W)."""
    is_scored = (truth != 255) & (prediction != 255)
    return is_scored & (truth != prediction), is_scored


def stretch(image: np.ndarray) -> np.ndarray:
    """Grey levels from the 0.5 to the 99.5 percentile as float RGB, 0 to 1, (H, W, 3)."""
    low, high = np.percentile(image, [0.5, 99.5])
    scaled = np.clip((image.astype(np.float32) - low) / ((high - low) or 1), 0, 1)
    return as_rgb(scaled[..., None] if scaled.ndim == 2 else scaled)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Image (H, W, 3), of one of a single channel too."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def outline(grey: np.ndarray, labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Tint an RGB picture by class, lightly, and strongly along the inner edge of each region."""
    tint = colours[labels] / 255
    edges = find_boundaries(labels, mode="inner")
    weight = np.where(edges, 0.95, 0.18)[..., None]
    return grey * (1 - weight) + tint * weight


def _paint_errors(
    faint: np.ndarray, prediction: np.ndarray, wrong: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    painted, tint = faint.copy(), colours[prediction] / 255
    painted[wrong] = (1 - _WRONG_WEIGHT) * painted[wrong] + _WRONG_WEIGHT * tint[wrong]
    return painted


def _stripe(painted: np.ndarray, grey: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Where pixels are ignored, show the micrograph under stripes instead of what was painted."""
    stripes = (np.add.outer(*map(np.arange, ignored.shape)) // 4) % 2 == 0
    return np.where(ignored[..., None], np.where(stripes[..., None], 0.5, grey), painted)


def _errors_in_words(wrong: np.ndarray, is_scored: np.ndarray, is_open: bool) -> str:
    """Share of what `find_errors` gives; `is_open` where the prediction left pixels out."""
    if not is_scored.any():
        return "errors: no pixel has a class in both"
    area = "area with a class" if is_open else "labelled area"
    return f"errors: {wrong.sum() / is_scored.sum():.1%} of the {area}"


def _fit_legend(
    classes: tuple[str, ...],
    colours: np.ndarray,
    labels: np.ndarray,
    prefix: str,
    has_ignored: bool,
) -> dict[str, Any]:
    """Legend of what `labels` hold, for one panel; empty if that is nothing."""
    handles = [
        patch
        for index, patch in enumerate(class_patches(classes, colours, prefix))
        if (labels == index).any()
    ]
    if (labels == 255).any():
        handles.append(Patch(facecolor=colours[255] / 255, edgecolor="black", label="no class"))
    if has_ignored:
        label = "ignored by the labels"
        handles.append(Patch(facecolor="white", edgecolor=GREY, hatch="////", label=label))
    return fit_legend(handles, _PANEL_IN, 9, most_columns=2) if handles else {}
