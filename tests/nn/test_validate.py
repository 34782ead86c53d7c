"""Validation on whole micrographs, with a network that reads its answer off the grey levels."""

import numpy as np
import pytest
import torch

from mstool.geometry.grid import plan_windows
from mstool.io.tiles import SourceImage, Tile
from mstool.nn.dataset import TileStore
from mstool.nn.device import Compute
from mstool.nn.validate import expect_validation_s, whole_image_confusions

CPU = Compute(torch.device("cpu"), torch.float32)


@pytest.fixture(autouse=True)
def grey_is_class(monkeypatch):
    def predict(segmenters, images, compute):
        return torch.nn.functional.one_hot(images[:, 0].long(), 2).permute(0, 3, 1, 2).float()

    monkeypatch.setattr("mstool.nn.validate.predict_probabilities", predict)


def validate(micrographs, left_out=()):
    """Confusion matrices, given (prediction, truth) by name and tiles that are left out."""
    tiles, sources = [], {}
    for name, (predicted, _) in micrographs.items():
        sources[name] = SourceImage(name, name, name, name, "", predicted.shape, predicted.shape)
        for window in plan_windows(*predicted.shape, 6, 3):
            place = window.row, window.col, window.height, window.width
            if (name, *place[:2]) not in left_out:
                tiles.append(Tile(f"{name}{place}", name, name, *place))

    def decode(tile):
        return tuple(array[tile.window.slices] for array in micrographs[tile.source])

    return whole_image_confusions(None, TileStore(tiles, decode), sources, 2, 4, CPU)


def draw(seed, shape):
    return tuple(np.random.default_rng(seed).integers(0, 2, (2, *shape), dtype=np.uint8))


def count(predicted, truth):
    return [[int(((truth == i) & (predicted == j)).sum()) for j in (0, 1)] for i in (0, 1)]


def test_no_pixel_counts_twice_however_tiles_overlap():
    predicted, truth = draw(0, (13, 17))
    assert validate({"a": (predicted, truth)})[0].tolist() == count(predicted, truth)


def test_each_micrograph_has_its_own_counts_in_order_of_names():
    one, other = draw(1, (9, 9)), draw(2, (12, 7))
    found = validate({"b": one, "a": other})
    assert found.tolist() == [count(*other), count(*one)]


def test_ignored_pixels_do_not_count():
    predicted, truth = draw(3, (10, 10))
    truth[2:5, 3:9] = 255
    assert validate({"a": (predicted, truth)})[0].tolist() == count(predicted, truth)
    assert not validate({"a": (predicted, np.full_like(truth, 255))}).any()


def test_pixels_of_tiles_that_were_left_out_do_not_count():
    predicted, truth = draw(4, (6, 18))
    found = validate({"a": (predicted, truth)}, left_out=[("a", 0, col) for col in (3, 6, 9)])
    seen = np.r_[0:6, 12:18]
    assert found[0].tolist() == count(predicted[:, seen], truth[:, seen])


def test_a_validation_is_expected_to_take_what_its_batches_do(monkeypatch):
    now, seen = [0.0], []

    class Slow(torch.nn.Module):
        def forward(self, images):
            seen.append(len(images))
            now[0] += 3.0 if len(seen) == 1 else 1.0  # the first call takes longer
            return images

    monkeypatch.setattr("mstool.nn.validate.time.monotonic", lambda: now[0])
    blank = np.zeros((6, 6), np.uint8)
    store = TileStore(range(10), lambda _: (blank, blank))
    assert expect_validation_s(Slow(), store, 4, CPU) == 2.5
    assert expect_validation_s(Slow(), store, 40, CPU) == 1.0
    assert seen == [4, 4, 10, 10]
