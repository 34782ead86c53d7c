"""Scores on whole micrographs while training."""

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mstool.geometry.bands import stitch_bands
from mstool.geometry.window import Window
from mstool.io.tiles import SourceImage
from mstool.labels.legend import IGNORE_INDEX
from mstool.nn.dataset import TileStore
from mstool.nn.device import Compute
from mstool.nn.infer import predict_probabilities
from mstool.nn.model import Segmenter
from mstool.nn.team import ALONE, Team
from mstool.scores.confusion import confusion_matrix


def whole_image_confusions(
    segmenter: Segmenter,
    store: TileStore,
    sources: dict[str, SourceImage],
    n_classes: int,
    batch_size: int,
    compute: Compute,
    team: Team = ALONE,
) -> np.ndarray:
    """Confusion matrix of each micrograph, from tiles stitched first, so that none counts twice.

    Parameters
    ----------
    segmenter : Segmenter
        On the device, in evaluation mode.
    store : TileStore
        Tiles with labels.
    sources : dict of str to SourceImage
        Micrographs by name.
    n_classes : int
        K.
    batch_size : int
        Tiles at a time.
    compute : Compute
        Device and number format.
    team : Team
        Processes that share the micrographs.

    Returns
    -------
    ndarray of int64, shape (M, K, K)
        One a micrograph, in order of their names.
    """
    names = sorted({tile.source for tile in store.tiles})
    found = np.zeros((len(names), n_classes, n_classes), np.int64)
    for place in team.share(range(len(names))):
        source = sources[names[place]]
        found[place] = _confusion_of_source(
            segmenter, store, source, n_classes, batch_size, compute
        )
    return team.total(found)


def expect_validation_s(
    segmenter: Segmenter, store: TileStore, batch_size: int, compute: Compute
) -> float:
    """Time that the network takes for all tiles, by that of one batch of them [s].

    Parameters
    ----------
    segmenter : Segmenter
        On the device; left in evaluation mode.
    store, batch_size, compute
        As for `whole_image_confusions`.
    """
    images = torch.stack([store.read(index)[0] for index in range(min(batch_size, len(store)))])
    batch_s = math.inf
    for _ in range(2):  # the first call of a network takes longer
        started = time.monotonic()
        with torch.inference_mode(), compute.autocast():
            segmenter.eval()(compute.place_batch(images)).float().softmax(dim=1).cpu()
        batch_s = min(batch_s, time.monotonic() - started)
    return batch_s * len(store) / len(images)


def _confusion_of_source(
    segmenter: Segmenter,
    store: TileStore,
    source: SourceImage,
    n_classes: int,
    batch_size: int,
    compute: Compute,
) -> np.ndarray:
    places = sorted(
        (tile.window, index) for index, tile in enumerate(store.tiles) if tile.source == source.name
    )
    height, width = source.scaled_shape
    # tiles with many ignored pixels may have been left out: what they covered is ignored as well
    predicted = stitch_bands(
        _predicted_tiles(segmenter, store, places, batch_size, compute),
        height,
        width,
        allow_gaps=True,
    )
    truth = stitch_bands(
        _truth_tiles(store, places, n_classes), height, width, "crop", allow_gaps=True
    )
    confusion = np.zeros((n_classes, n_classes), np.int64)
    for probabilities, one_hot in zip(predicted, truth, strict=True):
        labels = one_hot.argmax(axis=0).astype(np.uint8)
        labels[(labels == n_classes) | ~one_hot.any(axis=0)] = IGNORE_INDEX
        confusion += confusion_matrix(
            labels, probabilities.argmax(axis=0).astype(np.uint8), n_classes
        )
    return confusion


def _predicted_tiles(
    segmenter: Segmenter,
    store: TileStore,
    places: Sequence[tuple[Window, int]],
    batch_size: int,
    compute: Compute,
) -> Iterator[tuple[Window, np.ndarray]]:
    for start in range(0, len(places), batch_size):
        batch = places[start : start + batch_size]
        images = torch.stack([store.read(index)[0] for _, index in batch])
        probabilities = predict_probabilities([segmenter], images, compute)
        for (window, _), values in zip(batch, probabilities.numpy(), strict=True):
            yield window, values[:, : window.height, : window.width]


def _truth_tiles(
    store: TileStore, places: Sequence[tuple[Window, int]], n_classes: int
) -> Iterator[tuple[Window, np.ndarray]]:
    """Label maps as one plane a class, and a last one for ignored pixels."""
    for window, index in places:
        labels = store.read(index)[1].numpy()[: window.height, : window.width]
        classes = np.minimum(labels, n_classes)
        yield window, np.eye(n_classes + 1, dtype=np.float32)[classes].transpose(2, 0, 1)
