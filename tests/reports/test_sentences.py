"""Sentences of a report claim what test and interval allow, and no more."""

import pytest

from mstool.reports import sentences
from mstool.reports.sentences import BETTER, NOT_TOLD, TOO_FEW, UNCLEAR, WORSE, judge

LEAK = {"checked": True, "trained_on": [], "same_group": [], "transductive": [], "allowed": []}


def versus(difference=0.05, interval=(0.01, 0.09), p_holm=0.01, can_distinguish=True):
    found = {
        "difference": difference,
        "interval": interval and list(interval),
        "p_holm": p_holm,
        "can_distinguish": can_distinguish,
        "smallest_p": 0.002,
        "least_p_holm": 0.004,
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
        ({"interval": (-0.01, 0.11)}, UNCLEAR),
        ({"interval": (0.0, 0.1)}, UNCLEAR),
        ({"interval": (-0.1, 0.0)}, UNCLEAR),
        ({"interval": None}, UNCLEAR),
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
    assert "a difference of 0.030 in 80 of 100 studies, before the correction" in said
    assert "corrected for 2 comparisons" in said


@pytest.mark.parametrize("n_runs", [1, 2])
def test_difference_of_which_test_and_interval_disagree_is_not_called_better(n_runs):
    cells = [BASE, entry("wide", n_runs=n_runs, versus=versus(interval=(-0.01, 0.11)))]
    said = " ".join(sentences.say_answer(cells, 1) + sentences.say_of_figure(cells))
    assert "better" not in said
    assert "Test and interval disagree on wide" in said
    assert "no more than repeats" not in said  # which the interval alone does not show


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
        ({"named_alike": ["a"]}, "1 are named alike with ones that were trained on, and of other"),
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


def test_interval_that_is_not_defined_is_not_blamed_on_few_micrographs():
    perfect = entry("base", is_base=True, interval=None)
    said = " ".join(sentences.say_answer([perfect], 0) + sentences.say_of_table([perfect], 0))
    assert "too few" not in said and "fewer than" not in said
    assert "whose interval is not defined" in said
    assert "No interval (base): the score does not vary" in said


@pytest.mark.parametrize("key", ["named_alike", "same_group", "transductive"])
def test_known_specimens_come_before_the_claim_of_being_held_out(key):
    leaky = entry(leak=LEAK | {key: ["a"]})
    said = " ".join(sentences.say_what_was_compared([BASE, leaky], ""))
    assert "had not seen" not in said
    assert "leak audit before anything else" in said


def test_all_leaks_that_were_let_pass_are_said():
    said = sentences.say_of_leak(entry(leak=LEAK | {"allowed": ["a is in both", "so is b"]}))
    assert "though a is in both; so is b." in said[0]


def test_smallest_corrected_p_is_that_of_the_comparisons():
    cells = [BASE, entry("wide", versus=versus()), entry("deep", versus=versus())]
    said = " ".join(sentences.say_of_table(cells, 9))
    assert "cannot be below 0.002, after correction below 0.004" in said


def test_only_comparisons_that_cannot_show_a_difference_are_said_to_be_so():
    few = versus(can_distinguish=False) | {"smallest_p": 0.125, "least_p_holm": 0.25}
    cells = [BASE, entry("many", versus=versus()), entry("few", versus=few)]
    said = " ".join(sentences.say_of_table(cells, 2))
    assert "cannot be below 0.002 or 0.12, after correction below 0.004 or 0.25" in said
    assert "the comparison of few cannot show a difference" in said
    assert "the table cannot" in " ".join(sentences.say_of_table([BASE, cells[2]], 2))


def test_cells_trained_once_have_no_repeats_in_their_intervals():
    mixed = [BASE, entry("once", n_runs=1, versus=versus() | {"has_run_variance": False})]
    (line,) = [line for line in sentences.say_of_table(mixed, 1) if "between repeats" in line]
    assert "intervals of scores of cells that have several, not in all of those of diff" in line
    (line,) = [line for line in sentences.say_of_table([BASE], 0) if "between repeats" in line]
    assert "differences;" not in line


def training(best_epoch, is_last=False):
    return {"best_epoch": best_epoch, "is_last": is_last}


def test_curves_without_validation_have_chosen_nothing():
    assert sentences.say_of_curves([training(None)]) == []
    said = sentences.say_of_curves([training(3), training(8, True)])
    assert "decided which epoch was kept" in said[0]
    assert "In 1 of 2 trainings the last epoch was the best" in said[1]


def row(interval, n_images, true=0.5, predicted=0.5):
    return {
        "interval": interval,
        "n_images": n_images,
        "true_share": true,
        "predicted_share": predicted,
    }


def test_classes_without_an_interval_are_named_whatever_the_number_of_micrographs():
    classes = {"a": row([0.1, 0.2], 8), "b": row(None, 8), "c": row([0.1, 0.2], 8, 0.10, 0.13)}
    said = " ".join(sentences.say_of_classes({"classes": classes}))
    assert "No interval of b (in 8 micrographs):" in said
    assert "off by more than a fifth: c (+3.0 % of the area)." in said


def test_calibration_says_of_which_repeat_it_is():
    found = {"ece": 0.05, "rank_correlation": -0.5}
    said = " ".join(sentences.say_of_calibration({"calibration": found, "n_runs": 2}))
    assert said.startswith("Of the first of 2 repeats.")
    assert "correlation of -0.50 (1: always" in said
    assert "repeats" not in sentences.say_of_calibration({"calibration": found, "n_runs": 1})[0]


def test_fields_that_were_not_looked_for_are_said():
    said = sentences.say_of_leak(entry(leak=LEAK | {"searched": False}))
    assert said[0].startswith("None of the scored micrographs had been trained on")
    assert "was not looked for: run split --audit" in said[1]
    assert len(sentences.say_of_leak(entry(leak=LEAK | {"searched": True}))) == 1


def test_cells_that_hardly_differ_show_no_difference_of_nothing():
    alike = versus(difference=0.0, p_holm=1.0) | {"least_difference": 1e-6}
    said = " ".join(sentences.say_answer([BASE, entry("crop", versus=alike)], 1))
    assert "crop is not told from the base; that is no proof of being equal." in said


def test_cells_that_differ_in_several_factors_stand_apart():
    cells = [entry(f"loss {name}, size 64", versus=versus(p_holm=0.5)) for name in ("ce", "dice")]
    answer = " ".join(sentences.say_answer([BASE, *cells], 2))
    assert "loss ce, size 64; loss dice, size 64 are not told from the base" in answer
    notes = " ".join(sentences.say_of_figure([BASE, *cells]))
    assert "Not told from it: loss ce, size 64; loss dice, size 64." in notes


@pytest.mark.parametrize(
    "changes", [{}, {"interval": None}, {"p_holm": 0.5}, {"p_holm": 0.5, "can_distinguish": False}]
)
def test_specimens_are_not_called_micrographs(changes):
    cells = [
        entry(name, n_images=24, n_units=3, unit="group", is_base=name == "base", versus=found)
        for name, found in (("base", None), ("new", versus(**changes)))
    ]
    said = " ".join(sentences.say_answer(cells, 1) + sentences.say_of_table(cells, 1))
    assert "in whole specimens" in said and "so many specimens" in said
    for wrong in ("whole micrographs", "so many micrographs", "few micrographs"):
        assert wrong not in said
