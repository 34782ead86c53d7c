"""Figures to PNG files."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mstool.errors import OutputExistsError, UsageError
from mstool.io.atomic import atomic_path, sweep_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def refuse_picture(flag: str, path: Path | None, overwrite: bool) -> None:
    """See that the file of `flag` can be drawn, and takes the place of nothing.

    Raises
    ------
    UsageError
        If its name does not end in ``.png``.
    OutputExistsError
        If it is there already, and not to be overwritten.
    """
    if path is None:
        return
    if path.suffix.lower() != ".png":
        raise UsageError(f"{flag} {path}: is drawn as PNG; give a name ending in .png")
    sweep_beside(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path}: already there; choose another {flag} or --overwrite")


def save_figure(path: Path, figure: "Figure", dpi: int = 120) -> None:
    """Write a figure as PNG, whole or not at all, and its folder; same figure, same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # 0.2 s that few runs need

    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    with warnings.catch_warnings(), atomic_path(path) as temporary:
        # a file name may have letters that the font lacks; they are drawn as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(temporary, dpi=dpi, metadata={"Software": None})
