import numpy as np
import pytest

from mstool.explanations.layer_features import count_dead, rank_channels
from mstool.explanations.reach import advise, draw_centre
from mstool.explanations.sizes import measure_components, measure_phases, median_thickness


def test_thickness_is_that_of_a_stripe_in_pixels():
    inside = np.zeros((30, 30), bool)
    inside[10:15] = True
    areas, thickness = measure_components(inside)
    assert (areas.tolist(), thickness.tolist()) == ([150], [5])
    assert median_thickness(inside) == 5


def test_the_frame_is_no_edge():
    inside = np.zeros((20, 20), bool)
    inside[:, 14:] = True  # six columns seen, and as many behind the frame
    assert median_thickness(inside) == 11
    assert np.isnan(median_thickness(np.ones((5, 5), bool)))
    assert np.isnan(median_thickness(np.zeros((5, 5), bool)))


def test_a_few_specks_do_not_make_a_grain_thin():
    inside = np.zeros((200, 200), bool)
    inside[40:160, 40:160] = True
    inside[5, 5::20] = True
    assert median_thickness(inside) == 119
    assert median_thickness(inside[:20]) == 1  # where there is nothing else


def test_ignored_pixels_are_no_edge_and_specks_do_not_count():
    labels = np.zeros((40, 40), np.uint8)
    labels[10:15, 5:35] = 1
    labels[15:20, 5:35] = 255  # so that the stripe may well go on
    labels[30, 30] = 1
    found = measure_phases([labels], ["matrix", "stripe", "absent"])
    assert (found["stripe"].n_regions, found["stripe"].thickness_px) == (1, 9)
    assert found["stripe"].diameter_px == pytest.approx(2 * np.sqrt(5 * 30 / np.pi))
    assert found["absent"].n_regions == 0
    assert np.isnan(found["absent"].thickness_px)


def test_advice_follows_from_what_was_measured():
    lines = advise(20.0, 44, 64, {"thick": 90.0, "thin": 10.0})
    assert "--overlap 48" in lines[0]
    assert any("tiles of 64 px" in line for line in lines)
    assert any(line.startswith("thick:") for line in lines)
    assert not any(line.startswith("thin:") for line in lines)
    assert any("whole tile" in line for line in advise(20.0, np.inf, 512, {}))
    assert not any("whole tile" in line for line in advise(20.0, np.nan, 512, {}))


def test_advice_from_windows_that_cut_the_field_is_the_least():
    lines = advise(20.0, 444, 512, {"thick": 90.0}, cut_at=64)
    assert any("fields of 64 px" in line and "least" in line for line in lines)
    assert not any(line.startswith("thick:") for line in lines)


def test_without_any_gradient_there_is_nothing_to_advise():
    (line,) = advise(np.nan, 44, 64, {"thick": 90.0})
    assert "nothing can be advised" in line


def test_centres_lie_near_the_edge_or_deep_inside():
    inside = np.zeros((41, 41), bool)
    inside[10:31, 10:31] = True
    rng = np.random.default_rng(0)
    for _ in range(20):
        near, deep = (np.array(draw_centre(inside, is_near, rng)) for is_near in (True, False))
        assert inside[tuple(near)] and inside[tuple(deep)]
        assert np.abs(near - 20).max() >= np.abs(deep - 20).max()


def test_channels_are_ranked_by_mean_absolute_value():
    values = np.array([1.0, 0.0, -3.0, np.nan, 2.0])
    activation = np.broadcast_to(values[:, None, None], (5, 2, 2))
    order, strength = rank_channels(activation)
    assert order.tolist() == [2, 4, 0, 1, 3]
    assert strength[:4].tolist() == [3, 2, 1, 0]
    assert count_dead(activation) == 1
