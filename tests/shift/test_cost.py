"""What a shift costs, from confusion matrices drawn at random."""

import numpy as np
import pytest

from mstool.chance.divisions import divide
from mstool.chance.intervals import jackknife_interval
from mstool.scores.metrics import mean_iou
from mstool.scores.statistics import mean_iou_with_interval
from mstool.shift.cost import estimate_cost, measure_scores
from mstool.shift.phase_fractions import compare_fractions
from mstool.shift.readings import Reading
from mstool.shift.verdict import judge_harm

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


def measure(source, target):
    groups = [list(range(len(source))), list(range(len(target)))]
    return measure_scores(source, target, groups, CLASSES)


def draw_confusions(n, recall, rng):
    """Confusion matrices of micrographs that vary in both recalls, a beta distribution."""
    right = rng.beta(*recall, (n, 2)) * 1000
    return np.array([[right[:, 0], 1000 - right[:, 0]], [1000 - right[:, 1], right[:, 1]]]).T


def test_one_score_has_one_interval(readings):
    found, confusions = measure(readings, readings[:5]), [one.confusion for one in readings]
    for scores, n in ((found.source, 8), (found.target, 5)):
        assert scores.n_units == n
        value, interval = mean_iou_with_interval(confusions[:n])
        assert (scores.mean_iou, *scores.interval) == pytest.approx((value, *interval))


@pytest.mark.parametrize("n_units", [4, 6])
def test_intervals_of_the_drop_hold_as_often_as_they_say(n_units):
    rng, recalls = np.random.default_rng(n_units), ((18, 2), (6, 3))
    pools = [draw_confusions(20_000, recall, rng) for recall in recalls]
    truth = np.subtract(*(mean_iou(pool.sum(axis=0)) for pool in pools))
    n_held, n_trials = 0, 400
    for _ in range(n_trials):
        sets = [draw_confusions(n_units, recall, rng) for recall in recalls]
        low, high = measure(*([reading(one) for one in each] for each in sets)).drop.interval
        n_held += low <= truth <= high
    assert 0.91 < n_held / n_trials <= 1  # 0.95, less what 400 trials scatter by


@pytest.mark.parametrize("n_target", [1, 2, 3])
def test_too_few_units_leave_the_loss_unclear(readings, n_target):
    drop = measure(readings, readings[:n_target]).drop
    assert np.isfinite(drop.mean_iou)
    assert np.isnan([drop.interval, *drop.iou_interval.values()]).all()
    assert judge_harm(drop, None, None, 0.05) == "unclear"


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


def test_fields_of_one_specimen_are_one_unit(readings):
    found = measure_scores(readings, readings[:4], [["s"] * 8, ["s"] * 4], CLASSES)
    assert np.isnan(found.source.interval).all()
    assert (found.source.n_images, found.source.n_units) == (8, 1)


def test_riskiest_micrograph_comes_first(readings):
    right, wrong, half = [[9, 1], [1, 9]], [[1, 9], [9, 1]], [[5, 5], [5, 5]]
    firm, torn = reading(wrong, views=right), reading(right, views=half)
    rows = estimate_cost(readings, [firm, torn], ["firm", "torn"], []).ranking
    assert [row.image for row in rows] == ["torn", "firm"]


def compare(ours, theirs, groups):
    division = divide(*groups, 99, 0)
    return compare_fractions((ours, theirs), "prediction", groups, division, CLASSES)


def test_intervals_of_phase_fractions_are_those_of_a_mean_over_specimens():
    shares = np.array([0.3, 0.5, 0.3, 0.5, 0.3, 0.5, 0.3, 0.5])
    rows, names = np.stack([shares, 1 - shares], axis=1), [str(n) for n in range(8)]
    found = compare(rows, rows, [names, [f"specimen {n // 2}" for n in range(8)]])
    low, high = found.source_interval["a"]
    without = (shares.sum() - shares) / 7
    assert (low, high) == pytest.approx(tuple(jackknife_interval(without, shares.mean())))
    assert low < 0.4 < high
    assert np.isnan(found.target_interval["a"]).all()  # each specimen is like the others
    assert found.source["a"] == found.target["a"] == pytest.approx(0.4)


def test_three_units_give_phase_fractions_no_interval():
    rows, names = np.array([[0.3, 0.7], [0.5, 0.5], [0.4, 0.6], [0.2, 0.8]]), list("wxyz")
    found = compare(rows, rows, [names, list("wxyy")])
    assert np.isfinite([*found.source_interval.values()]).all()
    assert np.isnan([*found.target_interval.values()]).all()
    alone = compare(rows, rows[:1], [names, ["w"]])
    assert np.isnan([*alone.target_interval.values()]).all()
