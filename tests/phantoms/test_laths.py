"""Laths and lamellae."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mstool.phantoms.laths import (
    bell,
    draw_lamellae,
    draw_laths,
    locate_stripes,
    orient_packets,
    stripe_phase,
)


def strongest_period(values):
    """Period of the strongest wave along a line [px]."""
    power = np.abs(np.fft.rfft(values - values.mean())) ** 2
    return 1.0 / np.fft.rfftfreq(len(values))[power.argmax()]


def test_stripes_at_90_degrees_change_along_the_columns():
    row, col = np.array([0, 7]), np.array([0, 0])

    phase = stripe_phase((row, col), np.full(2, 90.0), np.full(2, 4.0), np.zeros(2))

    np.testing.assert_allclose(phase, 0, atol=1e-12)


@given(start=st.integers(0, 50), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_located_stripe_holds_the_pixel(start, seed):
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-0.49, 0.49, 17)
    phase = rng.uniform(-20, 20, 300)

    stripe, below, above = locate_stripes(phase, np.full(300, start), shift)

    lower = stripe + shift[(stripe + start) % 17]
    upper = stripe + 1 + shift[(stripe + 1 + start) % 17]
    assert np.all((lower <= phase) & (phase <= upper))
    np.testing.assert_allclose(below + above, upper - lower)
    assert np.all(below >= -1e-12)
    assert np.all(above >= -1e-12)


def test_lamellae_repeat_at_their_spacing():
    where = (np.arange(400), np.zeros(400, int))

    stripes = draw_lamellae(where, np.zeros(400, int), np.zeros(1), np.full(1, 5.0), 0.4, 0.0)

    assert strongest_period(stripes.grey) == 5.0


def test_cementite_takes_its_share_of_the_spacing():
    where = (np.arange(4000), np.zeros(4000, int))

    stripes = draw_lamellae(where, np.zeros(4000, int), np.zeros(1), np.full(1, 31.7), 0.3, 0.0)

    assert abs(np.mean(stripes.grey < 0) - 0.3) < 0.02


def test_laths_have_their_mean_width_and_dark_edges():
    n = 8000
    where = (np.arange(n), np.zeros(n, int))
    rng = np.random.default_rng(3)

    stripes = draw_laths(
        where, np.zeros(n, int), np.zeros(1), np.full(1, 10.0), 2.0, 0.0, np.ones(n), rng
    )

    at_edge = stripes.edge_distance_px < 0.5
    assert abs(np.sum(at_edge) / (n / 10.0) - 1.0) < 0.05  # one pixel an edge, one edge a lath
    assert stripes.grey[at_edge].mean() < stripes.grey[stripes.edge_distance_px > 3].mean() - 1.0


def test_packets_of_a_region_share_four_variants():
    region = np.zeros(400, int)

    angle = orient_packets(region, np.random.default_rng(0))

    doubled = np.exp(8j * np.deg2rad(angle))  # variants lie 45 degrees apart
    assert abs(doubled.mean()) > 0.6
    assert np.all((angle >= 0) & (angle < 180))


def test_bell_is_half_at_half_its_width():
    np.testing.assert_allclose(bell(np.array([0.0, 1.5, -1.5]), 3.0), [1.0, 0.5, 0.5])
