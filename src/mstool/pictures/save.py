"""Figures to PNG files."""

import warnings
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mstool.io.atomic import atomic_path


def save_figure(path: Path, figure: Figure, dpi: int = 120) -> None:
    """Write a figure as PNG, whole or not at all; same figure, same bytes."""
    FigureCanvasAgg(figure)
    with warnings.catch_warnings(), atomic_path(path) as temporary:
        # a file name may have letters that the font lacks; they are drawn as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(temporary, dpi=dpi, metadata={"Software": None})
