"""The temperature of a network whose logits are what it is shown."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from mstool.nn.calibrate import calibrate
from mstool.nn.dataset import TileStore
from mstool.nn.device import choose_compute

CPU = choose_compute("cpu", "fp32")
EDGE = 100


class Showing(torch.nn.Module):
    """Two logits: 0, and the grey level, divided by the temperature."""

    temperature = 1.0

    def forward(self, images):
        grey = images[:, :1]
        return torch.cat([torch.zeros_like(grey), grey], dim=1) / self.temperature


def tile_of_frequencies(seed, times_too_sure, n_labelled_rows=EDGE):
    """Grey levels, and labels that are as frequent as they say once divided."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (EDGE, EDGE)).astype(np.float32)
    labels = (rng.random(logits.shape) < expit(logits)).astype(np.uint8)
    labels[n_labelled_rows:] = 255
    return times_too_sure * logits, labels


def store_of(*tiles):
    return TileStore(list(tiles), lambda tile: tile)


def test_temperature_is_how_much_too_sure_the_network_is():
    network = Showing()
    found = calibrate(network, store_of(*(tile_of_frequencies(s, 3) for s in range(3))), 2, CPU, 0)
    assert network.temperature == found.temperature == pytest.approx(3, rel=0.05)
    assert found.n_pixels == 3 * EDGE**2
    assert found.nll_after < found.nll_before


def test_earlier_temperature_changes_nothing():
    store, network = store_of(tile_of_frequencies(0, 3)), Showing()
    first = calibrate(network, store, 1, CPU, 0)
    assert calibrate(network, store, 1, CPU, 0) == first


def test_ignored_pixels_do_not_count():
    found = calibrate(Showing(), store_of(tile_of_frequencies(0, 3, 40)), 1, CPU, 0)
    assert (found.n_pixels, found.temperature) == (40 * EDGE, pytest.approx(3, rel=0.1))


def test_without_labels_there_is_nothing_to_fit():
    network = Showing()
    assert calibrate(network, store_of(tile_of_frequencies(0, 3, 0)), 1, CPU, 0) is None
    assert network.temperature == 1
