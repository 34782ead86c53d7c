"""Figures in files."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mstool.pictures.save import save_figure


def pixels_of(folder: Path, words: str) -> np.ndarray:
    """Picture with the words as title, legend and tick label, as it is saved."""
    figure = Figure(figsize=(4, 4), layout="constrained")
    figure.suptitle(words)
    axes = figure.subplots()
    axes.plot([0, 1], label=words)
    axes.set_yticks([0.5], [words])
    axes.legend()
    save_figure(folder / "a.png", figure)
    return np.asarray(Image.open(folder / "a.png"))


@pytest.mark.parametrize("words", ["50$%_$.tif", "x$^$.tif", "a$b_c$d.tif"])
def test_names_with_dollars_are_shown_as_they_are(tmp_path, words):
    shown = pixels_of(tmp_path, words)
    with mpl.rc_context({"text.parse_math": False}):
        np.testing.assert_array_equal(shown, pixels_of(tmp_path, words))
