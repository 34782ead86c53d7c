"""The records behind a score are followed back, if they are those that were read."""

import pytest

from mstool.io.records import hash_inputs, write_record
from mstool.pipeline.report.content import choose_bases
from mstool.pipeline.report.origins import recorded_file, trace_origins
from mstool.pipeline.report.reported_cells import ReportedCell, short_names


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
