"""Which records a report of a plan reads."""

from types import SimpleNamespace

import pytest

from mstool.design.cells import Cell
from mstool.design.jobs import Job
from mstool.io.records import write_record
from mstool.pipeline.report.origins import Step
from mstool.pipeline.report.planned_commands import list_others
from mstool.pipeline.report.reported_cells import find_study


def score_record(calibration, *masks):
    confusion = [[3, 1], [0, 2]]
    return {
        "classes": ["a", "b"],
        "pooled": {"confusion": confusion},
        "per_image": [{"image": "m.tif", "confusion": confusion}],
        "baselines": {},
        "runs": None,
        "calibration": calibration,
        "inputs": {f"../{name}/stitch.json": name for name in masks} | {"labels/m.png": "truth"},
    }


@pytest.fixture
def study(tmp_path):
    """A plan of one cell with two seeds, the score of which pools both."""
    cell = Cell("d/base", "d", {}, (), (3, 4), None, {}, {})
    (tmp_path / "scores/d/base").mkdir(parents=True)
    write_record(tmp_path / cell.score, score_record(None, "masks-3", "masks-4"))
    plan = SimpleNamespace(factors=())
    return SimpleNamespace(path=tmp_path / "plan.toml", folder=tmp_path, cells=(cell,), plan=plan)


def test_calibration_of_several_seeds_is_that_of_the_first(study):
    for seed, ece in ((3, 0.1), (4, 0.2)):
        path = study.folder / study.cells[0].seed_score(seed)
        write_record(path, score_record({"ece": ece}, f"masks-{seed}"))
    found = find_study(study)
    assert found.cells[0].record["calibration"] == {"ece": 0.1}
    assert study.folder / "scores/d/base/seed-3.json" in found.files


@pytest.mark.parametrize("masks", [("older",), ()])
def test_calibration_of_other_masks_is_left_out(study, masks):
    path = study.folder / study.cells[0].seed_score(3)
    write_record(path, score_record({"ece": 0.1}, *masks))
    found = find_study(study)
    assert found.cells[0].record["calibration"] is None
    assert path not in found.files


def test_seed_without_a_score_leaves_calibration_open(study):
    assert find_study(study).cells[0].record["calibration"] is None


@pytest.mark.parametrize(
    ("argv", "is_other"),
    [
        (["mstool", "train", "epochs=5"], False),
        (["mstool", "train", "epochs=5", "device=cuda"], False),
        (["mstool", "train", "epochs=50"], True),
        (["mstool", "train", "loss=ce"], True),
        (["mstool", "train", "?"], False),  # of an older version
        (None, False),
    ],
)
def test_commands_are_told_apart_by_what_decides_their_files(tmp_path, argv, is_other):
    def parse(words):
        if not words or "?" in words:
            return None
        return {"epochs": "40", "device": "auto"} | dict(word.split("=") for word in words[1:])

    job = Job("train", "m/train.json", (), ("train", "epochs=5"), "m")
    step = Step("train", tmp_path / "train.json", {"mstool": {"argv": argv}} if argv else {}, 0)
    assert bool(list_others([job], [step], parse)) == is_other
    assert list_others([], [step], parse) == ()
