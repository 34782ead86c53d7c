"""Features of sampled pixels, computed once and drawn from while a head learns."""

from collections.abc import Callable

import numpy as np
import torch

from mstool.labels.legend import IGNORE_INDEX
from mstool.nn.dataset import CropSet, derive_seed
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.pixel_classifier import fit_projections

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
    """

    def __init__(self, features: torch.Tensor, labels: torch.Tensor, seed: int):
        self.features, self.labels, self.seed = features, labels, seed
        self._deal: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def __len__(self) -> int:
        return max(1, len(self.labels) // CHUNK)

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (F, CHUNK, 1) and labels (CHUNK, 1) of ``place = (epoch, index)``."""
        epoch, index = place
        if self._deal[0] != epoch:
            order = np.random.default_rng(derive_seed(self.seed, 2, epoch))
            self._deal = (epoch, order.permutation(len(self.labels)))
        rows = torch.from_numpy(self._deal[1][index * CHUNK : (index + 1) * CHUNK])
        return self.features[rows].T[..., None], self.labels[rows][:, None]


def fill_bank(
    segmenter: Segmenter,
    crops: CropSet,
    n_pixels: int,
    n_views: int,
    compute: Compute,
    advance: Callable[[int], None],
) -> PixelBank:
    """Fit the projections of a pixel classifier and compute the features it will learn from.

    Parameters
    ----------
    segmenter : Segmenter
        Around a `PixelClassifier`, on the device; its projections are set.
    crops : CropSet
        Whole tiles, changed at random in all views but the first.
    n_pixels : int
        Labelled pixels in all; all that there are if that is fewer.
    n_views : int
        Times that each tile is looked at.
    compute : Compute
        Device and number format.
    advance : callable
        Told of each view.

    Returns
    -------
    PixelBank
        Of pixels spread evenly over the labelled area of each tile.
    """
    network = segmenter.network
    n_tiles = len(crops)
    fitted = np.linspace(0, n_tiles - 1, min(_N_FITTED, n_tiles)).round().astype(int)
    with torch.no_grad(), compute.autocast():
        fit_projections(
            network, (_normalised(segmenter, crops[0, int(index)][0], compute) for index in fitted)
        )
    places = [(view, index) for view in range(n_views) for index in range(n_tiles)]
    quota = _quota([_n_labelled(crops, index) for _, index in places], n_pixels)
    features, labels = [], []
    for view, index in places:
        image, truth = crops[view, index]
        rows = spread_pixels(truth.numpy(), quota, derive_seed(crops.seed, 3, view, index))
        with torch.no_grad(), compute.autocast():
            maps = network.features(_normalised(segmenter, image, compute))
        features.append(maps[0].flatten(1)[:, torch.from_numpy(rows)].float().T.cpu())
        labels.append(truth.flatten()[rows])
        advance(1)
    return PixelBank(torch.cat(features), torch.cat(labels), crops.seed)


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
        Places in the flattened map, ascending within no order of use; each at most once.
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


def _n_labelled(crops: CropSet, index: int) -> int:
    counts = crops.store.tiles[index].counts or {}
    return sum(n for name, n in counts.items() if name != "ignored")


def _normalised(segmenter: Segmenter, image: torch.Tensor, compute: Compute) -> torch.Tensor:
    return segmenter.prepare(compute.place_batch(image[None]))
