import numpy as np
import pytest

from mstool.explanations.verdicts import (
    Thresholds,
    judge_faithfulness,
    judge_method,
    judge_patch,
    judge_sanity,
)

LIMITS = Thresholds()
GOOD = {"sanity": "pass", "faithfulness": "pass", "patch": "pass"}


@pytest.mark.parametrize(
    ("mean", "last", "zeros", "verdict"),
    [
        (0.1, 0.0, 0.0, "pass"),
        (1.0, 1.0, 0.0, "fail"),  # an edge detector
        (0.92, 0.49, 0.0, "fail"),  # guided backpropagation
        (0.75, 0.37, 0.0, "inconclusive"),
        (0.0, 0.0, 0.4, "degenerate"),
        (np.nan, np.nan, 1.0, "degenerate"),  # all-zero maps
        (np.nan, np.nan, 0.0, "inconclusive"),
    ],
)
def test_maps_that_ignore_weights_fail(mean, last, zeros, verdict):
    assert judge_sanity(mean, last, zeros, LIMITS) == verdict


def test_controls_must_be_beaten_with_enough_regions():
    assert judge_faithfulness([0.004, 0.01], [0.2, 0.02], 8, LIMITS) == "pass"
    assert judge_faithfulness([0.004, 0.2], [0.004, 0.004], 8, LIMITS) == "fail"
    assert judge_faithfulness([0.004, 0.01], [0.2, 0.03], 8, LIMITS) == "inconclusive"
    assert judge_faithfulness([0.06, 0.06], [0.06, 0.06], 4, LIMITS) == "inconclusive"
    assert judge_faithfulness([0.01, np.nan], [0.01, 0.01], 8, LIMITS) == "inconclusive"


def test_known_cause_must_show_and_not_hide():
    assert judge_patch(19.0, 0.9, LIMITS) == "pass"
    assert judge_patch(19.0, 0.1, LIMITS) == "fail"
    assert judge_patch(2.0, 1.0, LIMITS) == "fail"
    assert judge_patch(np.nan, np.nan, LIMITS) == "inconclusive"


def test_only_what_passes_all_is_trustworthy():
    assert judge_method(GOOD, True)[0] == "trustworthy"
    assert judge_method(GOOD | {"sanity": "fail"}, True)[0] == "not_supported"
    assert judge_method(GOOD | {"faithfulness": "inconclusive"}, True)[0] == "inconclusive"
    assert judge_method(GOOD | {"sanity": "degenerate"}, True)[0] == "degenerate"
    assert judge_method({"sanity": "pass"}, True)[0] == "inconclusive"
    assert judge_method({}, True)[0] == "not_checked"


def test_network_that_is_not_firmer_than_chance_has_no_trustworthy_explanation():
    verdict, reasons = judge_method(GOOD, False)
    assert verdict == "not_supported"
    assert "random weights" in reasons[0]


def test_decision_that_no_patch_can_change_asks_for_no_patch():
    assert judge_method(GOOD | {"patch": "inconclusive"}, True, False)[0] == "trustworthy"
    assert judge_method(GOOD | {"patch": "inconclusive"}, True, True)[0] == "inconclusive"
