"""Fields of view of micrographs, or of what their tiles hold of them, at any scale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mstool.geometry.resample import axis_weights, resample, resample_bands, scaled_length
from mstool.io.conversions import luminance
from mstool.io.images import open_micrograph
from mstool.io.records import sha256_of_file
from mstool.io.tiles import SourceImage, Tile, read_tile_image
from mstool.micrographs.find import SetFiles
from mstool.micrographs.tile_folder import TileFolder, open_tile_folder
from mstool.reporting import Advance
from mstool.splits.audit.overlaps import Field


@dataclass(frozen=True)
class FieldFile:
    """A micrograph, to be read as grey values.

    Attributes
    ----------
    name : str
        Of the file.
    sha256, file_sha256 : str
        Of the pixels and of the bytes of the file.
    shape : tuple of int
        (H, W) [px]; of a tile folder that of the scaled micrograph.
    read : callable
        Gives a `Field`, magnified by a factor of at most 1.
    scale : float
        Magnification of `shape` against the stored micrograph.
    """

    name: str
    sha256: str
    file_sha256: str
    shape: tuple[int, int]
    read: Callable[[float], Field]
    scale: float = 1.0


def open_fields(files: SetFiles, advance: Advance) -> list[FieldFile]:
    """Micrographs of a set, or of a tile folder, in order of names.

    Raises
    ------
    MissingInputError, InputError
        As `open_tile_folder` and `open_micrograph`.
    """
    if files.tiles is not None:
        return fields_of_tiles(open_tile_folder(files.tiles))
    fields = []
    for path in files.images:
        micrograph = open_micrograph(path)
        hashes = micrograph.content_sha256(), sha256_of_file(path)
        fields.append(FieldFile(path.name, *hashes, micrograph.shape[:2], partial(_read, path)))
        advance(1, path.name)
    return fields


def fields_of_tiles(folder: TileFolder) -> list[FieldFile]:
    """Micrographs that a tile folder has tiles of, put together from these."""
    return [
        FieldFile(
            source.name,
            source.sha256,
            source.file_sha256,
            source.scaled_shape,
            partial(_assemble, folder, source, tiles),
            folder.scale,
        )
        for source, tiles in folder.by_source()
    ]


def _read(path: Path, scale: float) -> Field:
    micrograph = open_micrograph(path, grey=True)
    if scale == 1:
        return Field(micrograph.read())
    shape = _scaled(micrograph.shape, scale)
    bands = (band[None] for band in micrograph.bands())
    return Field(np.concatenate([*resample_bands(bands, micrograph.shape, shape)], axis=1)[0])


def _assemble(
    folder: TileFolder, source: SourceImage, tiles: Sequence[Tile], scale: float
) -> Field:
    grey = np.zeros(source.scaled_shape, folder.dtype)
    is_known = np.zeros(source.scaled_shape, bool)
    for tile in tiles:
        values = read_tile_image(folder.path, tile)[: tile.height, : tile.width]
        window = tile.window
        place = slice(window.row, window.end_row), slice(window.col, window.end_col)
        grey[place] = values if values.ndim == 2 else luminance(values)
        is_known[place] = True
    if scale != 1:
        weights = [
            axis_weights(*lengths)
            for lengths in zip(grey.shape, _scaled(grey.shape, scale), strict=True)
        ]
        grey, is_known = resample(grey, *weights), resample(is_known, *weights) > 0.99
    return Field(grey, None if is_known.all() else is_known)


def _scaled(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    height, width = shape
    return scaled_length(height, scale), scaled_length(width, scale)
