"""What an estimate of a study leaves out is said."""

from types import SimpleNamespace

from mstool.design.costs import Cost
from mstool.design.jobs import Job
from mstool.pipeline.study.estimate import Trials, estimate_study
from mstool.reporting import Reporter


def test_commands_of_which_nothing_is_known_are_told_beside_known_ones(monkeypatch, tmp_path):
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
    done = {"done/explain.json": Cost(3600.0, 10.0)}
    monkeypatch.setattr(Trials, "recorded", lambda self, job: done.get(job.target))
    training = SimpleNamespace(as_record=lambda: {"depth": 3})
    notes = []
    report = Reporter()
    monkeypatch.setattr(Reporter, "note", lambda self, text: notes.append(text))
    study = SimpleNamespace(jobs=jobs, folder=tmp_path)
    text = estimate_study(study, {"m/train.json": training}, report)
    assert "explain,2,1,1.0,0.0," in text
    assert notes == ["explain: some have no record to go by yet, and are not in the sum"]


def test_what_is_done_counts_though_nobody_knows_what_it_took(monkeypatch, tmp_path):
    """Such as a prediction whose last run found all tiles there."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "predict.json").write_text("{}")
    jobs = tuple(
        Job(
            "predict", f"{name}/predict.json", ("m/train.json",), ("predict", "t", "-o", name), name
        )
        for name in ("a", "b")
    )
    monkeypatch.setattr(Trials, "recorded", lambda self, job: None)
    monkeypatch.setattr(Trials, "estimate", lambda self, job: Cost(3600.0, 10.0))
    study = SimpleNamespace(jobs=jobs, folder=tmp_path)
    training = SimpleNamespace(as_record=lambda: {"depth": 3})
    text = estimate_study(study, {"m/train.json": training}, Reporter())
    assert "predict,2,1,2.0,1.0," in text
