"""Tiles as tensors, in memory when they fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mstool.errors import InputError
from mstool.io.memory import free_memory_bytes
from mstool.io.tiles import Tile
from mstool.micrographs.grey_range import describe_greys, sample_greys
from mstool.nn.augment import Augmentation, change_grey_levels, cut_crop
from mstool.nn.cores import processes_here
from mstool.nn.tensors import to_tensor

Decode = Callable[[Tile], tuple[np.ndarray, np.ndarray]]

# Share of the memory that is free now which decoded tiles may take.
_CACHE_SHARE = 0.3

# Share of the root mean square below which a deviation is rounding of stored values (float32).
_ROUNDING = 2.0**-23


@dataclass(frozen=True)
class Normalisation:
    """Grey levels of the training set, fitted once and kept in the checkpoint.

    Attributes
    ----------
    mean, std : tuple of float
        One a channel, in stored pixel values.
    levels : tuple of float
        Black and white: the 0.1 and 99.9 percentiles.
    greys : tuple of float
        Quantiles, as `mstool.micrographs.grey_range.describe_greys` gives them.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    levels: tuple[float, float]
    greys: tuple[float, ...] = ()


class TileStore:
    """Decoded tiles, kept while they fit into memory.

    Parameters
    ----------
    tiles : sequence of Tile
        In a fixed order; or of whatever `decode` takes.
    decode : callable
        Gives image (H, W[, C]) and label map (H, W) of a tile.
    """

    def __init__(self, tiles: Sequence[Tile], decode: Decode):
        self.tiles = list(tiles)
        self._decode = decode
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._bytes_left = _CACHE_SHARE * free_memory_bytes() / processes_here()

    def __getstate__(self) -> dict:
        """Leave decoded tiles behind where a worker process is started afresh."""
        return {**self.__dict__, "_kept": {}}

    def __len__(self) -> int:
        return len(self.tiles)

    def read(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Image, float32 (C, H, W) in stored pixel values, and label map, uint8 (H, W)."""
        image, labels = self._kept.get(index) or self._load(index)
        return to_tensor(image), torch.from_numpy(labels)

    def _load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        pair = tuple(
            np.require(part, requirements="CW") for part in self._decode(self.tiles[index])
        )
        n_bytes = sum(array.nbytes for array in pair)
        if n_bytes <= self._bytes_left:
            self._bytes_left -= n_bytes
            self._kept[index] = pair
        return pair


class CropSet(torch.utils.data.Dataset):
    """One random crop a tile; the same for the same seed, epoch and tile, whoever loads it.

    Parameters
    ----------
    store : TileStore
        Training tiles.
    size : int
        Edge of the crops [px].
    augmentation : Augmentation
        Ranges of the changes.
    normalisation : Normalisation
        Units of grey-level changes.
    seed : int
        Source of all chance.
    """

    def __init__(
        self,
        store: TileStore,
        size: int,
        augmentation: Augmentation,
        normalisation: Normalisation,
        seed: int,
    ):
        self.store, self.size, self.augmentation = store, size, augmentation
        self.normalisation, self.seed = normalisation, seed

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Crop of ``place = (epoch, index)``."""
        epoch, index = place
        generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch, index))
        image, labels = cut_crop(*self.store.read(index), self.size, self.augmentation, generator)
        std = float(np.mean(self.normalisation.std))
        image = change_grey_levels(
            image, self.augmentation, self.normalisation.levels, std, generator
        )
        return image.contiguous(), labels.contiguous()


def derive_seed(*numbers: int) -> int:
    """A seed that belongs to these numbers and no others."""
    # the count goes in too, since trailing zeros alone would not tell
    entropy = (len(numbers), *numbers)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


def epoch_batches(n_tiles: int, batch_size: int, seed: int, epoch: int) -> list[list[tuple]]:
    """Batches of one epoch: each tile once, shuffled, in batches as equal as can be.

    Returns
    -------
    list of list of (int, int)
        Places for `CropSet`.
    """
    order = np.random.default_rng(derive_seed(seed, epoch)).permutation(n_tiles)
    batches = np.array_split(order, -(-n_tiles // batch_size))
    return [[(epoch, int(index)) for index in batch] for batch in batches]


def fit_normalisation(store: TileStore, origin: Path) -> Normalisation:
    """Mean, standard deviation and black and white over all pixels of the training tiles.

    Parameters
    ----------
    store : TileStore
        The tiles.
    origin : Path
        Where they come from, for messages.

    Raises
    ------
    InputError
        If all pixels are of one value.
    """
    n_pixels, total, squares, samples = 0, 0.0, 0.0, []
    for index in range(len(store)):
        image = store.read(index)[0].double()
        n_pixels += image.shape[1] * image.shape[2]
        total = total + image.sum(dim=(1, 2))
        squares = squares + (image**2).sum(dim=(1, 2))
        samples.append(sample_greys(image.numpy()))
    mean = total / n_pixels
    variance = (squares / n_pixels - mean**2).clamp(min=0)
    std = variance.sqrt()
    varies = std > _ROUNDING * (squares / n_pixels).sqrt()
    if not varies.any():
        raise InputError(
            f"{origin}: all pixels of the tiles to learn from are {mean[0]:g}; give micrographs "
            "that show something"
        )
    std = torch.where(varies, std, torch.ones_like(std))  # a constant channel stays as it is
    greys = describe_greys(samples)
    black, white = greys[0], greys[-1]
    white = white if white > black else black + float(std.mean())  # rare pixels alone differ
    return Normalisation(tuple(mean.tolist()), tuple(std.tolist()), (black, white), greys)


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Class weights inverse to the square root of pixel counts, with mean 1; 0 where absent.

    The square root keeps rare classes from drowning the rest.
    """
    counts = np.asarray(counts, float)
    weights = np.divide(1, np.sqrt(counts), out=np.zeros_like(counts), where=counts > 0)
    return (weights / weights[counts > 0].mean()).tolist()
