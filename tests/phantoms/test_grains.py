"""Cells, packets and regions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstool.phantoms.grains import Seeds, nearest_seeds, scatter_seeds, solve_offsets, tessellate


def make_cells(shape=(96, 128), fractions=(0.6, 0.4), seed=0, grain=20.0, region=45.0):
    return tessellate(shape, grain, region, list(fractions), np.random.default_rng(seed))


def test_nearest_seed_agrees_with_brute_force():
    rng = np.random.default_rng(1)
    seeds = Seeds(rng.uniform(0, 30, (25, 2)), rng.uniform(-40, 90, 25))
    positions = rng.uniform(-5, 35, (200, 2))
    expected = ((positions[:, np.newaxis] - seeds.points) ** 2).sum(-1) - seeds.weights

    index, power = nearest_seeds(seeds, positions, k=2)

    np.testing.assert_array_equal(index, np.argsort(expected, axis=1)[:, :2])
    np.testing.assert_allclose(power, np.sort(expected, axis=1)[:, :2], atol=1e-9)


def test_heavier_seed_moves_the_wall_away_from_itself():
    # between (0, 0) and (0, 10) the wall is at col 5 + w / 20
    seeds = Seeds(np.array([[0.0, 0.0], [0.0, 10.0]]), np.array([40.0, 0.0]))

    index, _ = nearest_seeds(seeds, np.array([[0.0, 6.9], [0.0, 7.1]]))

    assert index.tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(4))
def test_rare_ferrite_is_there_beside_two_other_classes(seed):
    wanted = (0.05, 0.57, 0.38)
    labels = make_cells((128, 128), wanted, seed, grain=50.0, region=120.0).labels

    np.testing.assert_allclose(np.bincount(labels.ravel()) / labels.size, wanted, atol=0.015)


@pytest.mark.parametrize("shape", [(64, 64), (64, 300), (200, 90)])
def test_seeds_reach_beyond_the_image(shape):
    seeds = scatter_seeds(shape, 50.0, np.random.default_rng(0))

    assert np.all(seeds.points.min(axis=0) < 0)
    assert np.all(seeds.points.max(axis=0) > shape)


@given(
    foreground=st.floats(0.1, 0.9),
    share=st.floats(0.1, 0.9),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_offsets_give_every_class_its_fraction(foreground, share, seed):
    powers = np.random.default_rng(seed).normal(size=(4000, 3)) * 30
    wanted = [1 - foreground, foreground * (1 - share), foreground * share]

    winners = np.argmin(powers - solve_offsets(powers, wanted), axis=1)

    np.testing.assert_allclose(np.bincount(winners, minlength=3) / 4000, wanted, atol=0.01)


@pytest.mark.parametrize("shape", [(64, 64), (96, 200), (251, 67)])
@pytest.mark.parametrize("fractions", [(0.6, 0.4), (0.5, 0.35, 0.15)])
def test_fractions_are_met_whatever_the_shape(shape, fractions):
    labels = make_cells(shape, fractions, grain=40.0, region=100.0).labels

    np.testing.assert_allclose(
        np.bincount(labels.ravel(), minlength=len(fractions)) / labels.size, fractions, atol=0.02
    )


def test_every_cell_pixel_has_another_cell_behind_its_boundary():
    cells = make_cells()

    assert np.all(cells.cell != cells.neighbour)
    assert np.all(cells.boundary_distance_px >= 0)


def test_boundary_distance_is_small_exactly_where_cells_meet():
    cells = make_cells()
    meets = cells.cell[:, 1:] != cells.cell[:, :-1]

    distance = cells.boundary_distance_px
    assert np.percentile(np.minimum(distance[:, 1:], distance[:, :-1])[meets], 99) < 1.0
    assert np.median(distance) > 2.0


def test_only_foreground_cells_belong_to_a_region():
    cells = make_cells()

    np.testing.assert_array_equal(cells.cell_region >= 0, cells.cell_class > 0)
