"""Features of sampled pixels, computed once and drawn from while a head learns."""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from mstool.io.tiles import Tile
from mstool.labels.legend import IGNORE_INDEX
from mstool.nn.dataset import CropSet, derive_seed
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.pixel_classifier import fit_projections
from mstool.nn.spilling_rows import SpillingRows

CHUNK = 256  # pixels that are drawn together
_BLOCK_PX = 32  # edge of the blocks over which samples are spread
_N_FITTED = 32  # images from which components are found


class PixelBank(torch.utils.data.Dataset):
    """Chunks of labelled pixels, dealt anew each epoch.

    Parameters
    ----------
    features : Tensor of float32, shape (P, F)
        A row a pixel.
    labels : Tensor of uint8, shape (P,)
        Their classes, none ignored.
    seed : int
        Source of all chance.
    n_dealt : int
        Pixels to deal in an epoch; where there are fewer they come again and again, so that a few
        strokes of labels are learnt as long as whole maps.
    n_views : int
        Times that each tile was looked at.
    """

    def __init__(
        self,
        features: torch.Tensor,
        labels: torch.Tensor,
        seed: int,
        n_dealt: int,
        n_views: int = 1,
    ):
        self.features, self.labels, self.seed = features, labels, seed
        self.n_dealt, self.n_views = n_dealt, n_views
        self._deal: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def __len__(self) -> int:
        return max(1, self.n_dealt // CHUNK)

    @property
    def n_features(self) -> int:
        """Numbers that describe a pixel."""
        return self.features.shape[1]

    def count_classes(self, n_classes: int) -> list[int]:
        """Pixels of each class."""
        return torch.bincount(self.labels.long(), minlength=n_classes).tolist()

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (F, CHUNK, 1) and labels (CHUNK, 1) of ``place = (epoch, index)``."""
        epoch, index = place
        if self._deal[0] != epoch:
            self._deal = (epoch, self._shuffle(epoch))
        rows = torch.from_numpy(self._deal[1][index * CHUNK : (index + 1) * CHUNK])
        return self.features[rows].T[..., None], self.labels[rows][:, None]

    def _shuffle(self, epoch: int) -> np.ndarray:
        rng, n = np.random.default_rng(derive_seed(self.seed, 2, epoch)), len(self.labels)
        n_wanted = max(CHUNK, self.n_dealt)
        return np.concatenate([rng.permutation(n) for _ in range(-(-n_wanted // n))])


def fill_bank(
    segmenter: Segmenter,
    views: Sequence[CropSet],
    n_pixels: int,
    compute: Compute,
    rows: SpillingRows,
    step: Callable[[], None],
) -> PixelBank:
    """Fit the projections of a pixel classifier and compute the features it will learn from.

    Parameters
    ----------
    segmenter : Segmenter
        Around a `PixelClassifier`, on the device; its projections are set.
    views : sequence of CropSet
        The tiles, as they are looked at in turn; components are found from the first.
    n_pixels : int
        Labelled pixels to take in all, and to deal in an epoch; all that the views show if that
        is fewer.
    compute : Compute
        Device and number format.
    rows : SpillingRows
        Empty, with as many columns as there are features; what gathers them.
    step : callable
        Called after each tile of each view.

    Returns
    -------
    PixelBank
        Of pixels spread evenly over the labelled area of each tile; of none, if no view shows one.
    """
    n_tiles = len(views[0])
    fitted = np.linspace(0, n_tiles - 1, _n_fitted(n_tiles)).round().astype(int)
    prepared = (_prepare(segmenter, views[0][0, int(i)][0], compute) for i in fitted)
    with torch.no_grad(), compute.autocast():
        fit_projections(segmenter.network, prepared)
    counts = [
        _n_labelled(view, number, index)
        for number, view in enumerate(views)
        for index in range(n_tiles)
    ]
    quota = _quota(counts, n_pixels)
    labels = []
    for number, view in enumerate(views):
        for index in range(n_tiles):
            image, truth = view[number, index]
            seed = derive_seed(view.seed, 3, number, index)
            places = torch.from_numpy(spread_pixels(truth.numpy(), quota, seed))
            if len(places):
                rows.append(_features_at(segmenter, image, places, compute))
                labels.append(truth.flatten()[places])
            step()
    found = torch.cat([torch.empty(0, dtype=torch.uint8), *labels])
    return PixelBank(rows.finish(), found, views[0].seed, n_pixels, len(views))


def views_in_time(segmenter: Segmenter, view: CropSet, compute: Compute, left_s: float) -> int:
    """Views of the tiles, at least one, for which there is time, by that of one tile.

    Tiles without a labelled pixel take none.

    Parameters
    ----------
    segmenter : Segmenter
        Around a `PixelClassifier`, on the device.
    view : CropSet
        The tiles, as most views show them.
    compute : Compute
        Device and number format.
    left_s : float
        Time for all of them [s].
    """
    tile_s = math.inf
    for number in range(2):  # the first call of a network takes longer
        started = time.monotonic()
        image, _ = view[number, 0]
        # how many pixels hardly matters beside the maps of the whole image
        _features_at(segmenter, image, torch.arange(image.shape[-1]), compute)
        tile_s = min(tile_s, time.monotonic() - started)
    n_looked_at = sum(_n_labelled_in(tile) > 0 for tile in view.store.tiles)
    return max(1, int((left_s / tile_s - _n_fitted(len(view))) / max(1, n_looked_at)))


def head_of(segmenter: Segmenter) -> Segmenter:
    """Head of a pixel classifier by itself, sharing its weights: features in, logits out."""
    head, n = segmenter.network.head, segmenter.network.n_features
    return Segmenter(head, 1, 0, [0.0] * n, [1.0] * n).to(segmenter.mean.device)


def spread_pixels(labels: np.ndarray, n_pixels: int, seed: int) -> np.ndarray:
    """Draw labelled pixels spread evenly over the labelled area.

    Labelled pixels are put in order block by block, at random within each, and every n-th is taken
    from a random start (systematic sampling), so that each block gives its share.

    Parameters
    ----------
    labels : ndarray of uint8, shape (H, W)
        255 is ignored.
    n_pixels : int
        How many; all that are labelled if that is fewer.
    seed : int
        Source of all chance.

    Returns
    -------
    ndarray of int64, shape (<= n_pixels,)
        Places in the flattened map, each at most once.
    """
    rng = np.random.default_rng(seed)
    rows, cols = np.nonzero(labels != IGNORE_INDEX)
    if len(rows) > n_pixels:
        order = np.lexsort((rng.random(len(rows)), cols // _BLOCK_PX, rows // _BLOCK_PX))
        step = len(rows) / n_pixels
        taken = order[((np.arange(n_pixels) + rng.random()) * step).astype(int)]
        rows, cols = rows[taken], cols[taken]
    return rows * labels.shape[1] + cols


def _quota(n_labelled: list[int], n_pixels: int) -> int:
    """Most pixels of one view so that all views together give `n_pixels`, where they can."""
    left, quota = n_pixels, 0
    for n_views, count in enumerate(sorted(n_labelled), start=0):
        quota = left // (len(n_labelled) - n_views)
        if count >= quota:
            return max(1, quota)
        left -= count
    return max(n_labelled)


def _n_fitted(n_tiles: int) -> int:
    return min(_N_FITTED, n_tiles)


def _n_labelled(view: CropSet, number: int, index: int) -> int:
    """Labelled pixels of a tile, or of the crop of it that a view shows."""
    tile = view.store.tiles[index]
    if view.size < max(tile.height, tile.width):
        return int((view[number, index][1] != IGNORE_INDEX).sum())
    return _n_labelled_in(tile)


def _n_labelled_in(tile: Tile) -> int:
    return sum(n for name, n in (tile.counts or {}).items() if name != "ignored")


def _features_at(
    segmenter: Segmenter, image: torch.Tensor, places: torch.Tensor, compute: Compute
) -> torch.Tensor:
    """Features (P, F), on the CPU, of places in the flattened image (C, H, W)."""
    width = image.shape[-1]
    rows, cols = (part.to(compute.device) for part in (places // width, places % width))
    with torch.no_grad(), compute.autocast():
        prepared = _prepare(segmenter, image, compute)
        return segmenter.network.features_at(prepared, rows, cols).float().cpu()


def _prepare(segmenter: Segmenter, image: torch.Tensor, compute: Compute) -> torch.Tensor:
    return segmenter.prepare(compute.place_batch(image[None]))
