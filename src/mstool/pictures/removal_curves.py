"""Curves of deletion and insertion, and ROAD of every region."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mstool.pictures.colours import SERIES

_GREYS = ("dimgrey", "darkgrey", "black")
_DASHES = ("--", ":", "-.")


def draw_faithfulness(
    curves: Mapping[str, Any],
    road: Mapping[str, Sequence[float]],
    mean_road: Mapping[str, float],
    controls: set[str],
    title: str,
) -> Figure:
    """Draw methods against controls.

    Parameters
    ----------
    curves : mapping of str to object
        With ``shares``, ``deletion`` and ``insertion``, arrays of the same length, by method.
    road : mapping of str to sequence of float
        Score of each region, by method.
    mean_road : mapping of str to float
        Mean over micrographs or groups, by method.
    controls : set of str
        Which names are controls, drawn in grey.
    """
    figure = Figure(figsize=(14, 4.8), layout="constrained")
    figure.suptitle(title)
    deletion, insertion, dots = figure.subplots(1, 3)
    styles = _styles(curves, controls)
    for name, curve in curves.items():
        deletion.plot(curve.shares, curve.deletion, label=name, **styles[name])
        insertion.plot(curve.shares, curve.insertion, label=name, **styles[name])
    deletion.set_title("deletion: the steeper the fall, the better", fontsize=10)
    insertion.set_title("insertion: the steeper the rise, the better", fontsize=10)
    for axes, word in ((deletion, "blurred away"), (insertion, "given back")):
        axes.set(
            xlabel=f"share of the window {word} [1]",
            ylabel="probability of the class [1]",
            ylim=(-0.02, 1.02),
        )
        axes.grid(alpha=0.3)
    insertion.legend(fontsize=7)
    _draw_dots(dots, road, mean_road, styles)
    return figure


def _styles(names: Mapping[str, Any], controls: set[str]) -> dict[str, dict[str, Any]]:
    styles, n_controls, n_methods = {}, 0, 0
    for name in names:
        if name in controls:
            place = n_controls % len(_GREYS)
            styles[name] = {"color": _GREYS[place], "ls": _DASHES[place], "lw": 1.3}
            n_controls += 1
        else:
            styles[name] = {"color": SERIES[n_methods % len(SERIES)], "ls": "-", "lw": 2.0}
            n_methods += 1
    return styles


def _draw_dots(axes, road, mean_road, styles) -> None:
    for place, (name, values) in enumerate(road.items()):
        colour = styles[name]["color"]
        axes.plot(values, np.full(len(values), place), "o", color=colour, alpha=0.5, ms=5)
        axes.plot([mean_road[name]] * 2, [place - 0.3, place + 0.3], color=colour, lw=2.5)
    axes.axvline(0, color="black", lw=0.8)
    axes.set(
        yticks=range(len(road)),
        xlabel="ROAD: least minus most relevant removed, halved [1]",
        title="a dot a region, a line the mean of micrographs",
    )
    axes.set_yticklabels(list(road), fontsize=8)
    axes.title.set_fontsize(10)
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")
