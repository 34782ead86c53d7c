from dataclasses import replace

import numpy as np
import pytest

from mstool.explanations.controls import CONTROLS, DISTANCE, EDGE, RANDOM
from mstool.explanations.controls_beaten import Removal, mean_curves, weigh_removal
from mstool.explanations.removal import GRADIENT, SHARE, RemovalCurves
from mstool.explanations.verdicts import Thresholds

LIMITS = Thresholds()
SHARES = np.array([0.0, 1.0])


def removal(road, infidelity, height=0.5):
    curve = np.full(2, height)
    return Removal(road, {SHARE: infidelity}, RemovalCurves(SHARES, curve, 1 - curve))


def rows_of(n, road=0.5, infidelity=0.1):
    """A map as good as given against controls that know nothing, all with a little scatter."""
    rng = np.random.default_rng(0)
    controls = {EDGE: 0.1, RANDOM: 0.0, DISTANCE: 0.05}
    return [
        {
            "ig": removal(road + 0.01 * rng.uniform(), infidelity + 0.01 * rng.uniform()),
            **{name: removal(level, 1.0 - level) for name, level in controls.items()},
        }
        for _ in range(n)
    ]


def test_perfect_map_passes_on_six_micrographs():
    found = weigh_removal(rows_of(6), list("abcdef"), "ig", LIMITS)
    assert found.verdict == "pass"
    assert found.least_attainable_p == 2**-6
    assert found.p[RANDOM] == pytest.approx({"road": 2**-6, "infidelity": 2**-6})
    assert set(found.p) == set(CONTROLS)


def test_eight_regions_of_one_micrograph_are_one_unit_and_show_nothing():
    found = weigh_removal(rows_of(8), ["a"] * 8, "ig", LIMITS)
    assert found.verdict == "inconclusive"
    assert "1 micrographs" in found.reason
    assert found.n_pairs[RANDOM] == {"road": 1, "infidelity": 1}
    assert len(found.road_per_unit) == 1


def test_pairs_that_are_not_defined_do_not_help_to_pass():
    rows = rows_of(6)
    rows[2]["ig"] = removal(0.5, np.nan)
    found = weigh_removal(rows, list("abcdef"), "ig", LIMITS)
    assert found.verdict == "inconclusive"
    assert found.n_pairs[RANDOM] == {"road": 6, "infidelity": 5}
    assert found.least_attainable_p == 2**-5


@pytest.mark.parametrize(("n", "verdict"), [(5, "inconclusive"), (6, "fail")])
def test_map_that_knows_nothing_fails_once_there_are_enough_micrographs(n, verdict):
    found = weigh_removal(rows_of(n, road=-0.1, infidelity=1.0), list("abcdef")[:n], "ig", LIMITS)
    assert found.verdict == verdict


def test_regions_of_a_unit_are_averaged_first():
    rows = [*rows_of(1, road=0.2), *rows_of(1, road=0.4), *rows_of(1, road=0.9)]
    found = weigh_removal(rows, ["a", "a", "b"], "ig", LIMITS)
    assert found.road_per_unit == pytest.approx((0.3, 0.9), abs=0.01)
    assert found.road == pytest.approx(0.6, abs=0.01)


def test_noise_has_nothing_to_beat_and_the_distance_does_not_beat_itself():
    noise = weigh_removal(rows_of(6), list("abcdef"), RANDOM, LIMITS)
    assert (noise.verdict, RANDOM in noise.p) == (None, False)
    distance = weigh_removal(rows_of(6), list("abcdef"), DISTANCE, LIMITS)
    assert distance.verdict == "inconclusive"


def test_controls_face_a_map_by_what_its_values_are():
    rows = rows_of(6, infidelity=0.5)
    for row in rows:
        row["gradient"] = replace(row["ig"], infidelity={GRADIENT: 0.5})
        for control in CONTROLS:
            row[control].infidelity[GRADIENT] = 0.4
    found = weigh_removal(rows, list("abcdef"), "gradient", LIMITS, GRADIENT)
    assert (found.verdict, found.infidelity_ratio) == ("fail", 0.5)
    assert weigh_removal(rows, list("abcdef"), "ig", LIMITS).verdict == "pass"


def test_curves_are_means_over_units():
    rows = [{"ig": removal(0, 0, height)} for height in (0.0, 0.2, 0.7)]
    found = mean_curves(rows, ["a", "a", "b"], "ig")
    np.testing.assert_allclose(found.deletion, 0.4)
    np.testing.assert_allclose(found.insertion, 0.6)
