import numpy as np
import pytest

from mstool.explanations.known_cause import Attacked, KnownCause, patch_density, weigh_patches
from mstool.explanations.verdicts import Thresholds, judge_method, judge_part

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


@pytest.mark.parametrize(("shift", "verdict"), [(np.nan, "inconclusive"), (0.1, "trustworthy")])
def test_only_patches_that_were_tried_can_be_resisted(shift, verdict):
    attacks = [Attacked(shift, {}, {})] * 4
    shown = weigh_patches(attacks, "ig", LIMITS)
    found = KnownCause(4, 4, 0, False, (shift,) * 4, {"ig": shown}, {})
    passed = dict.fromkeys(("sanity", "faithfulness"), ("pass", ""))
    outcomes = passed | {"patch": judge_part(shown.verdict, shown.reason, False)}
    judged, reasons = judge_method(outcomes, True, not found.is_resisted)
    assert judged == verdict
    assert any("room for a patch" in reason for reason in reasons) == np.isnan(shift)


def test_without_a_patch_that_works_nothing_is_said():
    found = weigh_patches([Attacked(0.1, {}, {})], "ig", LIMITS)
    assert found.verdict == "inconclusive"
    assert np.isnan([found.enrichment, found.kept]).all()
