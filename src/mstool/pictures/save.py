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
    """Write a figure as PNG, whole or not at all, and its folder; same figure, same bytes.

    Text is drawn as it is written: names of files and classes may hold ``$``, and are no formulas.
    """
    from matplotlib import rc_context  # 0.2 s that few runs need
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    as_written = rc_context({"text.parse_math": False})  # of ticks, made as they are drawn
    with warnings.catch_warnings(), as_written, atomic_path(path) as temporary:
        # a file name may have letters that the font lacks; they are drawn as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(temporary, dpi=dpi, metadata={"Software": None})
