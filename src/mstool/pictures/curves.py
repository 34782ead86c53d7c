"""Learning curves."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mstool.pictures.colours import BLUE, ORANGE


def draw_curves(history: list[dict[str, Any]], best_epoch: int | None, title: str) -> Figure:
    """Draw training loss and validation mean IoU against epochs.

    Parameters
    ----------
    history : list of dict
        Rows with ``epoch``, ``train_loss`` (None for no step, or no label) and, where validated,
        ``val_mean_iou``.
    best_epoch : int or None
        Whose weights were kept; None if none was found best.
    """
    figure = Figure(figsize=(7, 6), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subplots(2, 1, sharex=True)
    trained = points_of(history, "train_loss")
    upper.plot(*trained, "-o", ms=3, color=ORANGE)
    upper.set(ylabel="training loss [1]")
    validated = points_of(history, "val_mean_iou")
    lower.plot(*validated, "-o", ms=3, color=BLUE, label="validation, whole micrographs")
    if best_epoch is not None:
        lower.axvline(best_epoch, color="black", ls=":", label=f"weights kept: epoch {best_epoch}")
    lower.set(xlabel="epoch", ylabel="mean IoU [1]", ylim=(0, 1))
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    if validated[0]:
        lower.legend(loc="lower right")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    return figure


def draw_loss(history: list[dict[str, Any]], title: str) -> Figure:
    """Draw training loss against epochs; `history` as for `draw_curves`."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*points_of(history, "train_loss"), "-o", ms=3, color=ORANGE)
    axes.set(title=title, xlabel="epoch", ylabel="loss [1]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    return figure


def points_of(history: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Epochs that have a value, and the values."""
    rows = [row for row in history if row.get(key) is not None]
    return [row["epoch"] for row in rows], [row[key] for row in rows]
