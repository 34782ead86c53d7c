"""What to do next follows from what was found, and asks for nothing that is there."""

from types import SimpleNamespace

import numpy as np
import pytest

from mstool.chance.divisions import divide
from mstool.shift.choice import LEAST_GAIN
from mstool.shift.mitigation import compare_repairs
from mstool.shift.readings import Reading
from mstool.shift.verdict import recommend

NAMES = [f"image {number}" for number in range(6)]


def scored(n_units):
    return SimpleNamespace(n_units=n_units)


def findings(
    *, detected=True, source=None, target=None, mitigation=None, with_model=True, can_detect=True
):
    """Facts that a recommendation rests on; sets without labels unless scores are given."""
    return SimpleNamespace(
        measured=SimpleNamespace(tests=SimpleNamespace(detected=detected, can_detect=can_detect)),
        performance=SimpleNamespace(source=source, target=target) if with_model else None,
        mitigation=mitigation,
        chosen=mitigation and mitigation.chosen,
    )


def repair(chosen="tent", *, is_better=True, makes_worse=False, left_out=(), impossible=()):
    return SimpleNamespace(
        repairs=["none"] if impossible else ["none", "tent"],
        chosen=chosen,
        is_better=is_better,
        makes_worse=makes_worse,
        left_out=left_out,
        impossible=impossible,
    )


LABELLED = {"source": scored(12), "target": scored(12)}


@pytest.mark.parametrize(
    ("found", "harmful", "words"),
    [
        (findings(mitigation=repair(makes_worse=True)), "yes", "do not use the repair tent"),
        (findings(with_model=False), "unknown", "give --model"),
        (findings(with_model=False, detected=False, can_detect=False), "unknown", "add some"),
        (findings(**LABELLED), "no", "use it as it is"),
        (findings(**LABELLED), "yes", "try --mitigate auto"),
        (findings(mitigation=repair()), "yes", "use the repair tent"),
        (findings(mitigation=repair("none")), "yes", "no repair is more consistent"),
        (findings(mitigation=repair("none", left_out="abc")), "yes", "no time to try 3 repairs"),
        (findings(mitigation=repair("none", left_out="abc")), "yes", "--max-time"),
        (
            findings(mitigation=repair("none", impossible=("fourier: why",))),
            "yes",
            "(fourier: why)",
        ),
        (findings(mitigation=repair(is_better=False)), "yes", "was asked for and is no better"),
        (findings(mitigation=repair(is_better=False)), "unknown", "was asked for and is no better"),
        (findings(mitigation=repair()), "unknown", "the repair tent is more consistent"),
        (findings(), "unknown", "needs --source-labels and --target-labels, or two kinds"),
        (findings(), "unknown", "five doses or more to --simulate"),
        (findings(source=scored(6)), "unknown", "needs --target-labels, or"),
        (findings(target=scored(6)), "unknown", "needs --source-labels, or"),
        (findings(source=scored(6)), "unclear", "annotate the micrographs of highest risk"),
        (findings(target=scored(6)), "unclear", "told; compare again with --source-labels"),
        (findings(**LABELLED), "unclear", "add labelled ones to either set"),
        (findings(source=scored(12), target=scored(2)), "unclear", "labelled ones to the target"),
    ],
)
def test_what_to_do_follows_from_what_was_found(found, harmful, words):
    assert words in recommend(found, harmful, None)


@pytest.mark.parametrize("harmful", ["yes", "unknown"])
def test_a_repair_that_is_no_better_is_not_recommended(harmful):
    words = recommend(findings(mitigation=repair(is_better=False)), harmful, None)
    assert "use the repair" not in words
    assert "more consistent" not in words


def test_labels_that_are_there_are_not_asked_for():
    words = recommend(findings(**LABELLED), "unclear", None)
    assert "-labels" not in words


def reading(agreement, share=0.4, recall=None):
    """Reading of 1000 pixels that agrees with itself, and with the truth, on so many of them."""
    counts = np.array([1000 * share, 1000 * (1 - share)])

    def cross(right):
        return np.diag(counts * right) + np.diag(counts * (1 - right))[:, ::-1]

    truth = None if recall is None else cross(recall)
    zeros = np.zeros(200)
    return Reading(1000, zeros, zeros, counts, counts, counts, cross(agreement), truth)


def compare(ours, theirs, repaired, *, is_auto=False):
    trials = {"none": theirs, "tent": repaired}
    division = divide(NAMES, NAMES, 999, 0)
    return compare_repairs(trials, ours, NAMES, division, ("a", "b"), is_auto)


def alike(*values, **others):
    return [reading(*values, **others)] * len(NAMES)


@pytest.mark.parametrize(
    ("theirs", "repaired", "is_better"),
    [
        (alike(0.9), alike(0.5), False),
        (alike(0.9), alike(0.9 + LEAST_GAIN / 4), False),
        (alike(0.8), alike(0.9), True),
        (alike(0.8), alike(0.95, share=0.001), False),  # sees one phase everywhere
        (alike(0.9, recall=0.5), alike(0.9, recall=0.8), True),
        (alike(0.8, recall=0.8), alike(0.9, recall=0.5), False),
    ],
)
def test_a_repair_is_better_if_it_is_clearly_more_consistent_or_right(theirs, repaired, is_better):
    assert compare(alike(0.95), theirs, repaired).is_better == is_better


@pytest.mark.parametrize(("right", "is_worse"), [(0.799, False), (0.7, True)])
def test_labels_show_that_a_repair_makes_worse_only_what_it_clearly_does(right, is_worse):
    found = compare(alike(0.95), alike(0.9, recall=0.8), alike(0.9, recall=right))
    assert (found.makes_worse, found.is_better) == (is_worse, False)


def test_nothing_is_no_better_than_itself():
    found = compare(alike(0.95), alike(0.9), alike(0.5), is_auto=True)
    assert (found.chosen, found.is_better) == ("none", False)


def test_fractions_and_p_of_a_repair_are_of_the_same_predictions():
    ours = [reading(0.95, share) for share in (0.38, 0.39, 0.4, 0.4, 0.41, 0.42)]
    shifted = [reading(0.6, share) for share in (0.6, 0.62, 0.65, 0.65, 0.67, 0.7)]
    without, repaired = compare(ours, shifted, ours).repairs
    assert (without.phase_fraction_p, repaired.phase_fraction_p) == pytest.approx((2 / 924, 1))
    assert without.phase_fraction["a"] == pytest.approx(3.89 / 6)
    assert repaired.phase_fraction["a"] == pytest.approx(0.4)
