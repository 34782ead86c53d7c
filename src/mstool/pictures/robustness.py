"""What simulated changes cost, and how well that can be told without labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mstool.pictures.colours import BLACK, BLUE, ORANGE, SERIES

_COLUMNS = 4
_MARKERS = "osv^D<>pXP*"


def draw_robustness(
    families: Mapping[str, Any], nominal: float, tolerance: float, title: str
) -> Figure:
    """Draw score against dose, one panel a family.

    Parameters
    ----------
    families : mapping of str to object
        With ``curve`` (rows of ``dose``, ``mean_iou``, ``interval``), ``unit`` and
        ``breaking_dose`` by side; NaN where there is none.
    nominal : float
        Score without a change [1].
    tolerance : float
        Loss that counts [1].
    """
    n_rows = max(1, -(-len(families) // _COLUMNS))
    n_columns = min(_COLUMNS, max(1, len(families)))
    figure = Figure(figsize=(max(6.6, 3.3 * n_columns), 2.7 * n_rows + 0.5), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for axes, (name, family) in zip(panels, families.items(), strict=False):
        doses = [row.dose for row in family.curve]
        bounds = np.array([row.interval for row in family.curve])
        axes.fill_between(doses, *bounds.T, color=BLUE, alpha=0.2, lw=0)
        axes.plot(doses, [row.mean_iou for row in family.curve], "o-", color=BLUE, ms=4)
        axes.axhline(nominal - tolerance, color=BLACK, lw=0.8, ls=":")
        for dose in family.breaking_dose.values():
            if np.isfinite(dose):
                axes.axvline(dose, color=ORANGE, lw=1.5, ls="--")
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(family.unit, fontsize=8)
        axes.set_ylim(0, 1.02)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(alpha=0.3)
    for axes in panels[len(families) :]:
        axes.set_visible(False)
    for axes in panels[::n_columns]:
        axes.set_ylabel("mean IoU [1]")
    words = f"band: 95 % over micrographs; dotted: loss of {tolerance:g}; dashed: breaking dose"
    figure.supxlabel(words, fontsize=9)
    return figure


def draw_estimates(calibration: Sequence[Any], estimate: Any, title: str) -> Figure:
    """Draw estimated against true scores of families left out, and the range for the target.

    Parameters
    ----------
    calibration : sequence of object
        With ``family``, ``estimated``, ``true``.
    estimate : object
        With ``mean_iou``, ``low``, ``high``, ``mean_error``, ``is_extrapolated``.
    """
    figure = Figure(figsize=(7.4, 5.2), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(row.family for row in calibration))
    for index, name in enumerate(names):
        rows = [row for row in calibration if row.family == name]
        axes.plot(
            [row.true for row in rows], [row.estimated for row in rows],
            _MARKERS[index % len(_MARKERS)], color=SERIES[index % len(SERIES)], ms=6,
            mfc="none" if index >= len(SERIES) else None, alpha=0.8, label=name,
        )  # fmt: skip
    axes.plot([0, 1], [0, 1], color=BLACK, lw=0.8)
    axes.axhspan(estimate.low, estimate.high, color=ORANGE, alpha=0.2, lw=0)
    words = "the target" + (", extrapolated" if estimate.is_extrapolated else "")
    axes.axhline(estimate.mean_iou, color=ORANGE, lw=1.5, ls="--", label=words)
    axes.set(
        xlabel="true mean IoU under a simulated change [1]",
        ylabel="estimated without labels [1]",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
        aspect="equal",
    )
    error = estimate.mean_error
    axes.set_title(f"{title}\nmean error on kinds of change left out: {error:.2f}", fontsize=11)
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)
    axes.grid(alpha=0.3)
    return figure
