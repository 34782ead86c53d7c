"""Cross-validation: one model a fold, each micrograph predicted by those that have not seen it."""

import csv
import itertools
import json
import os
import shutil
import signal
import types
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mstool.errors import InputError
from mstool.io.records import Run, sha256_of_file, write_record
from mstool.labels.legend import index_legend, legend_from_toml, legend_to_toml
from mstool.nn.checkpoint import load_checkpoint, save_checkpoint
from mstool.nn.fit_state import FitSettings
from mstool.pipeline.job import Job
from mstool.pipeline.train import cross_validation, train
from mstool.reporting import Reporter
from mstool.scores.statistics import score_intervals

TINY = ("--arch", "unet-plain", "--depth", "2", "--width", "4", "--augment", "spatial")
TINY += ("--device", "cpu", "--lr", "0.02", "-q")
EVERY = ("train", "tiles", "--split", "split.csv", "--test-fold", "all")


def predicting(name, to=None):
    to = name if to is None else to
    return (
        f"predict tiles --model cv{name} --select out-of-fold --device cpu -q -o probs{to}",
        f"stitch probs{to} -q -o masks{to}",
    )


@pytest.fixture(scope="module")
def validated_study(trained_study, mstool_in, tmp_path_factory):
    """The small study with cv-0/ and cv-1/, of two seeds, and their masks; read only."""
    folder = tmp_path_factory.mktemp("cv") / "study"
    shutil.copytree(trained_study, folder)
    common = f"{' '.join([*EVERY, *TINY])} --epochs"
    # seed 1 and 8 epochs are those of the model that is there already
    mstool_in(folder, f"{common} 8 --seed 1 -o cv-1")
    mstool_in(folder, f"{common} 2 --seed 0 -o cv-0")
    (predict_0, stitch_0), (predict_1, stitch_1) = predicting("-0"), predicting("-1")
    mstool_in(folder, predict_0)
    pretend_epochs(folder / "probs-0" / "predict.json", 8)
    for line in (predict_1, stitch_0, stitch_1):
        mstool_in(folder, line)
    return folder


def pretend_epochs(path, n_epochs):
    """Let a record say so, as if another seed alone made the run so poor."""
    record = read(path)
    (training,) = record["made_with"]["training"]
    write_record(
        path,
        record
        | {"made_with": record["made_with"] | {"training": [training | {"epochs": n_epochs}]}},
    )


@pytest.fixture
def cv(validated_study, tmp_path, monkeypatch):
    """A copy that a test may change, as the working directory."""
    folder = tmp_path / "study"
    shutil.copytree(validated_study, folder)
    monkeypatch.chdir(folder)
    return folder


def read(path):
    return json.loads(Path(path).read_text())


def fold_of_each():
    with open("split.csv", newline="") as stream:
        return {row["source"]: int(row["fold"]) for row in csv.DictReader(stream)}


def models(folder):
    return {path.parent.name: path.read_bytes() for path in folder.glob("fold-*/model.safetensors")}


def assert_one_line(ended, code, *words):
    assert (ended.code, ended.stderr.count("\n")) == (code, 1), ended.stderr
    for word in words:
        assert word in ended.stderr


# Training


def test_each_fold_has_the_bytes_of_a_training_alone(cv):
    whole = models(cv / "cv-1")
    assert sorted(whole) == ["fold-0", "fold-1", "fold-2"]
    assert whole["fold-0"] == (cv / "model" / "model.safetensors").read_bytes()
    assert {path.name for path in (cv / "cv-1" / "fold-2").iterdir()} == {
        path.name for path in (cv / "model").iterdir()
    }


def test_record_names_models_and_what_they_are_tested_on(cv):
    record = read("cv-1/cv.json")
    assert record["settings"]["test_fold"] == "all"
    for row in record["folds"]:
        path = cv / "cv-1" / f"fold-{row['fold']}" / "model.safetensors"
        assert row["sha256"] == sha256_of_file(path)
        assert {fold_of_each()[name] for name in row["test"]} == {row["fold"]}
        assert row["validation"]["val_mean_iou"] > 0.8


