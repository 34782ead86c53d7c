"""Legends of classes that fit: as many columns as have room, and long names in lines."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Patch

# in font sizes: width of a letter, and of what is beside the words; height of a line
_LETTER, _BESIDE, _LINE = 0.62, 5.2, 1.75
_POINTS = 72  # of an inch


def class_patches(classes: Sequence[str], colours: np.ndarray, prefix: str = "") -> list[Patch]:
    """Handles of a legend of classes."""
    return [
        Patch(facecolor=colours[index] / 255, edgecolor="black", label=prefix + name)
        for index, name in enumerate(classes)
    ]


def fit_legend(
    handles: Sequence[Patch], width_in: float, fontsize: float, most_columns: int | None = None
) -> dict[str, Any]:
    """Arguments of a legend that is about `width_in` [inch] wide at most, of one handle or more."""
    room = width_in * _POINTS / fontsize
    most_letters = max(8, int((room - _BESIDE) / _LETTER))
    labels = [textwrap.fill(handle.get_label(), most_letters) for handle in handles]
    longest = max(len(line) for label in labels for line in label.splitlines())
    n_columns = int(room / (longest * _LETTER + _BESIDE))
    n_columns = max(1, min(n_columns, most_columns or len(handles)))
    return {"handles": handles, "labels": labels, "ncols": n_columns, "fontsize": fontsize}


def legend_height(legend: dict[str, Any]) -> float:
    """Height of a legend that `fit_legend` has made [inch]."""
    n_rows = -(-len(legend["labels"]) // legend["ncols"])
    n_lines = n_rows * max(label.count("\n") + 1 for label in legend["labels"])
    return n_lines * legend["fontsize"] * _LINE / _POINTS
