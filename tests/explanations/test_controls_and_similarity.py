import numpy as np
import pytest

from mstool.explanations.controls import CONTROLS, control_maps, edge_map
from mstool.explanations.similarity import is_degenerate, spearman, structural_similarity


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    return rng.normal(size=(24, 24)), rng.normal(size=(24, 24)), np.ones((24, 24), bool)


def test_edges_of_a_step_lie_on_the_step():
    image = np.zeros((8, 8, 1), np.float32)
    image[:, 4:] = 1
    assert set(np.flatnonzero(edge_map(image)[4])) == {3, 4}


def test_controls_come_in_order_and_know_nothing_of_a_network():
    region = np.zeros((8, 8), bool)
    region[2, 2] = True
    found = control_maps(np.zeros((8, 8, 1)), region, np.random.default_rng(0))
    assert tuple(found) == CONTROLS
    assert found["distance"].argmax() == 2 * 8 + 2


def test_correlation_keeps_its_sign(maps):
    first, other, window = maps
    assert spearman(first, first, window) == pytest.approx(1)
    assert spearman(first, -first, window) == pytest.approx(-1)
    assert abs(spearman(first, other, window)) < 0.15


def test_only_the_window_counts(maps):
    first, other, _ = maps
    left = np.zeros((24, 24), bool)
    left[:, :12] = True
    mixed = np.where(left, first, other)
    assert spearman(first, mixed, left) == pytest.approx(1)
    assert spearman(first, mixed, ~left) < 0.2


def test_zero_maps_have_no_similarity(maps):
    first, _, window = maps
    zeros = np.zeros_like(first)
    assert is_degenerate(zeros, window)
    assert np.isnan(spearman(first, zeros, window))
    assert np.isnan(structural_similarity(first, zeros, window, is_signed=True))


@pytest.fixture
def halves():
    """Window of the left half, and of the right one."""
    left = np.zeros((24, 24), bool)
    left[:, :12] = True
    return left, ~left


def test_structure_is_compared_in_the_window_alone(maps, halves):
    first, other, whole = maps
    left, right = halves
    mixed = np.where(left, first, other)
    inner = left.copy()
    inner[:, 9:] = False  # the local index looks 3 pixels around
    assert structural_similarity(first, mixed, inner, is_signed=True) == pytest.approx(1)
    assert structural_similarity(first, mixed, right, is_signed=True) < 0.3
    assert 0.4 < structural_similarity(first, mixed, whole, is_signed=True) < 0.8


def test_values_outside_the_window_do_not_set_the_scale(maps, halves):
    first, other, _ = maps
    left, right = halves
    inner = left.copy()
    inner[:, 9:] = False
    near = first + 0.5 * other
    still = structural_similarity(first, near, inner, is_signed=True)
    louder = [np.where(right, 1000 * values, values) for values in (first, near)]
    assert structural_similarity(*louder, inner, is_signed=True) == pytest.approx(still)


def test_structure_of_a_map_is_that_of_itself(maps):
    first, other, window = maps
    assert structural_similarity(first, first, window, is_signed=True) == pytest.approx(1)
    assert structural_similarity(first, other, window, is_signed=True) < 0.3
