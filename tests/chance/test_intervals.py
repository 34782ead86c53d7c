"""Intervals: by hand where that is possible, and by how often they hold."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from mstool.chance.coverage import COVERAGE
from mstool.chance.intervals import (
    LEAST_UNITS,
    difference_interval,
    jackknife_error,
    jackknife_interval,
    mean_interval,
    simulated_coverage,
)
from mstool.scores.statistics import unit_sums

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
NEEDS_SCRIPT = pytest.mark.skipif(not SCRIPT.exists(), reason="not a checkout")
SIMULATED = (4, 6, 12, 24)


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("coverage_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def means_without(values):
    return (values.sum(axis=0) - values) / (len(values) - 1)


def test_interval_of_a_mean_is_that_of_student():
    values = np.array([1.0, 3.0, 1.0, 3.0, 1.0, 3.0])  # each as far from the mean: all count
    low, high = jackknife_interval(means_without(values), values.mean(), is_share=False)
    expected = stats.t.interval(0.95, 5, 2, values.std(ddof=1) / np.sqrt(6))
    assert (low, high) == pytest.approx(expected)


def test_interval_of_a_mean_is_that_of_its_jackknife():
    values, by_run = np.array([0.1, 0.4, 0.2, 0.9, 0.3]), np.array([0.3, 0.46])
    left_out = np.array([np.delete(values, k).mean() for k in range(5)])
    wanted = jackknife_interval(left_out, values.mean(), is_share=False, by_run=by_run)
    assert mean_interval(values, by_run=by_run) == pytest.approx(wanted)
    assert np.isnan(mean_interval(values[: LEAST_UNITS - 1])).all()
    assert np.isnan(mean_interval(values[:0])).all()


def test_interval_of_a_difference_is_that_of_welch():
    ours, theirs = np.tile([1.0, 3.0], 4), np.tile([2.0, 7.0], 3)  # each counts
    low, high = difference_interval(
        *((means_without(values), values.mean()) for values in (ours, theirs))
    )
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    assert (low, high) == pytest.approx(tuple(expected))


def test_interval_of_a_share_is_that_of_its_logit():
    values = np.array([0.6, 0.7, 0.75, 0.9, 0.95])
    left_out = means_without(values)
    low, high = jackknife_interval(left_out, values.mean())
    ends = jackknife_interval(logit(left_out), logit(values.mean()), is_share=False)
    assert [low, high] == pytest.approx(expit(ends))


def test_unit_unlike_the_others_leaves_few_degrees_of_freedom():
    even, odd = np.tile([1.0, 3.0], 6), np.r_[np.ones(11), 30.0]
    two = np.r_[np.zeros(10), 1.0, -1.0]
    samples = [means_without(values) for values in (even, odd, two)]
    _, freedom = jackknife_error(np.stack(samples, axis=1))
    # 1.2 for each that matters, from 1.5 to one less than there are, as in the table of coverage
    assert freedom == pytest.approx([11, 1.5, 2.4])


def test_undefined_where_a_unit_makes_or_breaks_the_score():
    left_out = np.array([[0.5, 0.5, 0.5], [0.5, np.nan, 0.6], [0.5, 0.5, 0.7], [0.5, 0.5, 0.5]])
    found = jackknife_interval(left_out, np.array([0.5, 0.5, 0.6]))
    assert np.isnan(found[:2]).all() and np.isfinite(found[2]).all()
    assert np.isnan(jackknife_interval(left_out[:3], np.full(3, 0.5))).all()


def test_perfect_scores_have_finite_ends():
    found = jackknife_interval(np.array([1.0, 0.99, 0.98, 1.0]), np.array(0.99))
    assert 0 < found[0] < 0.99 < found[1] <= 1


def test_coverage_is_that_of_the_next_smaller_number():
    assert simulated_coverage("mean_iou", 5) == simulated_coverage("mean_iou", 4)
    assert simulated_coverage("mean_iou", 900) == simulated_coverage("mean_iou", 50)
    assert np.isnan(simulated_coverage("iou", LEAST_UNITS - 1)).all()


@NEEDS_SCRIPT
def test_packaged_coverage_is_that_of_the_table(benchmark):
    with benchmark.TABLE.open(newline="") as file:
        assert benchmark.summarise(list(csv.DictReader(file))) == COVERAGE
    assert benchmark.PACKAGED.read_text() == benchmark.write_packaged(COVERAGE)


def test_table_promises_what_is_asked_of_it():
    for score, by_size in COVERAGE.items():
        for n, (low, high) in by_size.items():
            assert 0.89 <= low <= high <= 0.98, (score, n)
    for n in (6, 8, 12, 18, 24, 36, 50):
        low, high = COVERAGE["mean_iou"][n]
        assert 0.93 <= low <= high <= 0.97


def test_intervals_hold_where_images_are_logit_normal():
    """A model of images that the intervals were not chosen on."""
    rng = np.random.default_rng(0)
    n_studies, n = 4000, 8
    shares = expit(rng.normal(1.5, 0.6, (n_studies, n)))
    truth = expit(rng.normal(1.5, 0.6, 1_000_000)).mean()
    left_out = means_without(shares.T)
    low, high = jackknife_interval(left_out, shares.mean(axis=1)).T
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.96, abs=0.02)


@pytest.mark.slow
@NEEDS_SCRIPT
@pytest.mark.parametrize("name", ["uhcs", "superalloy", "phantom"])
def test_simulated_studies_are_covered_as_the_table_says(benchmark, monkeypatch, name):
    """Other studies than those of the table: three standard errors of 4000 against 4000."""
    import json

    model = json.loads(benchmark.MODELS.read_text())[name]
    population = benchmark.Population(model, seed=1)
    rng = np.random.default_rng(99)
    with benchmark.TABLE.open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["set"] == name]
    for n in SIMULATED:
        sums = [unit_sums(one) for one in population.draw(n * 4000, rng)]
        sums = np.stack(sums).reshape(2, 4000, n, -1)
        truth = [benchmark.truths_of(one, population.truth[k]) for k, one in enumerate(sums)]
        found = {
            benchmark.METHOD: (benchmark.plain_intervals(sums[0])[benchmark.METHOD], truth[0]),
            benchmark.OF_DIFFERENCE: (
                benchmark.difference_intervals(sums),
                truth[0] - truth[1],
            ),
        }
        for method, (intervals, values) in found.items():
            facts = benchmark.count_covered(intervals, values)
            promised = [float(line[method]) for line in lines if line["n"] == str(n)]
            measured = [float(fact["coverage"]) for fact in facts]
            np.testing.assert_allclose(measured, promised, atol=0.02)


@pytest.mark.parametrize(("n_runs", "spread_of_runs"), [(2, 0.1), (3, 0.3), (5, 0.6)])
def test_intervals_of_several_runs_hold_for_other_runs(n_runs, spread_of_runs):
    rng = np.random.default_rng(3)
    n_studies, n_units = 4000, 8
    of_units = rng.normal(0, 0.5, (n_units, 1, n_studies))
    of_runs = rng.normal(0, spread_of_runs, (1, n_runs, n_studies))
    values = of_units + of_runs + rng.normal(0, 0.1, (n_units, n_runs, n_studies))
    means = values.mean(axis=1)
    found = jackknife_interval(
        (means.sum(axis=0) - means) / (n_units - 1),
        means.mean(axis=0),
        is_share=False,
        by_run=values.mean(axis=0),
    )
    held = np.mean((found[:, 0] <= 0) & (found[:, 1] >= 0))
    assert 0.93 <= held <= 0.985
    alone = jackknife_interval(
        (means.sum(axis=0) - means) / (n_units - 1), means.mean(axis=0), is_share=False
    )
    if spread_of_runs > 0.2:  # without them the interval is one for these very runs
        assert np.mean((alone[:, 0] <= 0) & (alone[:, 1] >= 0)) < 0.92


def test_interval_of_several_runs_agrees_with_hand_calculation():
    units, runs = np.array([1.0, 3.0, 1.0, 3.0, 1.0, 3.0]), np.array([1.7, 2.0, 2.3])
    found = jackknife_interval(means_without(units), units.mean(), is_share=False, by_run=runs)
    of_units, of_runs = 1.2 / 6, 0.09 / 3  # variances of the two means, with 5 and 2 degrees
    freedom = (of_units + of_runs) ** 2 / (of_units**2 / 5 + of_runs**2 / 2)
    expected = stats.t.interval(0.95, freedom, 2, np.sqrt(of_units + of_runs))
    assert found == pytest.approx(expected)


def test_one_run_changes_nothing():
    left_out = np.array([0.5, 0.6, 0.55, 0.7, 0.62])
    alone = jackknife_interval(left_out, np.array(0.6))
    assert np.array_equal(
        jackknife_interval(left_out, np.array(0.6), by_run=np.array([0.6])), alone
    )


def test_runs_that_agree_hardly_widen_and_others_do():
    left_out, estimate = np.array([0.5, 0.6, 0.55, 0.7, 0.62]), np.array(0.6)
    widths = [
        np.ptp(jackknife_interval(left_out, estimate, by_run=np.array(runs)))
        for runs in ([0.6, 0.6], [0.601, 0.599], [0.8, 0.3])
    ]
    assert widths[0] == pytest.approx(np.ptp(jackknife_interval(left_out, estimate)))
    assert widths[1] == pytest.approx(widths[0], rel=0.01)
    assert widths[2] > 1.05 * widths[0]