def test_stopped_run_goes_on_in_its_fold_and_keeps_the_others(run_mstool, cv, monkeypatch):
    from mstool.nn import fit

    stepped, steps = fit.Fit._train_step, itertools.count(1)

    def step_and_stop(self, *args):
        stepped(self, *args)
        if next(steps) == 32:  # three steps an epoch, eight epochs a fold: in the second fold
            os.kill(os.getpid(), signal.SIGUSR1)

    command = (*EVERY, *TINY, "--epochs", 8, "--seed", 1, "-o", "again")
    monkeypatch.setattr(fit.Fit, "_train_step", step_and_stop)
    assert_one_line(run_mstool(*command), 75, "again/fold-1: stopped at epoch", "to go on")
    monkeypatch.setattr(fit.Fit, "_train_step", stepped)
    assert sorted(models(cv / "again")) == ["fold-0"]
    first = (cv / "again" / "fold-0" / "model.safetensors").stat()
    ended = run_mstool(*(word for word in command if word != "-q"))
    assert (ended.code, "fold 1: going on at epoch" in ended.stderr) == (0, True)
    assert models(cv / "again") == models(cv / "cv-1")
    assert (cv / "again" / "fold-0" / "model.safetensors").stat().st_mtime_ns == first.st_mtime_ns


def test_stop_at_the_end_of_a_fold_begins_no_other(run_mstool, cv, monkeypatch):
    written = train._write_model

    def write_and_stop(*args):
        written(*args)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train, "_write_model", write_and_stop)
    ended = run_mstool(*EVERY, *TINY, "--epochs", 1, "-o", "again")
    assert_one_line(ended, 143, "again: stopped before fold 1; run the same command to go on")
    assert sorted(models(cv / "again")) == ["fold-0"]


@pytest.fixture
def break_folds(monkeypatch):
    """Let the training of some folds fail."""
    whole = cross_validation.train_model

    def install(*folds):
        def train_or_fail(tiles, split, settings, *rest):
            if settings.test_fold in folds:
                raise InputError(f"tile {settings.test_fold}: damaged; mend it")
            whole(tiles, split, settings, *rest)

        monkeypatch.setattr(cross_validation, "train_model", train_or_fail)

    return install


def test_failed_fold_does_not_lose_the_others(run_mstool, cv, break_folds):
    command = (*EVERY, *TINY, "--epochs", 1, "-o", "again")
    break_folds(1)
    ended = run_mstool(*command)
    assert_one_line(ended, 1, "again: fold 1 failed (tile 1: damaged); the others are kept")
    kept = models(cv / "again")
    assert sorted(kept) == ["fold-0", "fold-2"]
    half = run_mstool("predict", "tiles", "--model", "again", "--select", "out-of-fold")
    assert_one_line(half, 66, "again/cv.json: no such file; a fold is not trained yet")
    break_folds()
    assert run_mstool(*command).code == 0
    assert kept.items() < models(cv / "again").items()
    ended = run_mstool(*(word for word in command if word != "-q"))
    assert (ended.code, ended.stderr) == (0, "mstool train: again: nothing left to do\n")


def test_what_fails_every_fold_ends_with_its_own_code(run_mstool, cv, break_folds):
    break_folds(0, 1, 2)
    assert_one_line(run_mstool(*EVERY, *TINY, "-o", "again"), 65, "tile 0: damaged; mend it")
    assert not (cv / "again").exists()


def test_other_settings_are_refused(run_mstool, cv):
    ended = run_mstool(*EVERY, *TINY, "--epochs", 9, "--seed", 1, "-o", "cv-1")
    assert_one_line(ended, 73, "cv-1: already there", "epochs")
    assert len(models(cv / "cv-1")) == 3


