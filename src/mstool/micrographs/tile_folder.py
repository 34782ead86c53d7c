"""A tile folder, opened: what its record, its manifest and its legend say."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import InputError, MissingInputError
from mstool.geometry.resample import scaled_length
from mstool.io.record_check import fits
from mstool.io.records import read_record, require_keys
from mstool.io.tiles import (
    MANIFEST,
    TILES_RECORD,
    SourceImage,
    Tile,
    check_windows,
    read_manifest,
    read_sources,
    read_tile_image,
    read_tile_labels,
)
from mstool.labels.legend import Legend
from mstool.micrographs.label_maps import read_legend
from mstool.micrographs.needs import Given, GivenMicrograph
from mstool.micrographs.own_greys import OWN_GREYS

LEGEND = "legend.toml"

_LEAST_SCALE, _LARGEST_SCALE = 0.01, 100  # as of --scale
_DTYPES = ("uint8", "uint16", "float32")


@dataclass(frozen=True)
class TileFolder:
    """Tiles and what is known of all of them.

    Attributes
    ----------
    path : Path
        The folder.
    settings : dict
        With which it was cut, as recorded.
    size, halo : int
        Edge of a tile, and border that neighbours know better [px].
    scale : float
        Magnification before cutting.
    dtype : str
        Of stored pixel values.
    n_channels : int
        1 for grey, 3 for colour.
    pixel_size_um : float or None
        Of the tiles [um/px].
    greys : tuple of float
        Quantiles of stored values; empty where they are not recorded.
    levels : tuple of float, or None
        Greys of the micrographs that are black and white in tiles; None where that is not recorded.
    legend : Legend or None
        Of the tiles' label maps; None without labels.
    label_legend : str or None
        Legend of the label maps that were cut, as TOML.
    sources : dict of str to SourceImage
        Micrographs by name.
    tiles : tuple of Tile
        In the order of the manifest.
    """

    path: Path
    settings: dict
    size: int
    halo: int
    scale: float
    dtype: str
    n_channels: int
    pixel_size_um: float | None
    greys: tuple[float, ...]
    levels: tuple[float, float] | None
    legend: Legend | None
    label_legend: str | None
    sources: dict[str, SourceImage]
    tiles: tuple[Tile, ...]

    @property
    def files(self) -> list[Path]:
        """What decides all that is read from it."""
        return [self.path / TILES_RECORD, self.path / MANIFEST]

    def given(self) -> Given:
        """What a network is told of it."""
        classes = None if self.legend is None else self.legend.names
        return Given(
            str(self.path), self.n_channels, self.dtype, classes, self.greys, self.pixel_size_um,
            self.scale, tuple(map(self._given_micrograph, self.sources.values())), self.levels,
            self.has_own_greys,
        )  # fmt: skip

    @property
    def has_own_greys(self) -> bool:
        """Whether the greys of each micrograph were stretched by its own before cutting."""
        return self.settings.get("greys") == OWN_GREYS

    def _given_micrograph(self, source: SourceImage) -> GivenMicrograph:
        size = self.pixel_size_um or (source.pixel_size_um and source.pixel_size_um / self.scale)
        return GivenMicrograph(source.name, size, source.sha256)

    def count_labels(self) -> dict[str, dict[str, int]] | None:
        """Labelled pixels by micrograph and class, in tiles; None if a tile has no labels."""
        if not self.tiles or any(tile.counts is None for tile in self.tiles):
            return None
        classes = [name for name in self.tiles[0].counts or {} if name != "ignored"]
        sums = {name: dict.fromkeys(classes, 0) for name in self.sources}
        for tile in self.tiles:
            for name in classes:
                sums[tile.source][name] += (tile.counts or {})[name]
        return sums

    def read(self, tile: Tile) -> tuple[np.ndarray, np.ndarray | None]:
        """Stored values and label map (or None) of a tile, without what was added to fill it."""
        cut = slice(0, tile.height), slice(0, tile.width)
        labels = None if tile.counts is None else read_tile_labels(self.path, tile)[cut]
        return read_tile_image(self.path, tile)[cut], labels

    def by_source(self) -> Iterator[tuple[SourceImage, list[Tile]]]:
        """Micrographs with their tiles; those without a tile are left out."""
        for name, source in self.sources.items():
            if tiles := [tile for tile in self.tiles if tile.source == name]:
                yield source, tiles


def open_tile_folder(path: Path) -> TileFolder:
    """Open a tile folder.

    Raises
    ------
    MissingInputError
        If the record, the manifest, or the legend of tiles with labels is not there.
    InputError
        If they contradict each other, are damaged, or come from another version.
    """
    record_path = path / TILES_RECORD
    record = read_record(record_path, "tile")
    needed = ("settings", "halo", "pixel_size_um", "dtype", "n_channels")
    settings, halo, pixel_size_um, dtype, n_channels = require_keys(record, record_path, *needed)
    sources, tiles = read_sources(record_path), read_manifest(path)
    size, _, scale = read_tiling(settings, sources.values(), record_path)
    (text,) = require_keys(settings, record_path, "legend")
    _check_pixels(record, text, record_path)
    check_windows(tiles, sources, path / MANIFEST)
    if text is not None and not (path / LEGEND).is_file():
        raise MissingInputError(
            f"{path / LEGEND}: no such file, and the tiles have labels; run the same mstool tile "
            "again"
        )
    legend = read_legend(path / LEGEND) if (path / LEGEND).is_file() else None
    _check_counts(tiles, legend, path)
    return TileFolder(
        path, settings, size, halo, scale, dtype, n_channels, pixel_size_um,
        tuple(record.get("greys") or ()), tuple(record.get("levels") or ()) or None,
        legend, text, sources, tuple(tiles),
    )  # fmt: skip


def read_tiling(
    settings: Any, sources: Iterable[SourceImage], path: Path
) -> tuple[int, int, float]:
    """Edge of the tiles [px], their overlap [px], and the magnification before they were cut.

    Parameters
    ----------
    settings : dict
        Of tile, from the record in `path`.
    sources : iterable of SourceImage
        Micrographs of the same record.

    Raises
    ------
    InputError
        If they make no grid, or contradict the sizes of the micrographs.
    """
    size, scale = require_keys(settings, path, "size", "scale")
    overlap = settings.get("overlap", 0)
    is_grid = fits(size, "integer") and fits(overlap, "integer") and 0 <= overlap < size
    if not is_grid or not fits(scale, "number") or not _LEAST_SCALE <= scale <= _LARGEST_SCALE:
        raise InputError(
            f"{path}: size {size!r}, overlap {overlap!r} and scale {scale!r} make no tiles; make "
            "the folder again"
        )
    for source in sources:
        expected = tuple(scaled_length(length, scale) for length in source.shape)
        if expected != source.scaled_shape:
            raise InputError(
                f"{path}: {source.name} is {source.shape} pixels and {source.scaled_shape} in "
                f"tiles, which is not a scale of {scale:g}; make the folder again"
            )
    return size, overlap, scale


def _check_pixels(record: dict[str, Any], legend: Any, path: Path) -> None:
    """See that a record speaks of pixels and a legend as there are any."""
    is_known = record["dtype"] in _DTYPES and record["n_channels"] in (1, 3)
    is_known = is_known and fits(record["pixel_size_um"], "number or null")
    is_known = is_known and fits(record["halo"], "integer") and fits(legend, "string or null")
    is_known = is_known and fits(record.get("greys") or [], "list of number")
    levels = record.get("levels")
    is_known = is_known and fits(levels, "null or list of number")
    if not is_known or (levels is not None and len(set(levels)) != 2):
        raise InputError(
            f"{path}: damaged pixel size, type of pixels, channels, greys, halo or legend; tile "
            "again with --overwrite"
        )


def _check_counts(tiles: Sequence[Tile], legend: Legend | None, path: Path) -> None:
    """See that labels are counted by the classes of the legend, or alike where there is none."""
    counted = [tile for tile in tiles if tile.counts is not None]
    classes = (*legend.names, "ignored") if legend else counted[0].counts if counted else ()
    for tile in counted:
        if set(tile.counts or ()) != set(classes or ()):
            raise InputError(
                f"{path / MANIFEST}: tile {tile.id} counts {', '.join(tile.counts or ())}, where "
                f"{', '.join(classes or ())} are the classes; tile again with --overwrite"
            )
