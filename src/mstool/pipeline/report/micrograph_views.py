"""Micrographs in a page: grey levels, prediction and errors, small, as JPEG inside it."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import MstoolError
from mstool.io.images import open_micrograph
from mstool.io.micrograph import Micrograph
from mstool.labels.encode import encode_labels
from mstool.labels.legend import legend_from_toml, palette
from mstool.micrographs.label_maps import LabelMap, open_label_map
from mstool.pictures.overlay import paint_panels
from mstool.pictures.scale_bar import nice_length
from mstool.pipeline.mask_pictures import read_reduced
from mstool.pipeline.report.origins import recorded_file
from mstool.scores.frame_border import leave_out_border

_MOST_PIXELS = 480  # a side
_QUALITY = 82


@dataclass(frozen=True)
class View:
    """Pictures of one micrograph.

    Attributes
    ----------
    panels : tuple of str
        Micrograph, prediction and errors, as data URLs.
    width, height : int
        Of each [px].
    bar_share : float or None
        Length of the scale bar as a share of the width; None without a pixel size.
    bar_text : str
        What it says.
    """

    panels: tuple[str, ...]
    width: int
    height: int
    bar_share: float | None
    bar_text: str


def view_micrograph(
    path: Path, record: Mapping[str, Any], image: str
) -> tuple[View | None, list[Path], str]:
    """Pictures of a micrograph of a score record, the files that were read, or why there are none.

    Only files are read that are where the record says and have the hash that it says.
    """
    row = next(row for row in record["per_image"] if row["image"] == image)
    names = row.get("files")
    if names is None:
        return None, [], "the record does not say which files were compared; score again"
    files = [recorded_file(path, record, names[kind]) for kind in ("mask", "labels", "micrograph")]
    if None in files:
        return None, [], "a file is not at hand, or has changed since it was scored"
    try:
        return _draw(record, *files), files, ""
    except (MstoolError, OSError, ValueError, KeyError) as error:
        return None, [], f"the files cannot be shown ({error})"


def class_colours(record: Mapping[str, Any]) -> dict[str, str]:
    """Colour of each class, as ``#rrggbb``, by name."""
    legend = legend_from_toml(record["settings"]["label_legend"])
    return {phase.name: "#{:02x}{:02x}{:02x}".format(*phase.colour) for phase in legend.classes}


def _draw(record: Mapping[str, Any], mask: Path, labels: Path, micrograph: Path) -> View:
    legends = [legend_from_toml(record["settings"][f"{kind}_legend"]) for kind in ("mask", "label")]
    opened = open_micrograph(micrograph)
    step = -(-max(opened.height, opened.width) // _MOST_PIXELS)
    maps = [open_label_map(*each) for each in zip((mask, labels), legends, strict=True)]
    prediction, truth = (_read_labels(one, step) for one in maps)
    grey = read_reduced(opened, step)
    if not grey.shape[:2] == prediction.shape == truth.shape:
        raise ValueError("mask, label map and micrograph are not of one size")
    border = -(-(record["settings"].get("ignore_border") or 0) // step)
    height, width = truth.shape
    truth = leave_out_border(truth, 0, height, border)
    panels = paint_panels(grey, prediction, truth, palette(legends[1]))
    size_um = record["settings"].get("pixel_size") or _stated_size(maps[0].values, opened)
    urls = tuple(_data_url(panel) for panel in panels)
    return View(urls, width, height, *_scale_bar(width * step, size_um))


def _read_labels(label_map: LabelMap, step: int) -> np.ndarray:
    return encode_labels(read_reduced(label_map.values, step), label_map.legend)


def _stated_size(mask: Micrograph, micrograph: Micrograph) -> float | None:
    """Pixel size [um/px] that the mask was made with; that of the file may be a wrong one."""
    return mask.pixel_size_um or micrograph.pixel_size_um


def _scale_bar(width: int, size_um: float | None) -> tuple[float | None, str]:
    """Share of a width [px] that a round length takes, and what it is."""
    if not size_um:
        return None, ""
    length = nice_length(width * size_um)
    return length / (width * size_um), f"{length:g} µm" if length >= 1 else f"{length * 1000:g} nm"


def _data_url(panel: np.ndarray) -> str:
    from PIL import Image

    stream = io.BytesIO()
    pixels = np.rint(panel.clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
