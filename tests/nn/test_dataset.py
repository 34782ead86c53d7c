from pathlib import Path

import numpy as np
import pytest

from mstool.errors import InputError
from mstool.nn.dataset import TileStore, balanced_weights, epoch_batches, fit_normalisation

TILES = Path("tiles")


def fit_to(image):
    labels = np.zeros(image.shape[:2], np.uint8)
    return fit_normalisation(TileStore([0], lambda _: (image, labels)), TILES)


def test_weights_are_as_one_over_the_root_of_counts_with_mean_one():
    # 1/10 and 1/5, whose mean is 0.15
    assert balanced_weights([100, 25]) == pytest.approx([2 / 3, 4 / 3])


def test_class_that_is_absent_has_no_weight_and_does_not_count_in_the_mean():
    assert balanced_weights([100, 0, 25]) == pytest.approx([2 / 3, 0, 4 / 3])


@pytest.mark.parametrize(("n_tiles", "sizes"), [(8, [4, 4]), (9, [3, 3, 3]), (5, [3, 2]), (1, [1])])
def test_epoch_has_each_tile_once_in_batches_as_equal_as_can_be(n_tiles, sizes):
    batches = epoch_batches(n_tiles, 4, seed=1, epoch=3)
    assert [len(batch) for batch in batches] == sizes
    places = [place for batch in batches for place in batch]
    assert sorted(places) == [(3, index) for index in range(n_tiles)]


def test_every_epoch_and_seed_has_its_own_order():
    orders = {
        tuple(index for _, index in epoch_batches(20, 20, seed, epoch)[0])
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1.0, 1e6])
def test_spread_counts_in_any_unit(unit):
    # heights of an atomic force microscope are metres
    greys = np.random.default_rng(0).normal(50, 5, (64, 64))
    fitted, wanted = fit_to((unit * greys).astype(np.float32)), fit_to(greys.astype(np.float32))
    assert fitted.std == pytest.approx([unit * wanted.std[0]], rel=1e-5)
    assert fitted.levels == pytest.approx([unit * level for level in wanted.levels], rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-9, 12345.678])
def test_pixels_of_one_value_are_refused(value):
    with pytest.raises(InputError, match="tiles: all pixels of the tiles to learn from are"):
        fit_to(np.full((64, 64), value, np.float32))


def test_a_channel_of_one_value_stays_as_it_is():
    image = np.random.default_rng(0).random((64, 64, 3), np.float32)
    image[..., 2] = 0.1
    assert fit_to(image).std[2] == 1


def test_rare_pixels_give_black_and_white_in_their_unit():
    heights = np.full((200, 200), 5e-8, np.float32)
    heights[0, 1] = 9e-8
    black, white = fit_to(heights).levels
    assert 0 < white - black < 4e-8
