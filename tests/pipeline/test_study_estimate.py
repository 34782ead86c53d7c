"""What an estimate of a study leaves out is said."""

import math
from types import SimpleNamespace

import pytest

from mstool.design.costs import Cost
from mstool.design.jobs import Job
from mstool.pipeline.study.estimate import Trials, estimate_study
from mstool.reporting import Reporter


@pytest.fixture
def estimate(monkeypatch, tmp_path):
    """Callable that estimates two explanations, of which one is done at a known cost or not."""
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "explain.json").write_text("{}")
    jobs = tuple(
        Job(
            "explain",
            f"{name}/explain.json",
            ("m/train.json",),
            ("explain", "im", "--class", name[0], "-o", name),
            name,
        )
        for name in ("done", "other")
    )
    study = SimpleNamespace(jobs=jobs, folder=tmp_path)
    training = SimpleNamespace(as_record=lambda: {"depth": 3})

    def run(cost):
        spent = {"done/explain.json": cost}
        monkeypatch.setattr(Trials, "recorded", lambda self, job: spent.get(job.target))
        return estimate_study(study, {"m/train.json": training}, Reporter())

    return run


@pytest.mark.parametrize("validate_every", [1, 2, 3, 7, 40])
@pytest.mark.parametrize(("epochs", "max_time_s"), [(1, None), (2, None), (40, None), (40, 30.0)])
def test_a_training_costs_its_epochs_and_its_validations(
    monkeypatch, tmp_path, epochs, validate_every, max_time_s
):
    """Loading takes 10 core-seconds, an epoch 2 and a validation 5, on two cores."""
    runs = []

    def measure(self, job, words):
        runs.append(words)
        if "--dry-run" in words:
            return 10.0, 10.0
        n, every = (int(words[words.index(f) + 1]) for f in ("--epochs", "--validate-every"))
        core_s = 10.0 + 2 * n + 5 * -(-n // every)
        return core_s, core_s / 2

    monkeypatch.setattr(Trials, "_measure", measure)
    monkeypatch.setattr(Trials, "_folds", lambda self, job: [0])
    argv = ("train", "tiles", "--split", "s.csv", "--test-fold", "0", "-o", "m")
    job = Job("train", "m/train.json", (), argv, "m")
    fit = SimpleNamespace(epochs=epochs, validate_every=validate_every, max_time_s=max_time_s)
    study = SimpleNamespace(jobs=(job,), folder=tmp_path)
    trials = Trials(study, {job.target: SimpleNamespace(fit=fit)}, tmp_path, Reporter())
    whole = 10 + 2 * epochs + 5 * -(-epochs // validate_every)
    budget = math.inf if max_time_s is None else 10 + 2 * max_time_s
    assert trials.estimate(job).core_s == pytest.approx(min(whole, budget))
    assert len(runs) <= 4


def test_commands_of_which_nothing_is_known_are_told_beside_known_ones(estimate, monkeypatch):
    notes = []
    monkeypatch.setattr(Reporter, "note", lambda self, text: notes.append(text))
    assert "explain,2,1,1.0,0.0," in estimate(Cost(3600.0, 10.0))
    assert notes == ["explain: some have no record to go by yet, and are not in the sum"]


def test_what_is_done_counts_though_nobody_knows_what_it_took(estimate):
    """Such as a prediction whose last run found all tiles there."""
    assert "explain,2,1,0.0,0.0,0.0,nothing" in estimate(None)
