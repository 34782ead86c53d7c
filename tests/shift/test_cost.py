"""What a shift costs, from confusion matrices drawn at random."""

import numpy as np
import pytest

from mstool.chance.divisions import divide
from mstool.shift.cost import estimate_cost, measure_scores
from mstool.shift.phase_fractions import compare_fractions
from mstool.shift.readings import Reading

CLASSES = ("a", "b")


def reading(confusion, views=None):
    """Reading of a micrograph with this confusion matrix, and this agreement with other views."""
    confusion = np.array(confusion)
    zeros, counts = np.zeros(200, int), confusion.sum(axis=0)
    return Reading(
        n_px=int(confusion.sum()),
        confidence=zeros,
        certainty=zeros,
        counts=counts,
        mass=counts.astype(float),
        soft_overlap=counts.astype(float),
        agreement=confusion if views is None else np.array(views),
        confusion=confusion,
    )


@pytest.fixture
def readings():
    rng = np.random.default_rng(0)
    return [reading(rng.integers(1, 60, (2, 2)) + np.diag([60, 90])) for _ in range(8)]


def measure(source, target, seed=0):
    groups = [list(range(len(source))), list(range(len(target)))]
    return measure_scores(source, target, groups, CLASSES, seed)


def test_sets_are_drawn_independently_though_they_are_alike(readings):
    found = measure(readings, readings)
    assert found.drop.mean_iou == 0
    low, high = found.drop.interval
    width = np.ptp(found.source.interval)
    # the spread of a difference of independent scores is the root of two times that of one
    assert high - low == pytest.approx(2**0.5 * width, rel=0.1)
    assert low < 0 < high


def test_drop_is_source_less_target_in_its_two_parts():
    source, target = reading([[80, 20], [0, 100]]), reading([[100, 0], [500, 500]])
    drop = measure([source, source], [target, target]).drop
    ours, theirs = (80 / 100 + 100 / 120) / 2, (100 / 600 + 500 / 1000) / 2
    # phases 0.8 and 1 recognised, but in shares of 1 : 10
    by_labels = (0.8 / 1 + 10 / 10.2) / 2
    assert drop.mean_iou == pytest.approx(ours - theirs)
    assert drop.by_phase_fraction == pytest.approx(ours - by_labels)
    assert drop.by_appearance == pytest.approx(by_labels - theirs)
    assert drop.iou["a"] == pytest.approx(80 / 100 - 100 / 600)


def test_phase_fractions_are_those_of_the_truth():
    found = measure([reading([[10, 20], [30, 40]])] * 2, [reading([[1, 2], [3, 4]])] * 2)
    assert found.source.phase_fraction == pytest.approx({"a": 0.3, "b": 0.7})


def test_one_micrograph_has_a_score_and_no_interval(readings):
    found = measure(readings, readings[:1])
    assert np.isnan([found.target.interval, *found.target.iou_interval.values()]).all()
    assert np.isnan(found.drop.interval).all()


def test_fields_of_one_specimen_are_one_unit(readings):
    found = measure_scores(readings, readings[:4], [["s"] * 8, ["s"] * 4], CLASSES, 0)
    assert np.isnan(found.source.interval).all()


def test_riskiest_micrograph_comes_first(readings):
    right, wrong, half = [[9, 1], [1, 9]], [[1, 9], [9, 1]], [[5, 5], [5, 5]]
    firm, torn = reading(wrong, views=right), reading(right, views=half)
    rows = estimate_cost(readings, [firm, torn], ["firm", "torn"], []).ranking
    assert [row.image for row in rows] == ["torn", "firm"]


def test_phase_fractions_of_two_sets_are_drawn_independently_though_they_are_alike(readings):
    names = [str(number) for number in range(len(readings))]
    rows = [np.stack([one.fractions for one in readings])] * 2
    division = divide(names, names, 99, 0)
    found = compare_fractions(rows, "prediction", [names] * 2, division, CLASSES, 3)
    assert found.source == found.target
    assert found.p == 1
    ours, theirs = (np.ptp(one["a"]) for one in (found.source_interval, found.target_interval))
    assert ours == pytest.approx(theirs, rel=0.2)
    assert ours != theirs
