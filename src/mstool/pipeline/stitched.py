"""Probabilities of tiles, as predict wrote them, blended into whole micrographs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import InputError, MissingInputError
from mstool.geometry.bands import stitch_bands
from mstool.geometry.blend import Blend
from mstool.geometry.grid import each_window
from mstool.geometry.resample import resample_bands
from mstool.geometry.window import Window
from mstool.io.records import read_record, require_keys
from mstool.io.tiles import (
    MANIFEST,
    PREDICT_RECORD,
    SourceImage,
    Tile,
    check_windows,
    probabilities_path,
    read_manifest,
    read_probabilities,
    read_sources,
)
from mstool.labels.legend import Legend, legend_from_toml
from mstool.micrographs.label_maps import named
from mstool.micrographs.tile_folder import read_tiling


@dataclass(frozen=True)
class ProbabilityFolder:
    """A folder of probabilities, complete for each of its micrographs.

    Attributes
    ----------
    path : Path
        The folder.
    record : dict
        Its predict.json.
    sources : dict of str to SourceImage
        Its micrographs, by name.
    tiles : dict of str to list of Tile
        Tiles of each, sorted by window.
    legend : Legend
        Of the label maps that the model was trained on.
    """

    path: Path
    record: dict[str, Any]
    sources: dict[str, SourceImage]
    tiles: dict[str, list[Tile]]
    legend: Legend

    @property
    def files(self) -> list[Path]:
        """Record and manifest."""
        return [self.path / PREDICT_RECORD, self.path / MANIFEST]

    def bands(self, name: str, blend: Blend) -> Iterator[np.ndarray]:
        """Probabilities of a micrograph, float32 (C, rows, W), band by band, in its geometry."""
        return blend_tiles(self._read_tiles(name), self.sources[name], blend)

    def _read_tiles(self, name: str) -> Iterator[tuple[Window, np.ndarray]]:
        n_classes = len(self.legend.classes)
        for tile in self.tiles[name]:
            values = read_probabilities(probabilities_path(self.path, tile), n_classes, tile)
            yield tile.window, values[:, : tile.height, : tile.width]


def blend_tiles(
    tiles: Iterable[tuple[Window, np.ndarray]], source: SourceImage, blend: Blend
) -> Iterator[np.ndarray]:
    """Probabilities of a micrograph, float32 (C, rows, W), band by band, in its geometry.

    Tiles are sorted by window, and their values probabilities as they were stored, (C, h, w).
    """
    bands = stitch_bands(tiles, *source.scaled_shape, blend)
    if source.shape != source.scaled_shape:
        bands = resample_bands(bands, source.scaled_shape, source.shape)
    # stored in 8 bits they do not quite sum to 1
    return (band / band.sum(axis=0) for band in bands)


def open_probabilities(probs: Path) -> ProbabilityFolder:
    """Open a folder that predict wrote.

    Raises
    ------
    MissingInputError
        If it, or a tile of it, is not there.
    InputError
        If it is damaged, or a micrograph lacks a tile.
    """
    record = read_record(probs / PREDICT_RECORD, "predict")
    needed = ("tiles", "classes", "label_legend", "models", "trained_on")
    tiles_table, *_ = require_keys(record, probs / PREDICT_RECORD, *needed)
    (settings,) = require_keys(tiles_table, probs / PREDICT_RECORD, "settings")
    sources = read_sources(probs / PREDICT_RECORD)
    require_keys(settings, probs / PREDICT_RECORD, "overlap")
    size, overlap, _ = read_tiling(settings, sources.values(), probs / PREDICT_RECORD)
    tiles = read_manifest(probs)
    check_windows(tiles, sources, probs / MANIFEST)
    by_source = {
        name: sorted((t for t in tiles if t.source == name), key=lambda t: t.window)
        for name in sources
    }
    for name, source in sources.items():
        _check_complete(probs, source, by_source[name], (size, overlap))
    with named(probs / PREDICT_RECORD):
        legend = legend_from_toml(str(record["label_legend"]))
    return ProbabilityFolder(probs, record, sources, by_source, legend)


def _check_complete(
    probs: Path, source: SourceImage, tiles: Sequence[Tile], grid: tuple[int, int]
) -> None:
    """Refuse a micrograph with a tile missing, naming the first one; `grid`: size and overlap."""
    there = {tile.window: tile for tile in tiles}
    for window in each_window(*source.scaled_shape, *grid):
        if window not in there:
            raise InputError(
                f"{probs / MANIFEST}: {source.name} has no tile at row {window.row}, column "
                f"{window.col}; tile without --discard-ignored, and predict again"
            )
        path = probabilities_path(probs, there[window])
        if not path.is_file():
            raise MissingInputError(f"{path}: this tile is missing; run mstool predict again")
