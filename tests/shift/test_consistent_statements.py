"""Statements of a comparison that would contradict each other are not made."""

from types import SimpleNamespace

import numpy as np
import pytest

from mstool.shift.cost import Performance, Scores, known_score
from mstool.shift.estimates import Estimate
from mstool.shift.factors import Factors
from mstool.shift.findings import Findings
from mstool.shift.ranges import TrainingGreys, derive_ranges
from mstool.shift.sharpness import SpectrumFit
from mstool.shift.transfer import Transfer

LEVELS = np.linspace(0, 1, 256)


def findings(
    *,
    moved=(),
    basis="prediction",
    chosen=None,
    consistency=0.9,
    theirs=0.5,
    p_repaired=0.01,
    p=0.01,
    smallest_p=0.001,
):
    """Phases in other shares, as predicted or labelled, with a repair or without."""
    row = SimpleNamespace(
        self_consistency=consistency,
        phase_fraction={"a": theirs, "b": 0.5},
        phase_fraction_p=p_repaired,
    )
    mitigation = chosen and SimpleNamespace(chosen=chosen, chosen_row=row)
    return Findings(
        measured=SimpleNamespace(tests=SimpleNamespace(smallest_p=smallest_p)),
        factors=SimpleNamespace(moved=moved, is_explained=True),
        fractions=SimpleNamespace(
            basis=basis, p=p, source={"a": 0.3, "b": 0.7}, target={"a": 0.5, "b": 0.5}
        ),
        performance=None,
        mitigation=mitigation,
        robustness=None,
        estimates=SimpleNamespace(self_consistency={"source": 0.92, "target": 0.6}),
        advice=None,
    )


@pytest.mark.parametrize(
    ("found", "fails", "suspected"),
    [
        (findings(), False, True),
        (findings(), True, None),
        (findings(basis="labels"), True, True),
        (findings(moved=("gamma",)), False, None),
        (findings(moved=("gamma",), basis="labels"), True, True),
        (findings(moved=("gamma",), chosen="histogram"), True, True),
        (findings(moved=("gamma",), chosen="histogram", theirs=0.31), True, False),
        (findings(moved=("gamma",), chosen="histogram", consistency=0.8), True, None),
        (findings(moved=("gamma",), chosen="histogram", p_repaired=0.6), True, False),
    ],
)
def test_predictions_of_a_failing_model_tell_nothing_of_phases(found, fails, suspected):
    if found.chosen and suspected is False:
        found.mitigation.chosen_row.phase_fraction["b"] = 0.69
    assert found.suspects_label_shift(0.05, fails=fails) is suspected


def test_units_too_few_for_any_p_do_not_tell_that_phases_are_the_same():
    few = findings(basis="labels", p=0.1, smallest_p=0.1)
    assert few.suspects_label_shift(0.05, fails=False) is None
    enough = findings(basis="labels", p=0.1, smallest_p=0.03)
    assert enough.suspects_label_shift(0.05, fails=False) is False


def looks(gammas):
    """Micrographs of one grey distribution, each under its own gamma."""
    rng = np.random.default_rng(0)
    greys = rng.beta(3, 3, 20_000)
    rows = [np.histogram(greys**gamma, bins=256, range=(0, 1))[0] for gamma in gammas]
    return [SimpleNamespace(histogram=row / row.sum(), log_power=np.zeros(32)) for row in rows]


@pytest.mark.parametrize(
    ("interval", "most"),
    [((1.28, 2.44), 2.44**1.1), ((float("nan"), float("nan")), 5**1.1)],
)
def test_gamma_of_training_stays_within_what_the_fit_allows(interval, most):
    fit = Transfer(gamma=1.8, moved=("gamma",))
    factors = Factors(fit, SpectrumFit(0, 0, 1, (), 0, 0), (), {"gamma": interval})
    training = TrainingGreys(0.2, 0.0, 1.0)
    ranges = derive_ranges(factors, looks([1.0] * 4), looks([1.3, 1.5, 5, 5]), training, (1, 1))
    assert ranges["gamma"][0] == 1
    assert ranges["gamma"][1] == pytest.approx(most, rel=0.05)


def scores(interval):
    return Performance(None, Scores(4, 4, 0.6, interval, {}, {}, {}), None)


def test_what_is_known_of_the_score_is_measured_before_it_is_estimated():
    estimate = Estimate(0.5, 0.3, 0.8, 0.1, 0.9, 40, is_extrapolated=False)
    estimates = SimpleNamespace(mean_iou=estimate)
    nowhere = SimpleNamespace(mean_iou=Estimate(0.5, 0.3, 0.8, 0.1, 0.9, 40, is_extrapolated=True))
    unlabelled = Performance(None, None, None)
    assert known_score(scores((0.55, 0.65)), estimates) == (0.55, 0.65)
    assert known_score(scores(np.array([0.55, 0.65])), estimates) == (0.55, 0.65)
    assert known_score(scores((float("nan"),) * 2), estimates) is None
    assert known_score(unlabelled, estimates) == (0.3, 0.8)
    assert known_score(unlabelled, nowhere) is None
    assert known_score(unlabelled, SimpleNamespace(mean_iou=None)) is None
