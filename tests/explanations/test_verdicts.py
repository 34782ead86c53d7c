import numpy as np
import pytest

from mstool.explanations.paired import Comparison
from mstool.explanations.verdicts import (
    DECISIVE,
    Thresholds,
    judge_faithfulness,
    judge_method,
    judge_part,
    judge_patch,
    judge_sanity,
)

LIMITS = Thresholds()


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


def compared(p, p_equal=1.0, n=8):
    """A map against a control, by two measures that agree."""
    return {name: Comparison(p, p_equal, n) for name in ("road", "infidelity")}


def against(road, infidelity, n=8):
    return {"road": Comparison(road, 1.0, n), "infidelity": Comparison(infidelity, 1.0, n)}


@pytest.mark.parametrize(
    ("random", "distance", "verdict"),
    [
        (compared(0.004), against(0.2, 0.02), "pass"),
        (compared(0.004), against(0.2, 0.03), "inconclusive"),
        (compared(0.004), {}, "inconclusive"),  # the distance itself
        (against(0.004, 0.2), compared(0.004), "inconclusive"),  # nothing is shown
        (compared(0.6, 0.004), compared(0.004), "fail"),
        (
            {"road": Comparison(0.004, 0.004, 8), "infidelity": Comparison(0.2, 1.0, 8)},
            compared(0.004),
            "inconclusive",
        ),
        (compared(0.6, 0.03), compared(0.004), "inconclusive"),  # the worse of two was picked
        (compared(0.004, 0.004), against(0.2, 0.02), "pass"),  # little, and yet more than noise
    ],
)
def test_beating_controls_and_failing_to_do_so_both_need_evidence(random, distance, verdict):
    assert judge_faithfulness(random, distance, LIMITS)[0] == verdict


@pytest.mark.parametrize(("n", "best", "worst"), [(5, *["inconclusive"] * 2), (6, "pass", "fail")])
def test_so_few_units_that_one_answer_is_impossible_give_none(n, best, worst):
    least = 2.0**-n
    assert judge_faithfulness(compared(least, 1.0, n), compared(least, 1.0, n), LIMITS)[0] == best
    assert judge_faithfulness(compared(1.0, least, n), compared(1.0, least, n), LIMITS)[0] == worst


def test_measure_by_which_a_map_fails_is_named():
    mixed = {"road": Comparison(0.004, 1.0, 8), "infidelity": Comparison(0.6, 0.01, 8)}
    outcome = judge_faithfulness(mixed, {}, LIMITS)
    assert outcome == ("fail", "by infidelity its advantage over noise is too small to count")
    assert judge_method({"faithfulness": outcome}, True)[1] == [
        f"what it names matters no more than random pixels: {outcome[1]}"
    ]
    both = judge_faithfulness(compared(0.6, 0.01), {}, LIMITS)[1]
    assert both.startswith("by road and by infidelity ")


def test_few_units_are_given_as_the_reason():
    verdict, reason = judge_faithfulness(compared(0.03, 1.0, 5), {}, LIMITS)
    assert (verdict, reason) == (
        "inconclusive",
        "5 micrographs or groups could be compared, 6 are needed",
    )
    lone = against(np.nan, np.nan, 1)
    assert judge_faithfulness(lone, lone, LIMITS)[0] == "inconclusive"


def test_known_cause_must_show_and_not_hide():
    assert judge_patch(19.0, 0.9, LIMITS) == "pass"
    assert judge_patch(19.0, 0.1, LIMITS) == "fail"
    assert judge_patch(2.0, 1.0, LIMITS) == "fail"
    assert judge_patch(np.nan, np.nan, LIMITS) == "inconclusive"


def judged(is_decided=True, is_attackable=True, **changes):
    outcomes = {name: (changes.get(name, "pass"), "") for name in DECISIVE}
    made = {name: outcome for name, outcome in outcomes.items() if outcome[0]}
    return judge_method(made, is_decided, is_attackable)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "trustworthy"),
        ({"sanity": "fail"}, "not_supported"),
        ({"faithfulness": "inconclusive"}, "inconclusive"),
        ({"sanity": "degenerate", "patch": "fail"}, "degenerate"),
        ({"patch": "fail", "faithfulness": "inconclusive"}, "not_supported"),
        ({"patch": None}, "inconclusive"),
        ({"sanity": None, "faithfulness": None, "patch": None}, "not_checked"),
    ],
)
def test_only_what_passes_all_is_trustworthy(changes, verdict):
    found, reasons = judged(**changes)
    assert found == verdict
    assert reasons and all(reasons)


def test_reasons_say_what_is_open_and_why():
    outcomes = {"sanity": ("pass", ""), "faithfulness": ("inconclusive", "too few")}
    assert judge_method(outcomes, True)[1] == [
        "patch was not checked",
        "faithfulness is inconclusive: too few",
    ]


def test_network_that_is_not_firmer_than_chance_has_no_trustworthy_explanation():
    verdict, reasons = judged(is_decided=False, sanity="fail")
    assert verdict == "not_supported"
    assert "no more firmly than with random weights" in reasons[0]
    assert len(reasons) == 2


def test_decision_that_no_patch_can_change_asks_for_no_patch():
    verdict, (reason,) = judged(is_attackable=False, patch="inconclusive")
    assert verdict == "trustworthy"
    assert "no patch changed the decision" in reason and "shows known causes" not in reason
    assert judged(is_attackable=True, patch="inconclusive")[0] == "inconclusive"


def test_a_check_that_was_cut_short_passes_nothing():
    assert judge_part("pass", None, is_cut=True) == ("inconclusive", "it was made in part")
    assert judge_part("fail", "because", is_cut=True) == ("fail", "because")
    assert judge_part("pass", None, is_cut=False) == ("pass", "")