def test_budget_is_shared_over_the_folds_that_are_left(tmp_path, monkeypatch):
    clock = [100.0]
    reading = types.SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr(cross_validation, "time", reading)
    fit = FitSettings(1, 1, 0.1, 1.0, 0.0, 0.0, 0, 1, 300.0, 0, 0)

    def share(budget, fold, name, spent_s, **facts):
        """Share of a fold, which then takes some time and leaves a record."""
        settings = asdict(budget.give(fold, fit))
        clock[0] += spent_s
        folder = tmp_path / f"fold-{fold}"
        folder.mkdir(exist_ok=True)
        write_record(folder / name, {"settings": {"fit": settings}, **facts})
        return settings["max_time_s"]

    def begin():
        job = Job(tmp_path, overwrite=False, report=Reporter(), run=Run(clock=clock[0]))
        return cross_validation.BudgetShares(300.0, [0, 1, 2, 4], job)

    budget, claim = begin(), ".train.unfinished.json"
    assert share(budget, 0, "train.json", 40, train_s=38.0) == 75
    assert share(budget, 1, claim, 20) == pytest.approx(260 / 3, abs=0.1)  # and fails
    assert share(budget, 2, claim, 50) == 120  # and is stopped
    clock[0] += 5000
    budget = begin()
    assert share(budget, 1, "train.json", 30, train_s=50.0) == pytest.approx(260 / 3, abs=0.1)
    assert share(budget, 2, "train.json", 60, train_s=110.0) == 120
    assert share(budget, 4, "train.json", 0, train_s=0.0) == 300 - 38 - 50 - 110


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--val-fold", "1"), "--val-fold 1: with --test-fold all every fold is tested"),
        (("--preview", "seen"), "--preview: shows the crops of one training"),
        (("--test-fold", "last"), "--test-fold last: give the number of a fold, or all"),
    ],
)
def test_options_that_do_not_fit_are_refused(run_mstool, study, options, words):
    assert_one_line(run_mstool(*EVERY, *TINY, *options, "-o", "again"), 2, words)


def test_two_folds_are_too_few(run_mstool, study):
    assert run_mstool("split", "tiles", "--folds", 2, "-q", "-o", "two.csv").code == 0
    ended = run_mstool("train", "tiles", "--split", "two.csv", "--test-fold", "all", *TINY)
    assert_one_line(ended, 2, "two.csv: no fold is left to train on; use more folds")


# Prediction


def test_each_micrograph_is_predicted_by_the_model_of_its_fold(run_mstool, cv):
    folds = read("probs-1/predict.json")["folds"]
    assert [row["fold"] for row in folds] == [0, 1, 2]
    for row in folds:
        assert {fold_of_each()[name] for name in row["sources"]} == {row["fold"]}
        model = cv / "cv-1" / f"fold-{row['fold']}"
        assert row["models"] == [sha256_of_file(model / "model.safetensors")]
        seen = {each["name"] for each in row["trained_on"]}
        assert seen == set(fold_of_each()) - set(row["sources"])
        call = ("predict", "tiles", "--model", model, "--select", "test", "--device", "cpu", "-q")
        assert run_mstool(*call, "-o", f"alone-{row['fold']}").code == 0
        for path in (cv / f"alone-{row['fold']}" / "probs").iterdir():
            np.testing.assert_array_equal(
                tifffile.imread(path), tifffile.imread(cv / "probs-1" / "probs" / path.name)
            )


def test_seeds_are_averaged_over_the_models_that_have_not_seen_it(run_mstool, cv):
    call = ("predict", "tiles", "--select", "out-of-fold", "--device", "cpu", "-q")
    assert run_mstool(*call, "--model", "cv-0", "--model", "cv-1", "-o", "both").code == 0
    rows = read("both/predict.json")["folds"]
    assert [(row["fold"], len(row["models"])) for row in rows] == [(0, 2), (1, 2), (2, 2)]
    for path in (cv / "both" / "probs").iterdir():
        zero, one, both = (
            tifffile.imread(cv / folder / "probs" / path.name).astype(int)
            for folder in ("probs-0", "probs-1", "both")
        )
        assert np.abs(both - (zero + one) / 2).max() <= 1  # each of the three is rounded


def test_models_that_have_seen_the_micrographs_are_told_of(run_mstool, cv):
    ended = run_mstool("predict", "tiles", "--model", "cv-0", "--device", "cpu", "-o", "seen")
    (line,) = (line for line in ended.stderr.splitlines() if "out-of-fold" in line)
    assert "6 of 6 micrographs were trained or validated on by some of the models" in line


def test_micrograph_that_all_have_seen_is_named(run_mstool, cv):
    call = ("predict", "tiles", "--select", "out-of-fold", "-o", "none")
    ended = run_mstool(*call, "--model", "cv-1/fold-0", "--model", "cv-1/fold-1")
    first = min(name for name, fold in fold_of_each().items() if fold == 2)
    assert_one_line(ended, 65, f"{first}: every model was trained or validated on it")


