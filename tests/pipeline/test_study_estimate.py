"""What an estimate of a study leaves out is said."""

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


def test_commands_of_which_nothing_is_known_are_told_beside_known_ones(estimate, monkeypatch):
    notes = []
    monkeypatch.setattr(Reporter, "note", lambda self, text: notes.append(text))
    assert "explain,2,1,1.0,0.0," in estimate(Cost(3600.0, 10.0))
    assert notes == ["explain: some have no record to go by yet, and are not in the sum"]


def test_what_is_done_counts_though_nobody_knows_what_it_took(estimate):
    """Such as a prediction whose last run found all tiles there."""
    assert "explain,2,1,0.0,0.0,0.0,nothing" in estimate(None)
