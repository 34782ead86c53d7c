"""Learning curves of all trainings of a cell."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mstool.pictures.colours import SERIES
from mstool.pictures.curves import points_of

_MOST_POINTS = 150  # of a line; more do not show at this size
_DASHES = ("-", "--", ":", "-.")


def draw_trainings(repeats: Mapping[int, Sequence[list[dict[str, Any]]]]) -> Figure:
    """Draw loss and validation score against epochs, a thin line a training.

    Parameters
    ----------
    repeats : mapping of int to sequence of list of dict
        Histories, as for `curves.draw_curves`, by number of the repeat: those of one share colour
        and dashes.
    """
    figure = Figure(figsize=(5, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for number, histories in repeats.items():
        look = {"color": SERIES[number % len(SERIES)], "ls": _DASHES[number % len(_DASHES)]}
        for place, history in enumerate(histories):
            label = f"repeat {number}" if place == 0 and len(repeats) > 1 else None
            upper.plot(*_thinned(history, "train_loss"), lw=1, **look)
            lower.plot(*_thinned(history, "val_mean_iou"), lw=1, marker=".", label=label, **look)
    upper.set(ylabel="training loss [1]")
    lower.set(xlabel="epoch", ylabel="validation mean IoU [1]", ylim=(0, 1))
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(repeats) > 1:
        lower.legend(loc="lower right", fontsize=9)
    for axes in (upper, lower):
        axes.grid(alpha=0.35)
    return figure


def _thinned(history: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    epochs, values = points_of(history, key)
    step = -(-len(epochs) // _MOST_POINTS) or 1
    return epochs[::step], values[::step]