def test_new_micrograph_is_predicted_by_all(run_mstool, cv):
    Path("new").mkdir()
    tifffile.imwrite("new/new.tif", np.flip(tifffile.imread("raw/img0.tif"), 0))
    run_mstool("tile", "new", "--size", 48, "--overlap", 16, "-o", "new-tiles", "-q")
    call = ("predict", "new-tiles", "--model", "cv-1", "-q")
    assert run_mstool(*call, "--select", "out-of-fold", "-o", "out").code == 0
    assert run_mstool(*call, "-o", "all").code == 0
    (row,) = read("out/predict.json")["folds"]
    assert (row["fold"], len(row["models"]), row["sources"]) == (None, 3, ["new.tif"])
    assert read("all/predict.json")["folds"] is None
    for path in (cv / "out" / "probs").iterdir():
        assert path.read_bytes() == (cv / "all" / "probs" / path.name).read_bytes()


def remove_a_model(folder):
    (folder / "cv-1" / "fold-1" / "model.safetensors").unlink()


def exchange_a_model(folder):
    shutil.copy(folder / "model" / "model.safetensors", folder / "cv-1" / "fold-1")


def remove_the_record(folder):
    (folder / "cv-1" / "cv.json").unlink()


def empty_the_record(folder):
    write_record(folder / "cv-1" / "cv.json", {"folds": []})


def damage_the_record(folder):
    write_record(folder / "cv-1" / "cv.json", {"folds": [{"fold": "first"}]})


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (remove_a_model, 66, "cv-1/fold-1/model.safetensors: no such model, though"),
        (exchange_a_model, 65, "cv-1/fold-1/model.safetensors: is not the model that"),
        (remove_the_record, 66, "cv-1/cv.json: no such file"),
        (empty_the_record, 65, "cv-1/cv.json: damaged list of folds"),
        (damage_the_record, 65, "cv-1/cv.json: damaged list of folds"),
    ],
)
def test_broken_cross_validation_is_told(run_mstool, cv, change, code, words):
    change(cv)
    call = ("predict", "tiles", "--model", "cv-1", "--select", "out-of-fold", "-o", "none")
    assert_one_line(run_mstool(*call), code, words, "train --test-fold all")
    assert not Path("none").exists()


@pytest.mark.parametrize("again", ["cv-1", "cv-1/fold-1"])
def test_model_that_would_count_twice_is_refused(run_mstool, cv, again):
    ended = run_mstool("predict", "tiles", "--model", "cv-1", "--model", again, "-o", "none")
    assert_one_line(ended, 2, f"--model {again}", "is the same model as cv-1/fold-")
    assert not Path("none").exists()


def test_model_of_other_classes_is_refused(run_mstool, cv):
    model = load_checkpoint(cv / "model")
    other = replace(model.checkpoint, classes=("a", "b"))
    save_checkpoint(cv / "other.safetensors", model.segmenter, other)
    call = ("predict", "tiles", "--model", "cv-1", "--model", "other.safetensors")
    ended = run_mstool(*call, "--select", "out-of-fold", "-o", "none")
    assert_one_line(ended, 65, "other.safetensors: classes a, b differ")


# Scores


def score(run_mstool, *arguments):
    ended = run_mstool("score", *arguments)
    assert ended.code == 0, ended.stderr
    return json.loads(ended.stdout), ended.stderr


def test_score_is_of_all_micrographs_and_of_each_fold(run_mstool, cv):
    record, _ = score(run_mstool, "masks-1", "labels")
    assert record["n_images"] == 6
    assert [row["fold"] for row in record["folds"]] == [0, 1, 2]
    matrices = [np.array(row["confusion"]) for row in record["folds"]]
    np.testing.assert_array_equal(np.sum(matrices, axis=0), record["pooled"]["confusion"])
    for row in record["folds"]:
        assert {fold_of_each()[name] for name in row["images"]} == {row["fold"]}
        assert row["n_images"] == 2
        alone = [each for each in record["per_image"] if each["image"] in row["images"]]
        pooled = np.sum([each["confusion"] for each in alone], axis=0)
        np.testing.assert_array_equal(pooled, row["confusion"])
    assert [*record["variance"]["components"]] == ["fold", "micrograph"]
    assert record["runs"] is None


