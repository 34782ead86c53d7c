"""Probabilities that are frequencies: one temperature, fitted to micrographs of validation."""

from dataclasses import dataclass

import numpy as np
import torch

from mstool.nn.dataset import TileStore, derive_seed
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.pixel_bank import spread_pixels
from mstool.scores.temperature import fit_temperature, negative_log_likelihood

_N_PIXELS = 200_000


@dataclass(frozen=True)
class Calibration:
    """What a temperature does to the pixels that it was fitted to.

    Attributes
    ----------
    temperature : float
        That logits are divided by; above 1 where the network was too sure.
    n_pixels : int
        It was fitted to.
    nll_before, nll_after : float
        Mean negative log likelihood of their labels [nat].
    """

    temperature: float
    n_pixels: int
    nll_before: float
    nll_after: float


def calibrate(
    segmenter: Segmenter, store: TileStore, batch_size: int, compute: Compute, seed: int
) -> Calibration | None:
    """Set the temperature of a network from labelled tiles that it has not learnt from.

    Parameters
    ----------
    segmenter : Segmenter
        On the device, in evaluation mode; its temperature is set.
    store : TileStore
        Tiles with labels.
    batch_size : int
        Tiles at a time.
    compute : Compute
        Device and number format.
    seed : int
        Decides which pixels are looked at, 200,000 at most, spread evenly.

    Returns
    -------
    Calibration or None
        None, and no change, if no pixel is labelled.
    """
    segmenter.temperature = 1.0
    logits, labels = _sample_logits(segmenter, store, batch_size, compute, seed)
    if not len(labels):
        return None
    segmenter.temperature = fit_temperature(logits, labels)
    return Calibration(
        segmenter.temperature,
        len(labels),
        negative_log_likelihood(logits, labels),
        negative_log_likelihood(logits / segmenter.temperature, labels),
    )


def _sample_logits(
    segmenter: Segmenter, store: TileStore, batch_size: int, compute: Compute, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (P, C) and labels (P,) of pixels spread over the tiles."""
    logits, labels = [], []
    quota = max(1, _N_PIXELS // len(store))
    for start in range(0, len(store), batch_size):
        indices = range(start, min(start + batch_size, len(store)))
        images, truths = zip(*(store.read(index) for index in indices), strict=True)
        with torch.inference_mode(), compute.autocast():
            found = segmenter(compute.place_batch(torch.stack(images))).float().cpu()
        for index, values, truth in zip(indices, found, truths, strict=True):
            pixels = spread_pixels(truth.numpy(), quota, derive_seed(seed, 5, index))
            logits.append(values.flatten(1)[:, pixels].T.numpy())
            labels.append(truth.numpy().ravel()[pixels])
    return np.concatenate(logits), np.concatenate(labels)
