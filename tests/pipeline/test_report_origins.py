"""The records behind a score are followed back, if they are those that were read."""

import pytest

from mstool.io.records import hash_inputs, write_record
from mstool.pipeline.report.content import choose_bases, describe_findings
from mstool.pipeline.report.origins import recorded_file, trace_origins
from mstool.pipeline.report.reported_cells import Findings, ReportedCell, short_names


@pytest.fixture
def study(tmp_path):
    """Records of two repeats, each with one model of two folds; give the path of the score."""
    for repeat in (0, 1):
        folders = [tmp_path / f"{name}-{repeat}" for name in ("cv/fold-0", "probs", "masks")]
        model, probs, masks = folders
        for folder in folders:
            folder.mkdir(parents=True)
        (model / "model.safetensors").write_bytes(b"weights")
        write_record(model / "train.json", {"best_epoch": 2, "settings": {"test_fold": 0}})
        (model / "history.csv").write_text("epoch,train_loss,val_mean_iou\n1,0.5,\n2,0.25,0.75\n")
        inputs = hash_inputs([model / "model.safetensors"], probs)
        write_record(probs / "predict.json", {"inputs": inputs})
        write_record(
            masks / "stitch.json", {"inputs": hash_inputs([probs / "predict.json"], masks)}
        )
    inputs = hash_inputs(sorted(tmp_path.glob("masks-*/stitch.json")), tmp_path)
    return tmp_path / "score.json", {"inputs": inputs}


def test_all_steps_are_found_by_repeat(study):
    origins = trace_origins(*study)
    assert [(step.verb, step.repeat) for step in origins.steps] == [
        (verb, repeat) for verb in ("stitch", "predict", "train") for repeat in (0, 1)
    ]
    assert origins.lost == origins.incomplete == ()
    first, second = origins.trainings
    assert (
        second.history
        == first.history
        == [
            {"epoch": 1.0, "train_loss": 0.5, "val_mean_iou": None},
            {"epoch": 2.0, "train_loss": 0.25, "val_mean_iou": 0.75},
        ]
    )


def test_masks_that_are_compared_with_are_not_those_of_the_score(study):
    path, record = study
    rows = [{"image": "a.tif", "files": {"mask": "masks-1/a.tif", "labels": "labels/a.png"}}]
    origins = trace_origins(path, record | {"versus": [{"masks": "masks-0"}], "per_image": rows})
    assert [(step.verb, step.repeat) for step in origins.steps] == [
        ("stitch", 0),
        ("predict", 0),
        ("train", 0),
    ]
    assert all("-1" in step.path.parent.name for step in origins.steps)


def test_repeats_keep_their_numbers_where_one_is_lost(study):
    path, record = study
    (path.parent / "masks-0" / "stitch.json").unlink()
    assert {step.repeat for step in trace_origins(path, record).steps} == {1}


def test_record_that_has_changed_is_not_followed(study):
    path, record = study
    write_record(path.parent / "masks-1" / "stitch.json", {"inputs": {}})
    origins = trace_origins(path, record)
    assert {step.repeat for step in origins.steps} == {0}
    (line,) = origins.lost
    assert "masks-1/stitch.json is not there, or has changed since" in line
    assert origins.incomplete == ("train", "predict", "stitch")


def test_training_of_another_model_is_not_that_behind_the_score(study):
    path, record = study
    (path.parent / "cv" / "fold-0-1" / "model.safetensors").write_bytes(b"trained anew")
    origins = trace_origins(path, record)
    assert [one.step.repeat for one in origins.trainings] == [0]
    assert "model.safetensors is not there, or has changed since" in origins.lost[0]
    assert origins.incomplete == ("train",)


def test_what_is_gone_is_said(study):
    path, record = study
    (path.parent / "cv" / "fold-0-0" / "train.json").unlink()
    (path.parent / "cv" / "fold-0-1" / "history.csv").write_text("epoch\nmany\n")
    origins = trace_origins(path, record)
    assert "fold-0-0/train.json: no such file" in origins.lost[0]
    (training,) = origins.trainings
    assert training.history == []


def test_file_is_read_only_as_it_was_recorded(study):
    path, record = study
    name = "masks-0/stitch.json"
    assert recorded_file(path, record, name) == path.parent / name
    assert recorded_file(path, {"inputs": {name: "0" * 64}}, name) is None
    assert recorded_file(path, {"inputs": {}}, name) is None
    assert recorded_file(path, record, None) is None


def test_names_are_as_long_as_they_must_be(tmp_path):
    paths = [tmp_path / "a" / "score.json", tmp_path / "b" / "score.json", tmp_path / "b.json"]
    assert short_names(paths[:1]) == ["score"]
    assert short_names(paths) == ["a/score", "b/score", f"{tmp_path.name}/b"]


def test_base_is_what_differs_in_nothing(tmp_path):
    def cell(name, data, level):
        differs = () if level == "base" else ("loss",)
        return ReportedCell(name, data, {"loss": level}, differs, tmp_path, None)

    cells = [cell("s/ce", "s", "ce"), cell("s/base", "s", "base"), cell("t/ce", "t", "ce")]
    assert choose_bases(cells, None) == {"s": "s/base", "t": "t/ce"}
    assert choose_bases(cells, "s/ce") == {"s": "s/ce", "t": "t/ce"}


def test_cells_are_called_by_what_tells_them_from_the_base_that_is_asked_for(tmp_path):
    def cell(loss, size):
        levels = {"loss": loss, "size": size}
        differs = tuple(name for name, level in levels.items() if level != "base")
        return ReportedCell(f"s/{loss}-{size}", "s", levels, differs, tmp_path / "x", None)

    cells = tuple(cell(*each) for each in (("base", "base"), ("dice", "base"), ("base", "512")))
    found = describe_findings(Findings(cells), "s/dice-base", 0, tmp_path)["cells"]
    assert [entry["label"] for entry in found] == ["loss base", "loss dice", "loss base, size 512"]
    assert [entry["differs"] for entry in found] == [["loss"], [], ["loss", "size"]]
    found = describe_findings(Findings(cells), None, 0, tmp_path)["cells"]
    assert [entry["label"] for entry in found] == ["base", "loss dice", "size 512"]


def test_design_without_the_base_of_the_plan_varies_one_factor_at_a_time_from_its_first(tmp_path):
    cells = tuple(
        ReportedCell(f"s/{a}{b}", "s", {"a": a, "b": b}, ("a", "b"), tmp_path / "x", None)
        for a in "12"
        for b in "34"
    )
    found = describe_findings(Findings(cells), None, 0, tmp_path)["cells"]
    assert [entry["label"] for entry in found] == ["a 1, b 3", "b 4", "a 2", "a 2, b 4"]
    assert [entry["differs"] for entry in found] == [[], ["b"], ["a"], ["a", "b"]]
