"""Variance components: by hand, against the analysis of variance, and on simulated ones."""

import numpy as np
import pytest

from mstool.scores.components import list_included, variance_components

N_RUNS, N_FOLDS, N_EACH = 3, 6, 4
FOLD = np.repeat(np.arange(N_FOLDS), N_EACH)
TRUE = {"run": 0.02**2, "fold": 0.05**2, "training": 0.03**2, "micrograph": 0.08**2}
TRUE["rest"] = 0.04**2


def crossed():
    """Factors of three runs of the same six folds of four micrographs."""
    run = np.repeat(np.arange(N_RUNS), len(FOLD))
    fold = np.tile(FOLD, N_RUNS)
    return {
        "run": run,
        "fold": fold,
        "training": list(zip(run.tolist(), fold.tolist(), strict=True)),
        "micrograph": np.tile(np.arange(len(FOLD)), N_RUNS),
    }


def draw(factors, sd, rng):
    """Scores with random effects of known spread."""
    values = 0.8 + rng.normal(0, sd["rest"] ** 0.5, len(next(iter(factors.values()))))
    for name, levels in factors.items():
        numbers = np.unique(np.array([str(level) for level in levels]), return_inverse=True)[1]
        values += rng.normal(0, sd[name] ** 0.5, numbers.max() + 1)[numbers]
    return values


def test_equal_scores_in_a_fold_leave_no_rest():
    found = variance_components(np.array([1.0, 1, 3, 3]), {"fold": [0, 0, 1, 1]})
    assert found == {"fold": pytest.approx(2), "rest": pytest.approx(0)}


def test_equal_means_of_folds_give_a_negative_estimate():
    found = variance_components(np.array([1.0, 3, 1, 3]), {"fold": [0, 0, 1, 1]})
    assert found == {"fold": pytest.approx(-1), "rest": pytest.approx(2)}


def test_balanced_one_way_is_the_analysis_of_variance():
    values = np.random.default_rng(3).normal(size=(5, 4))
    within = values.var(axis=1, ddof=1).mean()
    between = values.mean(axis=1).var(ddof=1) - within / 4
    found = variance_components(values.ravel(), {"fold": np.repeat(range(5), 4)})
    assert found == {"fold": pytest.approx(between), "rest": pytest.approx(within)}


def test_balanced_two_way_is_the_analysis_of_variance():
    values = np.random.default_rng(4).normal(size=(3, 7))
    rows, cols = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True)
    rest = ((values - rows - cols + values.mean()) ** 2).sum() / (2 * 6)
    factors = {"run": np.repeat(range(3), 7), "micrograph": np.tile(range(7), 3)}
    found = variance_components(values.ravel(), factors)
    assert found["run"] == pytest.approx(rows.var(ddof=1) - rest / 7)
    assert found["micrograph"] == pytest.approx(cols.var(ddof=1) - rest / 3)
    assert found["rest"] == pytest.approx(rest)


@pytest.mark.parametrize("share_kept", [1.0, 0.8])
def test_simulated_components_are_recovered_without_bias(share_kept):
    rng, factors = np.random.default_rng(0), crossed()
    found = {name: [] for name in TRUE}
    for _ in range(2000):
        values = draw(factors, TRUE, rng)
        values[rng.random(len(values)) > share_kept] = np.nan
        for name, value in variance_components(values, factors).items():
            found[name].append(value)
    for name, values in found.items():
        error = np.std(values) / len(values) ** 0.5
        assert abs(np.mean(values) - TRUE[name]) < 4 * error, name


def test_splits_that_differ_between_runs_are_taken_apart_too():
    rng, run = np.random.default_rng(1), np.repeat(range(4), 24)
    folds = np.concatenate([rng.permutation(FOLD) for _ in range(4)])
    factors = {
        "run": run,
        "training": list(zip(run.tolist(), folds.tolist(), strict=True)),
        "micrograph": np.tile(range(24), 4),
    }
    found = [variance_components(draw(factors, TRUE, rng), factors) for _ in range(500)]
    for name in (*factors, "rest"):
        values = [each[name] for each in found]
        assert abs(np.mean(values) - TRUE[name]) < 4 * np.std(values) / 500**0.5, name


def test_factors_that_cannot_be_told_apart_are_left_out():
    values = np.array([0.7, 0.8, 0.9, 0.6])
    one_run = {"run": [0, 0, 0, 0], "fold": [0, 0, 1, 1], "training": [(0, 0)] * 2 + [(0, 1)] * 2}
    assert [*variance_components(values, one_run)] == ["fold", "rest"]
    assert [*variance_components(values, {"fold": [0, 1, 2, 3]})] == ["rest"]


def test_one_defined_score_has_no_variance():
    found = variance_components(np.array([0.5, np.nan]), {"run": [0, 1]})
    assert np.isnan(found["rest"])


def leave_one_out(n_runs, n=5):
    """Factors of micrographs that are each a fold of their own."""
    run, place = np.repeat(range(n_runs), n), np.tile(range(n), n_runs)
    training = list(zip(run.tolist(), place.tolist(), strict=True))
    return {"micrograph": place, "run": run, "fold": place, "training": training}


@pytest.mark.parametrize(
    ("factors", "included"),
    [
        (leave_one_out(3), {"micrograph": ["fold"], "run": [], "rest": ["training"]}),
        (leave_one_out(1), {"rest": ["micrograph", "fold", "training"]}),
        (crossed(), {name: [] for name in TRUE}),
    ],
    ids=["several runs", "one run", "all told apart"],
)
def test_what_cannot_be_told_apart_is_named(factors, included):
    values = np.random.default_rng(0).normal(size=len(factors["run"]))
    assert list_included(values, factors) == included
    assert set(variance_components(values, factors)) == set(included)