def test_no_leak_is_cried_where_each_model_is_tested_on_what_it_has_not_seen(run_mstool, cv):
    record, said = score(run_mstool, "masks-1", "labels")
    assert record["leak"] == {
        "checked": True,
        "trained_on": [],
        "named_alike": [],
        "same_group": [],
        "transductive": [],
        "allowed": [],
        "searched": True,
    }
    assert "trained on" not in said


def test_true_leak_is_still_found(run_mstool, cv):
    call = ("predict", "tiles", "--model", "cv-1", "--select", "all", "-q", "-o", "leaky")
    assert run_mstool(*call).code == 0
    assert run_mstool("stitch", "leaky", "-o", "leaky-masks", "-q").code == 0
    record, said = score(run_mstool, "leaky-masks", "labels")
    assert len(record["leak"]["trained_on"]) == 6
    assert "warning: 6 of 6 scored micrographs were trained on" in said


def test_leak_within_a_fold_is_found(run_mstool, cv):
    record = read("masks-1/stitch.json")
    (leaked,) = [each for each in record["sources"] if each["name"] == "img3.tif"]
    row = {"part": "val"} | {key: leaked[key] for key in ("name", "group", "sha256")}
    for fold in record["folds"]:
        if "img3.tif" in fold["sources"]:
            fold["trained_on"].append(row)
    write_record(Path("masks-1/stitch.json"), record)
    assert score(run_mstool, "masks-1", "labels")[0]["leak"]["trained_on"] == ["img3.tif"]


def test_leak_of_any_run_is_found(run_mstool, cv):
    record = read("masks-0/stitch.json")
    (leaked,) = [each for each in record["sources"] if each["name"] == "img3.tif"]
    for fold in record["folds"]:
        if "img3.tif" in fold["sources"]:
            fold["trained_on"].append({key: leaked[key] for key in ("name", "group", "sha256")})
    write_record(Path("masks-0/stitch.json"), record)
    leak = score(run_mstool, "masks-1", "masks-0", "labels")[0]["leak"]
    assert (leak["checked"], leak["trained_on"]) == (True, ["img3.tif"])
    del record["trained_on"]
    write_record(Path("masks-0/stitch.json"), record)
    assert not score(run_mstool, "masks-1", "masks-0", "labels")[0]["leak"]["checked"]


def test_open_pixels_of_runs_are_pooled(run_mstool, cv):
    masks = []
    for seed in (0, 1):
        masks.append(f"open-{seed}")
        assert run_mstool("stitch", f"probs-{seed}", "--abstain", 0.9, "-o", masks[-1]).code == 0
    alone = [score(run_mstool, folder, "labels")[0]["abstention"] for folder in masks]
    both = score(run_mstool, *masks, "labels")[0]["abstention"]
    assert alone[0]["coverage"] < alone[1]["coverage"]
    # the same pixels are labelled in each
    assert both["coverage"] == pytest.approx(np.mean([one["coverage"] for one in alone]))
    for rows in zip(*(one["per_image"] for one in (both, *alone)), strict=True):
        mean, *each = (row["coverage"] for row in rows)
        assert mean == pytest.approx(np.mean(each))


@pytest.mark.parametrize("damage", ["unknown name", "no models"])
def test_damaged_folds_are_told(run_mstool, cv, damage):
    record = read("masks-1/stitch.json")
    if damage == "no models":
        del record["folds"][0]["models"]
    else:
        record["folds"][0]["sources"] = ["other.tif"]
    write_record(Path("masks-1/stitch.json"), record)
    assert_one_line(run_mstool("score", "masks-1", "labels"), 65, "masks-1/stitch.json: ", "folds")


