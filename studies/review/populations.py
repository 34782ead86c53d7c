"""Draw a field of each population of the review, with its classes outlined.

usage: populations.py OUT.jpg NAME=FOLDER [NAME=FOLDER ...]

NAME is that of a population, FOLDER one that mstool phantom wrote.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mstool.io.images import open_micrograph
from mstool.labels.legend import legend_from_toml, palette
from mstool.pictures.overlay import class_patches, outline, stretch
from mstool.pictures.scale_bar import draw_scale_bar


def draw(folders):
    """A column a population."""
    figure = Figure(figsize=(3.6 * len(folders), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, folder) in zip(figure.subplots(1, len(folders)), folders.items(), strict=True):
        path = folder / "images" / "phantom_000.tif"
        opened = open_micrograph(path)
        grey = stretch(opened.read())
        labels = np.asarray(Image.open(folder / "labels" / "phantom_000.png"))
        legend = legend_from_toml((folder / "legend.toml").read_text(encoding="utf-8"))
        axes.imshow(outline(grey, labels, palette(legend)))
        draw_scale_bar(axes, opened.pixel_size_um)
        axes.set(title=name, xticks=[], yticks=[])
    patches = class_patches(legend.names, palette(legend))
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False)
    return figure


if __name__ == "__main__":
    given = dict(word.split("=", 1) for word in sys.argv[2:])
    figure = draw({name: Path(folder) for name, folder in given.items()})
    figure.savefig(sys.argv[1], dpi=110, pil_kwargs={"quality": 85})
