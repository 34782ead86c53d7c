import numpy as np
import pytest

from mstool.explanations.known_cause import Attacked, patch_density, weigh_patches
from mstool.explanations.verdicts import Thresholds

LIMITS = Thresholds()


def test_density_of_zeros_is_nothing():
    assert patch_density(np.zeros((4, 4)), np.eye(4, dtype=bool)) == 0


def test_patches_count_by_the_best_hiding_place():
    attacks = [
        Attacked(3.0, {"ig": 10.0}, {"cam": {"ig": 9.0}, "other": {"ig": 2.0}}),
        Attacked(4.0, {"ig": 20.0}, {"cam": {"ig": 20.0}, "other": {"ig": 8.0}}),
        Attacked(0.1, {}, {}),  # no cause
        Attacked(np.nan, {}, {}),  # no room
    ]
    found = weigh_patches(attacks, "ig", LIMITS)
    assert found.enrichment == 15
    assert found.hidden_from == pytest.approx({"cam": 0.95, "other": 0.3})
    assert (found.kept, found.verdict) == (pytest.approx(0.3), "fail")


def test_without_a_patch_that_works_nothing_is_said():
    found = weigh_patches([Attacked(0.1, {}, {})], "ig", LIMITS)
    assert found.verdict == "inconclusive"
    assert np.isnan([found.enrichment, found.kept]).all()
