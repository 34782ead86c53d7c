"""Sentences of a report claim what test and interval allow, and no more."""

import pytest

from mstool.reports import sentences
from mstool.reports.sentences import BETTER, NETWORKS_ONLY, NOT_TOLD, TOO_FEW, WORSE, judge

LEAK = {"checked": True, "trained_on": [], "same_group": [], "transductive": [], "allowed": []}


def versus(difference=0.05, interval=(0.01, 0.09), p_holm=0.01, can_distinguish=True):
    found = {
        "difference": difference,
        "interval": interval and list(interval),
        "p_holm": p_holm,
        "can_distinguish": can_distinguish,
        "smallest_p": 0.002,
        "least_difference": 0.03,
        "has_run_variance": True,
    }
    return found | {"verdict": judge(found)}


def entry(label="cell", **changes):
    return {
        "name": label,
        "label": label,
        "status": "done",
        "is_base": False,
        "n_images": 8,
        "n_units": 8,
        "unit": "image",
        "n_runs": 2,
        "mean_iou": 0.8,
        "interval": [0.7, 0.9],
        "majority": 0.3,
        "otsu": None,
        "leak": LEAK,
        "is_out_of_fold": True,
        "cost": {"is_estimate": False, "devices": []},
        "versus": None,
    } | changes


BASE = entry("base", is_base=True)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, BETTER),
        ({"difference": -0.05, "interval": (-0.09, -0.01)}, WORSE),
        ({"interval": (-0.01, 0.11)}, NETWORKS_ONLY),
        ({"interval": None}, NETWORKS_ONLY),
        ({"p_holm": 0.06}, NOT_TOLD),
        ({"p_holm": None}, NOT_TOLD),
        ({"p_holm": 0.2, "can_distinguish": False}, TOO_FEW),
    ],
)
def test_difference_is_told_where_test_and_interval_agree(changes, verdict):
    assert versus(**changes)["verdict"] == verdict


def test_answer_names_what_is_told_and_what_is_not():
    cells = [BASE, entry("wide", versus=versus()), entry("deep", versus=versus(p_holm=0.4))]
    said = " ".join(sentences.say_answer(cells, 2))
    assert "mean IoU of 0.800, 95 % interval 0.700 to 0.900" in said
    assert "wide is better by 0.050 (+0.010 to +0.090; p 0.01)." in said
    assert "deep is not told from the base; that is no proof of being equal" in said
    assert "differences of 0.030 or more" in said
    assert "corrected for 2 comparisons" in said


def test_difference_within_repeats_is_not_called_better():
    cells = [BASE, entry("wide", versus=versus(interval=(-0.01, 0.11)))]
    said = " ".join(sentences.say_answer(cells, 1) + sentences.say_of_figure(cells))
    assert "better" not in said
    assert "no more than repeats of one cell do" in said


def test_too_few_for_an_interval_is_said():
    few = entry("one", is_base=True, n_images=3, n_units=3, interval=None)
    said = " ".join(sentences.say_answer([few], 0) + sentences.say_of_table([few], 0))
    assert "3 micrographs are too few for an interval, which needs 4" in said
    assert "No interval (one)" in said


def test_no_base_no_answer():
    missing = {"name": "base", "label": "base", "status": "missing", "is_base": True}
    assert "nothing can be compared" in sentences.say_answer([missing, entry()], 0)[0]
    assert sentences.say_answer([missing], 0) == [
        "Nothing is scored yet, so that there is no answer."
    ]
    assert "Missing: base." in sentences.say_of_missing([missing, entry()])[0]
    assert sentences.say_what_was_compared([missing], "steel") == [
        "1 cell on steel, of which 0 scored."
    ]


def test_single_training_is_said():
    once = [entry("base", is_base=True, n_runs=1), entry("wide", n_runs=1, versus=versus())]
    assert any("chance in training is in none" in line for line in sentences.say_of_table(once, 1))
    assert any("trained once" in line for line in sentences.say_of_figure(once))


@pytest.mark.parametrize(
    ("leak", "words"),
    [
        ({}, "None of the scored micrographs had been trained on"),
        ({"trained_on": ["a"]}, "1 of 8 scored micrographs had been trained on"),
        ({"same_group": ["a", "b"]}, "2 are new, but of specimens that were trained on"),
        ({"checked": False}, "Not checked"),
        ({"allowed": ["pixels are shared"]}, "--allow-leak though pixels are shared"),
    ],
)
def test_leaks_are_said(leak, words):
    said = " ".join(sentences.say_of_leak(entry(leak=LEAK | leak)))
    assert words in said


def test_leak_comes_before_the_claim_of_being_held_out():
    leaky = entry(leak=LEAK | {"trained_on": ["a"]})
    assert "leak audit before" in " ".join(sentences.say_what_was_compared([BASE, leaky], ""))
    unknown = entry(leak=LEAK | {"checked": False})
    assert "not known" in " ".join(sentences.say_what_was_compared([BASE, unknown], ""))
    assert "out of fold" in " ".join(sentences.say_what_was_compared([BASE], ""))
