"""Random fields and random streams."""

import numpy as np
import pytest

from mstool.errors import UsageError
from mstool.phantoms.nuisance import draw_precipitates, draw_scratches
from mstool.phantoms.smooth_noise import mottle_noise, smooth_noise, standardise
from mstool.phantoms.streams import Stream, open_stream


@pytest.mark.parametrize("shape", [(64, 64), (70, 301)])
@pytest.mark.parametrize("scale_px", [2.0, 17.3, 5000.0])
def test_smooth_noise_has_mean_0_and_rms_1(shape, scale_px):
    field = smooth_noise(shape, scale_px, np.random.default_rng(0))

    assert field.shape == shape
    assert abs(field.mean()) < 1e-9
    assert abs(field.std() - 1) < 1e-9


def test_smooth_noise_is_smoother_at_a_larger_scale():
    steps = [
        np.abs(np.diff(smooth_noise((128, 128), scale, np.random.default_rng(0)))).mean()
        for scale in (4, 8, 16, 32)
    ]

    assert np.all(np.diff(steps) < 0)


def test_mottle_has_no_preferred_direction():
    field = mottle_noise((256, 256), 8.0, np.random.default_rng(0))

    along_rows, along_cols = (np.abs(np.diff(field, axis=axis)).mean() for axis in range(2))

    assert abs(along_rows / along_cols - 1) < 0.05


def test_constant_standardises_to_zero():
    assert standardise(np.full(3, 7.0)).tolist() == [0, 0, 0]


def test_streams_are_repeatable_and_apart():
    first = open_stream(1, 0, Stream.NOISE).random(4)

    np.testing.assert_array_equal(first, open_stream(1, 0, Stream.NOISE).random(4))
    for other in (
        open_stream(2, 0, Stream.NOISE),
        open_stream(1, 1, Stream.NOISE),
        open_stream(1, 0, Stream.GRAINS),
    ):
        assert not np.any(first == other.random(4))


def test_negative_key_is_refused():
    with pytest.raises(UsageError, match="may be negative"):
        open_stream(1, -1, Stream.NOISE)


def test_one_precipitate_covers_its_disc():
    change = draw_precipitates((41, 41), 1, 5.0, np.random.default_rng(1))

    radius_px = np.sqrt(np.abs(change).sum() / np.abs(change).max() / np.pi)
    assert 2.9 < radius_px < 7.1


def test_no_nuisance_changes_nothing():
    rng = np.random.default_rng(0)

    assert not draw_precipitates((9, 9), 0, 2.0, rng).any()
    change, angles = draw_scratches((9, 9), 0, 1.0, rng)
    assert not change.any()
    assert angles == []


def test_scratch_is_thin_and_runs_along_its_angle():
    change, (angle,) = draw_scratches((101, 101), 1, 2.0, np.random.default_rng(4))
    rows, cols = np.nonzero(np.abs(change) > 0.5 * np.abs(change).max())

    turn = np.deg2rad(angle)
    across = rows * np.cos(turn) - cols * np.sin(turn)
    assert np.ptp(across) <= 2.0