def test_runs_are_pooled_and_their_variance_is_taken_apart(run_mstool, cv):
    one, _ = score(run_mstool, "masks-1", "labels")
    zero, _ = score(run_mstool, "masks-0", "labels")
    both, _ = score(run_mstool, "masks-0", "masks-1", "labels")
    assert both["n_images"] == 6
    for key in ("mean_iou", "kappa", "iou", "confusion"):
        assert [row[key] for row in both["runs"]] == [zero["pooled"][key], one["pooled"][key]]
    total = np.add(zero["pooled"]["confusion"], one["pooled"]["confusion"])
    np.testing.assert_array_equal(both["pooled"]["confusion"], total)
    assert [row["masks"] for row in both["runs"]] == ["masks-0", "masks-1"]
    assert [row["fold"] for row in both["folds"]] == [0, 1, 2]
    assert both["runs"][1]["folds"] == one["folds"]
    assert (one["interval"]["n_runs"], both["interval"]["n_runs"]) == (1, 2)
    by_run = np.array([[row["confusion"] for row in each["per_image"]] for each in (zero, one)])
    for_others, for_these = (
        score_intervals(by_run.sum(axis=0), by_run=runs).scores.mean_iou for runs in (by_run, None)
    )
    assert both["interval"]["mean_iou"] == pytest.approx(for_others)
    # two runs that differ so much tell little of others
    assert np.ptp(for_others) > np.ptp(for_these)
    parts = both["variance"]["components"]
    n_levels = {"micrograph": 6, "run": 2, "fold": 3, "training": 6, "rest": 12}
    assert {name: row["n_levels"] for name, row in parts.items()} == n_levels
    # seed 0 has learnt for a quarter of the time
    assert parts["run"]["sd"] > 0.05


def test_table_shows_folds_runs_and_variance(run_mstool, cv):
    _, table = score(run_mstool, "masks-0", "masks-1", "labels", "--table", "-q")
    assert "pooled over 6 micrographs in 2 runs" in table
    for words in ("mean, fold 2", "mean, masks-1", "varies (sd) by micrograph 0."):
        assert words in table
    assert "training: chance in fitting one model; one fold of one run" in table
    assert max(map(len, table.splitlines())) <= 80


def test_runs_of_other_micrographs_are_refused(run_mstool, cv):
    record = read("masks-0/stitch.json")
    names = {row["name"] for row in record["sources"][1:]}
    record["sources"] = record["sources"][1:]
    for fold in record["folds"]:
        fold["sources"] = [name for name in fold["sources"] if name in names]
    write_record(Path("masks-0/stitch.json"), record)
    Path("masks-0/img0.tif").unlink()
    ended = run_mstool("score", "masks-1", "masks-0", "labels", "-q")
    assert_one_line(ended, 65, "masks-0: has no mask of img0.tif", "the same micrographs")


def test_runs_of_other_pictures_are_refused(run_mstool, cv):
    record = read("masks-0/stitch.json")
    record["sources"][0] |= {"sha256": "other", "file_sha256": "other"}
    write_record(Path("masks-0/stitch.json"), record)
    ended = run_mstool("score", "masks-1", "masks-0", "labels", "-q")
    assert_one_line(ended, 65, "masks-0/img0.tif: is of another micrograph than masks-1/img0.tif")


def test_runs_of_other_classes_are_refused(run_mstool, cv):
    legend = Path("masks-0/legend.toml")
    legend.write_text(legend.read_text().replace('name = "1"', 'name = "bainite"'))
    ended = run_mstool("score", "masks-1", "masks-0", "labels", "-q")
    assert_one_line(ended, 65, "masks-0/legend.toml: the masks have classes 0, bainite")


def test_runs_that_read_the_label_maps_otherwise_are_refused(run_mstool, cv):
    record = read("masks-0/stitch.json")
    swapped = index_legend(legend_from_toml(record["label_legend"]))
    first, second = swapped.classes
    swapped = replace(
        swapped,
        classes=(replace(first, value=second.value), replace(second, value=first.value)),
    )
    write_record(Path("masks-0/stitch.json"), record | {"label_legend": legend_to_toml(swapped)})
    ended = run_mstool("score", "masks-1", "masks-0", "labels", "-q")
    assert_one_line(ended, 65, "masks-0: was made with another legend of the label maps")
    assert run_mstool("score", "masks-1", "masks-0", "labels", "--classes", "0=0,1=1").code == 0


def test_run_under_another_name_is_given_twice(run_mstool, cv):
    Path("again").symlink_to("masks-1")
    ended = run_mstool("score", "masks-1", "again", "labels", "-q")
    assert_one_line(ended, 2, "again: is given twice")


