"""Pictures of stitched masks."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mstool.errors import InputError, MissingInputError
from mstool.io.images import open_label_values, open_micrograph
from mstool.io.micrograph import Micrograph
from mstool.io.records import read_record, require_keys
from mstool.io.tiles import PREDICT_RECORD, SourceImage, read_sources
from mstool.labels.encode import encode_labels
from mstool.labels.legend import Legend, legend_from_toml, legend_text, palette
from mstool.micrographs.find import Naming, find_micrograph, pair_labels
from mstool.micrographs.label_maps import named, open_label_map
from mstool.micrographs.label_sets import open_label_maps
from mstool.pictures.save import save_figure
from mstool.pipeline.mask_files import mask_name, picture_of_mask
from mstool.reporting import Reporter

# Larger pictures take long to draw and show no more on a screen.
_MOST_PIXELS = 1400


@dataclass(frozen=True)
class OverlayInputs:
    """Where the pictures get micrographs and truth from."""

    images: Path | None = None  # folder with micrographs; None for where the tiles were cut from
    micrographs: dict[str, Path] = field(default_factory=dict)  # in that folder, by their names
    labels: dict[str, Path] = field(default_factory=dict)  # by name of the micrograph
    label_legend: Legend | None = None  # None for that of the model

    def as_record(self) -> dict[str, str | None]:
        """What decides the pictures, beside the files that are read."""
        return {
            "images": None if self.images is None else self.images.as_posix(),
            "label_legend": legend_text(self.label_legend),
        }

    def paths(self) -> list[Path]:
        """Files that are read; micrographs elsewhere are those whose hashes a record knows."""
        return [*self.micrographs.values(), *self.labels.values()]


def write_overlay(
    source: SourceImage, probs: Path, inputs: OverlayInputs, legend: Legend, out: Path
) -> None:
    """Draw one mask of `out` beside its micrograph and, given labels, its errors, unless it is.

    The micrograph is from the record in `probs`; the legend is that of the model.

    Raises
    ------
    MissingInputError
        If the micrograph is not found.
    """
    from mstool.pictures.overlay import draw_overlay  # 0.5 s that masks alone do not need

    picture = picture_of_mask(source.name, out)
    if picture.exists():  # a piece that an interrupted run has finished
        return
    path = inputs.micrographs.get(source.name) or _find(source, probs, None)
    step = -(-max(source.shape) // _MOST_PIXELS)
    truth = None
    if source.name in inputs.labels:
        label_legend = inputs.label_legend or legend
        labels = open_label_map(inputs.labels[source.name], label_legend)
        _check_size(labels.values, source)
        with named(labels.path):
            truth = encode_labels(read_reduced(labels.values, step), label_legend)
    micrograph = open_micrograph(path)
    _check_size(micrograph, source)
    figure = draw_overlay(
        read_reduced(micrograph, step),
        read_reduced(open_label_values(out / mask_name(source.name)), step),
        truth,
        legend.names,
        palette(legend),
        source.name,
        None if source.pixel_size_um is None else source.pixel_size_um * step,
    )
    save_figure(picture, figure)


def _find(source: SourceImage, probs: Path, images: Path | None) -> Path:
    path = find_micrograph(source, probs, images)
    if path is not None:
        return path
    if images is not None:
        raise MissingInputError(
            f"{images / source.name}: no such file; give --images a folder that has it"
        )
    raise MissingInputError(
        f"{source.name}: this micrograph is not where it was, or has changed; give its folder with "
        "--images"
    )


def _check_size(image: Micrograph, source: SourceImage) -> None:
    if (image.height, image.width) != source.shape:
        raise InputError(
            f"{image.path}: is {image.height} x {image.width} pixels, the mask of {source.name} is "
            f"{source.shape[0]} x {source.shape[1]}; give the one that was tiled"
        )


def read_reduced(image: Micrograph, step: int) -> np.ndarray:
    """Every `step`-th pixel of an image, read a band of rows at a time."""
    if step == 1:
        return image.read()
    rows = [image.read(row, 0, 1)[:, ::step] for row in range(0, image.height, step)]
    return np.concatenate(rows)


def find_overlay_inputs(
    probs: Path,
    images: Path | None,
    labels: list[Path] | None,
    naming: Naming,
    legend: Legend | None,
    report: Reporter,
) -> OverlayInputs:
    """Pair what a folder of probabilities names with micrographs and label maps, as flags say."""
    if not labels and images is None:
        return OverlayInputs()
    record = read_record(probs / PREDICT_RECORD, "predict")
    sources = read_sources(probs / PREDICT_RECORD)
    micrographs = {}
    if images is not None:
        micrographs = {name: _find(source, probs, images) for name, source in sources.items()}
    if not labels:
        return OverlayInputs(images, micrographs)
    hashes = {Path(name): source.file_sha256 for name, source in sources.items()}
    pairs = pair_labels(list(hashes), labels, naming, report, micrographs=hashes)
    (text,) = require_keys(record, probs / PREDICT_RECORD, "label_legend")
    with named(probs / PREDICT_RECORD):
        legend_of_training = legend_from_toml(str(text))
    maps = open_label_maps(list(pairs.values()), legend or legend_of_training, report)
    by_name = {name.name: path for name, path in pairs.items()}
    return OverlayInputs(images, micrographs, by_name, maps.legend if legend else None)
