"""Fields of view: pieces of micrographs, what the network says of them, and what is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.explanations.field_of_view import Field, select_pixels
from mstool.geometry.window import Window
from mstool.io.images import open_micrograph, read_values
from mstool.io.records import read_record
from mstool.io.tiles import (
    TILES_RECORD,
    read_manifest,
    read_tile_image,
    read_tile_labels,
)
from mstool.labels.legend import Legend
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.device import Compute
from mstool.nn.infer import image_probabilities
from mstool.pipeline.explain.request import RegionChoice
from mstool.pipeline.windows import Candidate, windows_of
from mstool.reporting import Reporter


@dataclass(frozen=True)
class FieldInputs:
    """Where fields come from.

    Attributes
    ----------
    images : tuple of Path
        Micrographs; empty for a tile folder.
    tiles : Path or None
        Tile folder.
    labels : dict of Path to Path
        Label map of each micrograph.
    legend : Legend or None
        Of the label maps.
    pixel_size_um : float or None
        That replaces what files say [um/px].
    """

    images: tuple[Path, ...]
    tiles: Path | None
    labels: dict[Path, Path]
    legend: Legend | None
    pixel_size_um: float | None

    def files(self) -> list[Path]:
        """Every file that decides the result."""
        if self.tiles is not None:
            return [self.tiles / TILES_RECORD, self.tiles / "tiles.jsonl"]
        return [*self.images, *self.labels.values()]


def read_fields(
    inputs: FieldInputs,
    model: LoadedModel,
    class_index: int,
    choice: RegionChoice,
    size: int,
    scale: float,
    compute: Compute,
    report: Reporter,
) -> list[Field]:
    """Read, predict, and find the region in each image.

    Raises
    ------
    InputError
        If images do not fit the model, or the region is in none of them.
    """
    fields = []
    raw = _from_tiles(inputs) if inputs.tiles is not None else _from_images(inputs, size, scale)
    origins = _origins_of_tiles(inputs)
    for name, candidates in raw:
        found = None
        for image, truth, window, pixel_size_um in candidates:
            _check_channels(name, image, model)
            probabilities = image_probabilities(model.segmenter, image, compute)
            region = _find_region(choice, class_index, probabilities, truth, window, name)
            micrograph, group = origins.get(name, (name, name))
            field = Field(
                name,
                micrograph,
                group,
                image,
                truth,
                window,
                pixel_size_um,
                probabilities,
                region,
            )
            if found is None or region.sum() > found.region.sum():
                found = field
        if found is None or not found.region.any():
            report.note(f"{name}: left out, since nothing in it is {choice.kind} of that class")
            continue
        fields.append(found)
    if not fields:
        raise InputError("no image holds the region that --region and --class ask for")
    _note_pixel_size(fields, model, report)
    return fields


def _find_region(
    choice: RegionChoice,
    class_index: int,
    probabilities: np.ndarray,
    truth: np.ndarray | None,
    window: Window,
    name: str,
) -> np.ndarray:
    """Pixels that are asked about, bool (H, W)."""
    if choice.path is not None:
        return _read_mask(choice.path, window, probabilities.shape[1:], name)
    if choice.kind == "errors" and truth is None:
        raise UsageError("--region errors: needs --labels, or tiles with labels")
    return select_pixels(choice.kind, choice.numbers, class_index, probabilities, truth, window)


def _read_mask(path: Path, window: Window, shape: tuple[int, ...], name: str) -> np.ndarray:
    values = read_values(path)
    values = values.any(axis=2) if values.ndim == 3 else values != 0
    if values.shape == shape:
        return values
    if values.shape[0] < window.end_row or values.shape[1] < window.end_col:
        raise InputError(
            f"{path}: is {values.shape[0]} x {values.shape[1]} pixels, {name} is larger; draw the "
            "mask on the micrograph as it is after --scale"
        )
    return values[window.row : window.end_row, window.col : window.end_col]


def _from_images(
    inputs: FieldInputs, size: int, scale: float
) -> Iterator[tuple[str, Iterator[Candidate]]]:
    for path in inputs.images:
        micrograph = open_micrograph(path, inputs.pixel_size_um)
        yield (
            path.name,
            windows_of(micrograph, inputs.labels.get(path), inputs.legend, size, scale),
        )


def _origins_of_tiles(inputs: FieldInputs) -> dict[str, tuple[str, str]]:
    """Micrograph and group of each tile; micrographs are their own."""
    tiles = read_manifest(inputs.tiles) if inputs.tiles is not None else []
    return {tile.id: (tile.source, tile.group) for tile in tiles}


def _from_tiles(inputs: FieldInputs) -> Iterator[tuple[str, Iterator[Candidate]]]:
    folder = inputs.tiles or Path("tiles")
    pixel_size = inputs.pixel_size_um or read_record(folder / TILES_RECORD).get("pixel_size_um")
    for tile in read_manifest(folder):
        values = read_tile_image(folder, tile)[: tile.height, : tile.width]
        image = values[..., None] if values.ndim == 2 else values
        truth = None
        if tile.counts is not None:
            truth = read_tile_labels(folder, tile)[: tile.height, : tile.width]
        window = Window(0, 0, tile.height, tile.width)
        yield tile.id, iter([(image.astype(np.float32), truth, window, pixel_size)])


def _check_channels(name: str, image: np.ndarray, model: LoadedModel) -> None:
    expected = model.checkpoint.spec.n_channels
    if image.shape[2] != expected:
        remedy = "tile it with --grey, and explain the tiles" if expected == 1 else "give colour"
        raise InputError(
            f"{name}: has {image.shape[2]} channels, {model.path} takes {expected}; {remedy}"
        )


def _note_pixel_size(fields: Sequence[Field], model: LoadedModel, report: Reporter) -> None:
    theirs, ours = model.checkpoint.pixel_size_um, fields[0].pixel_size_um
    if theirs and ours and abs(ours / theirs - 1) > 0.02:
        report.note(
            f"{model.path}: was trained at {theirs:.4g} um/px, the images have {ours:.4g}; "
            f"--scale {ours / theirs:.4g} makes them alike"
        )
