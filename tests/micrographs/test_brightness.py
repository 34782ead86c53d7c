"""How far the brightness of micrographs is from those to learn from."""

import numpy as np
import pytest

from mstool.micrographs.brightness import Brightness, find_widest_gap, measure_brightness


def test_the_farthest_is_held_against_the_nearest_to_learn_from():
    learnt = {"a": Brightness(100, 10), "b": Brightness(180, 60), "c": Brightness(150, 20)}
    shown = {"x": Brightness(110, 1), "y": Brightness(230, 1), "z": Brightness(150, 1)}
    gap = find_widest_gap(shown, learnt)
    assert (gap.name, gap.mean, gap.nearest, gap.n_std) == ("y", 230, 180, 2.5)


def test_no_gap_is_none_and_flat_ones_have_no_measure():
    flat = {"a": Brightness(100, 0)}
    assert find_widest_gap({}, flat) is None
    assert find_widest_gap({"x": Brightness(100, 5)}, flat) is None
    assert find_widest_gap({"x": Brightness(101, 5)}, flat).n_std == np.inf


def test_brightness_is_that_of_all_tiles():
    tiles = [np.full((3, 4), 10.0), np.full((3, 8), 40.0)]
    found = measure_brightness(tiles)
    assert (found.mean, found.std) == pytest.approx((30, 200**0.5))
