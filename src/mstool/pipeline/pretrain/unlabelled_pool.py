"""Tiles of several folders whose labels, if there are any, are not looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstool.errors import InputError
from mstool.io.split_csv import read_split
from mstool.io.tiles import SourceImage, Tile, read_tile_image
from mstool.micrographs.own_greys import OWN_GREYS
from mstool.micrographs.sets import common_pixel_size
from mstool.micrographs.tile_folder import TileFolder, open_tile_folder
from mstool.nn.dataset import TileStore
from mstool.splits.roles import leave_out_test


@dataclass(frozen=True)
class Pool:
    """Tiles to learn from.

    Attributes
    ----------
    store : TileStore
        Of folder and tile; label maps are empty.
    sources : tuple of SourceImage
        Micrographs that are looked at.
    left_out : tuple of SourceImage
        Micrographs of the test, and of its specimens.
    folders : tuple of TileFolder
        Where they come from.
    """

    store: TileStore
    sources: tuple[SourceImage, ...]
    left_out: tuple[SourceImage, ...]
    folders: tuple[TileFolder, ...]

    @property
    def pixel_size_um(self) -> float | None:
        """Of all tiles [um/px]; None where it is not known or not nearly the same."""
        return common_pixel_size([folder.pixel_size_um for folder in self.folders])

    @property
    def files(self) -> list[Path]:
        """What decides all that is read from it."""
        return [file for folder in self.folders for file in folder.files]


def open_pool(tiles: Sequence[Path], split: Path | None, test_fold: int | None) -> Pool:
    """Open tile folders, and leave the test out.

    Raises
    ------
    InputError
        If nothing is left, or the folders do not go together.
    """
    folders = tuple(open_tile_folder(path) for path in tiles)
    _check_alike(folders)
    everything = [source for folder in folders for source in folder.sources.values()]
    kept = everything
    if split is not None and test_fold is not None:
        kept = leave_out_test(read_split(split), everything, test_fold, str(split))
    places = [
        (folder.path, tile)
        for folder in folders
        for tile in folder.tiles
        if folder.sources[tile.source] in kept
    ]
    if not places:
        raise InputError(f"{tiles[0]}: holds no tile that is not of the test; give more tiles")
    left_out = tuple(source for source in everything if source not in kept)
    return Pool(TileStore(places, _read_without_labels), tuple(kept), left_out, folders)


def _read_without_labels(place: tuple[Path, Tile]) -> tuple[np.ndarray, np.ndarray]:
    image = read_tile_image(*place)
    return image, np.zeros(image.shape[:2], np.uint8)


def _check_alike(folders: Sequence[TileFolder]) -> None:
    first = folders[0]
    for other in folders[1:]:
        for what in ("dtype", "n_channels", "size"):
            ours, theirs = getattr(first, what), getattr(other, what)
            if ours != theirs:
                raise InputError(
                    f"{other.path}: has {what} {theirs}, {first.path} has {ours}; tile alike, "
                    "with --bits, --grey and --size"
                )
        if other.has_own_greys != first.has_own_greys:
            pair = (other, first) if other.has_own_greys else (first, other)
            raise InputError(
                f"{pair[0].path}: was cut with --rescale-greys {OWN_GREYS}, {pair[1].path} without "
                "it; tile alike"
            )
