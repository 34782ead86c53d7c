"""What an estimate of a study leaves out is said."""

from pathlib import Path
from types import SimpleNamespace

from mstool.design.costs import Cost
from mstool.design.jobs import Job
from mstool.pipeline.study.estimate import Trials, estimate_study
from mstool.reporting import Reporter


def test_commands_of_which_nothing_is_known_are_told_beside_known_ones(monkeypatch):
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
    done = {"done/explain.json": Cost(3600.0, 10.0)}
    monkeypatch.setattr(Trials, "recorded", lambda self, job: done.get(job.target))
    training = SimpleNamespace(as_record=lambda: {"depth": 3})
    notes = []
    report = Reporter()
    monkeypatch.setattr(Reporter, "note", lambda self, text: notes.append(text))
    study = SimpleNamespace(jobs=jobs, folder=Path())
    text = estimate_study(study, {"m/train.json": training}, report)
    assert "explain,2,1,1.0,0.0," in text
    assert notes == ["explain: some have no record to go by yet, and are not in the sum"]
