"""Tile folders and their manifests."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from mstool.errors import InputError, LabelError, MissingInputError
from mstool.geometry.window import Window
from mstool.io.atomic import atomic_path, write_text
from mstool.io.damage import reading
from mstool.io.images import open_label_values, open_micrograph
from mstool.io.parsing import parse_json, read_text
from mstool.io.pixel_size import resolution_tags
from mstool.io.record_check import check_kinds, fits
from mstool.io.records import read_record, relative_to, require_keys

MANIFEST = "tiles.jsonl"
TILES_RECORD = "tiles.json"
PREDICT_RECORD = "predict.json"
STITCH_RECORD = "stitch.json"

_PREDICT_AGAIN = "delete it and run predict again"
_LONGEST = 2**31  # of an edge [px]


@dataclass(frozen=True)
class Tile:
    """One line of ``tiles.jsonl``; its window lies in the (scaled) micrograph."""

    id: str  # file name of the tile, without suffix
    source: str  # name of the micrograph
    group: str  # images that must stay together
    row: int
    col: int
    height: int
    width: int
    pad: tuple[int, int] = (0, 0)  # rows and columns that small images are filled up with [px]
    counts: dict[str, int] | None = None  # labelled pixels by class name, and "ignored"

    @property
    def window(self) -> Window:
        """Where the tile lies in its micrograph."""
        return Window(self.row, self.col, self.height, self.width)


@dataclass(frozen=True)
class SourceImage:
    """A micrograph that tiles were cut from."""

    name: str  # of the file, with suffix
    group: str  # images that must stay together
    sha256: str  # of the pixels, not of the file
    path: str  # where the file lay, relative to the record
    file_sha256: str
    shape: tuple[int, int]  # (H, W) of the micrograph as stored [px]
    scaled_shape: tuple[int, int]  # (H, W) that the tiles cover [px]
    pixel_size_um: float | None = None  # of the micrograph as stored
    specimen: str | None = None  # that models know it by: its groups here and in splits, joined
    folder: str | None = None  # name of that which it was found in; None in older records

    def identity(self) -> dict[str, str]:
        """What tells it from others wherever the file lies: name, group and content."""
        return {"name": self.name, "group": self.group, "sha256": self.sha256}

    def as_entry(self, before: Path, after: Path) -> dict[str, Any]:
        """Entry of a record in another folder than that which this was read from."""
        return replace(self, path=relative_to(before / self.path, after)).as_row()

    def as_row(self) -> dict[str, Any]:
        """Entry of a record in the folder that its path is relative to."""
        row = asdict(self)
        for key in ("specimen", "folder"):
            if row[key] is None:
                del row[key]
        return row


def write_manifest(folder: Path, tiles: Iterable[Tile]) -> None:
    """Write ``tiles.jsonl``."""
    lines = [json.dumps(asdict(tile), ensure_ascii=False) for tile in tiles]
    write_text(folder / MANIFEST, "".join(line + "\n" for line in lines))


def read_manifest(folder: Path) -> list[Tile]:
    """Read ``tiles.jsonl``.

    Raises
    ------
    MissingInputError, InputError
        If it is not there; if a line is not a tile, or names a file outside the folder.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingInputError(f"{path}: no such file; make the folder with the step before")
    text = read_text(path)
    lines = text.removesuffix("\n").split("\n") if text else []  # names may hold other line ends
    tiles = [_parse_tile(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
    seen = set()
    for number, tile in enumerate(tiles, 1):
        if tile.id in seen:
            raise InputError(f"{path}:{number}: {tile.id} is named twice; make the folder again")
        seen.add(tile.id)
    return tiles


def check_windows(tiles: Iterable[Tile], sources: Mapping[str, SourceImage], path: Path) -> None:
    """Check that the tiles of a manifest lie inside their micrographs, given by name.

    Raises
    ------
    InputError
        If one does not, or is of a micrograph that the record does not list.
    """
    for tile in tiles:
        source = sources.get(tile.source)
        if source is None:
            raise InputError(
                f"{path}: tile {tile.id} is of {tile.source}, which the record does not list; make "
                "the folder again"
            )
        height, width = source.scaled_shape
        if tile.row + tile.height > height or tile.col + tile.width > width:
            raise InputError(
                f"{path}: tile {tile.id} reaches beyond {source.name}, {height} x {width} pixels; "
                "make the folder again"
            )


def read_sources(record_path: Path) -> dict[str, SourceImage]:
    """Read the table of micrographs from a record such as ``tiles.json``, by name.

    Raises
    ------
    MissingInputError, InputError
        If there is no such record; if it has no such table, or one that is damaged.
    """
    (rows,) = require_keys(read_record(record_path), record_path, "sources")
    try:
        sources = [_parse_source(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{record_path}: damaged table of sources ({error}); make the folder again"
        ) from None
    for source in sources:
        _check_name(source.name, str(record_path))
    return {source.name: source for source in sources}


def write_tile_image(path: Path, values: np.ndarray, pixel_size_um: float | None = None) -> None:
    """Write pixels as TIFF, grey or RGB, in their own type; pixel size in the resolution tags."""
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    _write_tiff(path, values, photometric=photometric, **resolution_tags(pixel_size_um))


def read_tile_image(folder: Path, tile: Tile) -> np.ndarray:
    """Read tile pixels: (T, T) or (T, T, 3)."""
    path = folder / "images" / f"{tile.id}.tif"
    micrograph = open_micrograph(path)
    _check_shape(micrograph.shape, tile, path)
    return micrograph.read()


def read_tile_labels(folder: Path, tile: Tile) -> np.ndarray:
    """Read a tile's label map: uint8, (T, T), classes and 255 for ignored."""
    path = folder / "labels" / f"{tile.id}.png"
    label_map = open_label_values(path)
    _check_shape(label_map.shape, tile, path)
    values = label_map.read()
    if values.ndim != 2 or values.dtype != np.uint8:
        raise InputError(f"{path}: is no indexed label map; tile again with --overwrite")
    return values


def probabilities_path(folder: Path, tile: Tile) -> Path:
    """File of a tile in a folder of probabilities."""
    return folder / "probs" / f"{tile.id}.tif"


@dataclass(frozen=True)
class LabelledTileReader:
    """Gives image and label map of a tile; can be sent to other processes.

    Label maps hold 0 .. n_classes - 1, and 255.
    """

    folder: Path
    n_classes: int

    def __call__(self, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        """Image (T, T[, C]) and label map (T, T)."""
        labels = read_tile_labels(self.folder, tile)
        unknown = (labels >= self.n_classes) & (labels != 255)
        if unknown.any():
            row, col = np.argwhere(unknown)[0]
            raise LabelError(
                f"{self.folder}/labels/{tile.id}.png: value {labels[row, col]} in {unknown.sum()} "
                f"pixels, first at row {row}, column {col}, is no class; tile again "
                "with --overwrite"
            )
        return read_tile_image(self.folder, tile), labels


def write_probabilities(path: Path, probabilities: np.ndarray) -> None:
    """Write the class probabilities of a tile, (C, T, T), uint8 or float16, as TIFF."""
    planes = "separate" if len(probabilities) > 1 else None
    _write_tiff(path, probabilities, photometric="minisblack", planarconfig=planes)


def read_probabilities(path: Path, n_classes: int, tile: Tile | None = None) -> np.ndarray:
    """Read the class probabilities of a tile: float32, (C, T, T); its size is checked if given.

    Raises
    ------
    MissingInputError, InputError
        If the tile was never predicted; if the file is damaged, of other classes or size, or holds
        what are no probabilities.
    """
    if not path.is_file():
        raise MissingInputError(f"{path}: this tile has no probabilities; run predict again")
    with reading(path, "damaged", _PREDICT_AGAIN), tifffile.TiffFile(path) as tiff:
        shape = tiff.series[0].shape
        shape = (1, *shape) if len(shape) == 2 else shape
        if len(shape) != 3 or shape[0] != n_classes:
            raise InputError(
                f"{path}: has shape {shape}, and {n_classes} classes are named; {_PREDICT_AGAIN}"
            )
        if tile is not None:
            _check_shape(shape[1:], tile, path)
        values = tiff.asarray().reshape(shape)
    is_known = values.dtype in (np.uint8, np.float16) and np.isfinite(values).all()
    if not is_known or not values.any(axis=0).all():
        raise InputError(f"{path}: does not hold probabilities; {_PREDICT_AGAIN}")
    probabilities = from_stored(values)
    # half a level each in 8 bits; those of 11 bits add up to less than this
    rounding = 0.51 / 255 * n_classes if values.dtype == np.uint8 else 2e-3
    _check_sums(probabilities, rounding, path)
    return probabilities


def to_stored(probabilities: np.ndarray, kind: str) -> np.ndarray:
    """Probabilities as they are stored: p x 255, rounded (``uint8``), or ``float16``."""
    if kind == "float16":
        return probabilities.astype(np.float16)
    return np.rint(probabilities * 255).astype(np.uint8)


def from_stored(values: np.ndarray) -> np.ndarray:
    """Probabilities, float32, of what `to_stored` has made."""
    return values.astype(np.float32) / (255 if values.dtype == np.uint8 else 1)


def _check_sums(probabilities: np.ndarray, rounding: float, path: Path) -> None:
    low, high = probabilities.min(), probabilities.max()
    if low < 0 or high > 1:
        raise InputError(
            f"{path}: holds values from {low:.4g} to {high:.4g}, and probabilities are from 0 to "
            f"1; {_PREDICT_AGAIN}"
        )
    sums = probabilities.sum(axis=0)
    worst = sums.flat[np.abs(sums - 1).argmax()]
    if abs(worst - 1) > rounding:
        raise InputError(
            f"{path}: the probabilities of a pixel add up to {worst:.4g}, and not to 1; "
            f"{_PREDICT_AGAIN}"
        )


def _write_tiff(path: Path, values: np.ndarray, **options) -> None:
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, values, compression="zlib", metadata=None, **options)


def _check_shape(shape: tuple[int, ...], tile: Tile, path: Path) -> None:
    expected = (tile.height + tile.pad[0], tile.width + tile.pad[1])
    if shape[:2] != expected:
        raise InputError(
            f"{path}: is {shape[0]} x {shape[1]} pixels, its manifest says "
            f"{expected[0]} x {expected[1]}; delete it and run the step that made it again"
        )


def _parse_tile(line: str, origin: str) -> Tile:
    try:
        fields: dict[str, Any] = parse_json(line)
        if findings := check_kinds(fields, "tile"):
            raise ValueError(findings[0])
        tile = Tile(**{**fields, "pad": tuple(fields.get("pad", (0, 0)))})
        numbers = (tile.row, tile.col, tile.height, tile.width, *tile.pad)
        if min(numbers) < 0 or not all(isinstance(number, int) for number in numbers):
            raise ValueError("negative or fractional window")
        counts = {} if tile.counts is None else tile.counts
        if not all(isinstance(n, int) and n >= 0 for n in counts.values()):
            raise ValueError("counts that are no numbers")
        is_whole = len(tile.pad) == 2 and min(tile.height, tile.width) >= 1
        if not (is_whole and isinstance(tile.group, str)):
            raise ValueError("empty window, or pad of another length than 2")
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{origin}: not a tile ({error}); make the folder again") from None
    _check_name(tile.id, origin)
    _check_name(tile.source, origin)
    return tile


def _parse_source(row: dict[str, Any]) -> SourceImage:
    shapes = {key: tuple(row[key]) for key in ("shape", "scaled_shape")}
    source = SourceImage(**{**row, **shapes})
    for key, shape in shapes.items():
        if len(shape) != 2 or not all(fits(n, "integer") and 0 < n < _LONGEST for n in shape):
            raise ValueError(f"{key} {shape}")
    for key in ("group", "sha256", "path", "file_sha256"):
        if not isinstance(row[key], str):
            raise ValueError(f"{key} {row[key]!r}")
    for key in ("specimen", "folder"):
        if not isinstance(row.get(key), str | None):
            raise ValueError(f"{key} {row[key]!r}")
    size = source.pixel_size_um
    if size is not None and not (isinstance(size, int | float) and 0 < size < math.inf):
        raise ValueError(f"pixel_size_um {size!r}")
    return source


def _check_name(name: object, origin: str) -> None:
    is_plain = (
        isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")
    )
    if not is_plain:
        raise InputError(
            f"{origin}: {name!r} is no plain file name; a manifest stays in its folder"
        )