def test_runs_of_one_micrograph_do_not_say_how_micrographs_vary(run_mstool, cv):
    one = ("masks-0/img0.tif", "masks-1/img0.tif", "labels")
    found, _ = score(run_mstool, *one)
    assert [*found["variance"]["components"]] == ["rest"]


def test_boundaries_and_objects_of_runs_are_pooled_too(run_mstool, cv):
    options = ("--boundaries", "2px", "--objects", "1")
    alone = [score(run_mstool, f"masks-{seed}", "labels", *options)[0] for seed in (0, 1)]
    both, _ = score(run_mstool, "masks-0", "masks-1", "labels", *options)
    for key in ("n_truth", "n_mask", "n_matched"):
        counts = [each["objects"]["1"]["pooled"][key] for each in alone]
        assert both["objects"]["1"]["pooled"][key] == sum(counts)
    for number, image in enumerate(both["per_image"]):
        counts = [each["per_image"][number]["boundaries"]["n_mask"]["1"] for each in alone]
        assert image["boundaries"]["n_mask"]["1"] == sum(counts)


def test_run_given_twice_is_refused(run_mstool, cv):
    ended = run_mstool("score", "masks-1", "masks-0", "masks-1/", "labels", "-q")
    assert_one_line(ended, 2, "masks-1: is given twice; name each run once")


def other_runs(run_mstool, change):
    """Masks of the second seed beside those of the first, whose record is changed."""
    record = read("masks-0/stitch.json")
    change(record)
    write_record(Path("masks-0/stitch.json"), record)
    return run_mstool("score", "masks-1", "masks-0", "labels", "-q")


def test_runs_of_other_settings_are_refused(run_mstool, cv):
    for line in predicting("-0", to="-true"):
        assert run_mstool(*line.split()).code == 0
    ended = run_mstool("score", "masks-1", "masks-true", "labels", "-q")
    words = "masks-true: was made with other settings than masks-1: epochs 2 (there 8); runs of"
    assert_one_line(ended, 65, words, "compare the two with --versus")


@pytest.mark.parametrize(
    ("table", "key", "value", "words"),
    [
        ("tiles", "scale", 0.5, "tiles scale 0.5 (there 1)"),
        ("", "tta", "flips", "tta flips (there none)"),
        ("", "n_models", [1, 2], "n_models 1 or 2 (there 1)"),
        ("settings", "blend", "crop", "blend crop (there hann)"),
        ("settings", "abstain", 0.6, "abstain 0.6 (there 0)"),
    ],
)
def test_what_differs_is_named(run_mstool, cv, table, key, value, words):
    def change(record):
        place = record["settings"] if table == "settings" else record["made_with"]
        (place["tiles"] if table == "tiles" else place)[key] = value

    assert_one_line(other_runs(run_mstool, change), 65, f"than masks-1: {words}; runs of")


def test_what_records_do_not_tell_is_not_held(run_mstool, cv):
    assert other_runs(run_mstool, lambda record: record.pop("made_with")).code == 0


def test_a_run_and_its_abstaining_copy_are_one_run(run_mstool, cv):
    assert run_mstool("stitch", "probs-1", "--abstain", 0.6, "-q", "-o", "open").code == 0
    ended = run_mstool("score", "masks-1", "masks-0", "open", "labels", "-q")
    assert_one_line(ended, 65, "open: was made by the same models as masks-1", "leave one out")


def test_leave_one_out_is_a_fold_a_micrograph(run_mstool, study):
    assert run_mstool("split", "tiles", "--loo", "-q", "-o", "loo.csv").code == 0
    call = ("train", "tiles", "--split", "loo.csv", "--test-fold", "all", "--epochs", 1, *TINY)
    assert run_mstool(*call, "-o", "cv").code == 0
    for line in predicting(""):
        assert run_mstool(*line.split()).code == 0
    record, _ = score(run_mstool, "masks", "labels")
    assert [row["n_images"] for row in record["folds"]] == [1] * 6
    assert record["leak"]["trained_on"] == []
    parts = record["variance"]["components"]
    assert {name: row["includes"] for name, row in parts.items()} == {
        "micrograph": ["fold", "training", "rest"]
    }
    _, table = score(run_mstool, "masks", "labels", "--table", "-q")
    assert "micrograph: with fold and training and rest, not to be told apart" in table
