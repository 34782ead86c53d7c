import contextlib
import csv
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mstool.nn.checkpoint import deciding_sources, load_checkpoint
from mstool.nn.dataset import balanced_weights

TRAIN = ("train", "tiles", "--split", "split.csv", "--test-fold", "0")
TINY = ("--arch", "unet-plain", "--depth", "2", "--width", "4", "--augment", "spatial")
TINY += ("--seed", "1", "--device", "cpu", "--lr", "0.02")


def rows(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_model_explains_itself(study):
    checkpoint = load_checkpoint(study / "model").checkpoint
    assert checkpoint.classes == ("0", "1")
    assert checkpoint.tile_size == 48
    assert checkpoint.receptive_field_px > 40
    assert 80 < checkpoint.mean[0] < 170
    assert {part: len(names) for part, names in checkpoint.sources.items()} == {
        "train": 2,
        "val": 2,
        "test": 2,
        "inherited": 0,
    }
    assert checkpoint.training["versions"]["torch"] == torch.__version__.split("+")[0]
    assert checkpoint.metrics["val_mean_iou"] > 0.8
    record = json.loads((study / "model" / "train.json").read_text())
    assert record["status"] == "done"
    assert record["validation"] == checkpoint.metrics
    assert len(rows(study / "model" / "history.csv")) == 8
    assert (study / "model" / "curves.png").stat().st_size > 5000
    assert not (study / "model" / "resume").exists()


def test_same_seed_gives_the_same_bytes(run_mstool, study):
    assert run_mstool(*TRAIN, "--epochs", 8, *TINY, "-o", "again").code == 0
    first, second = ((study / name / "model.safetensors") for name in ("model", "again"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("stop_after", [3, 4, 7])
def test_stopped_run_goes_on_and_ends_with_the_same_weights(
    run_mstool, study, monkeypatch, stop_after
):
    from mstool.nn import fit

    stepped, n_steps = fit.Fit._train_step, 0

    def step_and_stop(self, *args):
        nonlocal n_steps
        stepped(self, *args)
        n_steps += 1
        if n_steps == stop_after:
            os.kill(os.getpid(), signal.SIGUSR1)

    command = (*TRAIN, "--epochs", 8, *TINY, "--batch-size", 4, "-o", "stopped")
    monkeypatch.setattr(fit.Fit, "_train_step", step_and_stop)
    ended = run_mstool(*command)
    assert ended.code == 75
    assert "run the same command to go on" in ended.stderr
    assert not (study / "stopped" / "model.safetensors").exists()
    monkeypatch.setattr(fit.Fit, "_train_step", stepped)
    ended = run_mstool(*command)
    assert ended.code == 0
    assert "going on at epoch" in ended.stderr
    whole, stopped = (
        load_file(study / name / "model.safetensors") for name in ("model", "stopped")
    )
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGXCPU, 75)]
)
def test_signal_from_outside_saves_and_ends_with_its_code(study, number, code):
    command = [sys.executable, "-m", "mstool", *TRAIN, "--epochs", "5000", *TINY, "-o", "long"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "epoch 1/" in line:
                break
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(60) == code
    assert "run the same command to go on" in rest
    assert "Traceback" not in rest
    assert (study / "long" / "resume" / "state.safetensors").exists()
    assert not (study / "long" / "train.json").exists()


def test_budget_ends_complete(run_mstool, study, monkeypatch):
    from mstool.nn import fit, pace

    readings = itertools.count(time.monotonic(), 0.1)  # a clock that no load can disturb
    clock = types.SimpleNamespace(monotonic=lambda: next(readings))
    for module in (fit, pace):
        monkeypatch.setattr(module, "time", clock)
    ended = run_mstool(*TRAIN, "--epochs", 100000, "--max-time", "2m", *TINY, "-o", "budget")
    assert ended.code == 0
    history = rows(study / "budget" / "history.csv")
    assert 3 < len(history) < 1000
    assert f"--max-time left out {100000 - len(history)} of 100000 epochs" in ended.stderr
    assert float(history[-1]["lr"]) < 0.02 * 0.05  # the schedule came to its end
    assert load_checkpoint(study / "budget").checkpoint.metrics["val_mean_iou"] > 0.5


def test_patience_stops_early_and_keeps_the_best(run_mstool, study):
    options = ("--epochs", 30, "--patience", 1, "--lr", 1e-9, "--ema", 0)
    assert run_mstool(*TRAIN, *TINY[:-2], *options, "-o", "early").code == 0
    history = rows(study / "early" / "history.csv")
    assert len(history) < 30
    best = max(float(row["val_mean_iou"]) for row in history)
    assert load_checkpoint(study / "early").checkpoint.metrics["val_mean_iou"] == best


@pytest.mark.parametrize(
    "options",
    [
        ("--loss", "focal"),
        ("--loss", "jaccard+lovasz"),
        ("--class-weights", "balanced"),
        ("--class-weights", "1,3"),
        ("--finetune", "decoder"),
        ("--finetune", "top-1"),
        ("--augment", "default", "--crop", "32"),
        ("--max-images", "1"),
        ("--workers", "1"),
        ("--val-fold", "2"),
        ("--precision", "fp32", "--batch-size", "1"),
    ],
)
def test_options_run(run_mstool, study, options):
    ended = run_mstool(*TRAIN, *TINY, "--epochs", 1, *options, "-o", "other")
    assert ended.code == 0, ended.stderr
    assert (study / "other" / "train.json").exists()
    assert ("learns from one crop at a time" in ended.stderr) == ("--batch-size" in options)


def test_unpadded_network_trains(run_mstool, study):
    assert run_mstool("tile", "raw", "--labels", "labels", "--size", 80, "-o", "large").code == 0
    command = ("train", "large", *TRAIN[2:], *TINY, "--padding", "valid", "--epochs", 3)
    assert run_mstool(*command, "-o", "valid").code == 0
    assert load_checkpoint(study / "valid").segmenter.margin == 20


def test_pretrained_weights_are_told_and_recorded(run_mstool, study):
    ended = run_mstool(*TRAIN, "--epochs", 1, "-o", "lite", "--device", "cpu")
    assert ended.code == 0
    assert "240 of 240 tensors of the encoder" in ended.stderr
    assert len(load_checkpoint(study / "lite").checkpoint.training["weights"]["sha256"]) == 64


def test_model_of_mstool_serves_as_weights(run_mstool, study):
    weights = ("--weights", "model/model.safetensors")
    ended = run_mstool(*TRAIN, *TINY, "--epochs", 1, *weights, "-o", "next")
    assert ended.code == 0
    assert "26 others from model.safetensors" in ended.stderr
    checkpoint = load_checkpoint(study / "next").checkpoint
    inherited = checkpoint.sources["inherited"]
    assert sorted(source["part"] for source in inherited) == ["train", "train", "val", "val"]
    assert len(deciding_sources(checkpoint)) == 8  # four of its own and four before


def test_scores_tell_of_micrographs_behind_the_weights_that_training_began_with(run_mstool, study):
    weights = ("--weights", "model/model.safetensors", "--max-images", 1)
    assert run_mstool(*TRAIN, *TINY, "--epochs", 1, *weights, "-o", "next").code == 0
    own = load_checkpoint(study / "next").checkpoint.sources
    before = load_checkpoint(study / "model").checkpoint.sources
    assert len(own["train"]) < len(before["train"])
    assert run_mstool("predict", "tiles", "--model", "next").code == 0
    trained_on = json.loads((study / "probs" / "predict.json").read_text())["trained_on"]
    wanted = {source["name"] for part in ("train", "val") for source in before[part]}
    assert {source["name"] for source in trained_on} == wanted


def test_groups_of_the_split_reach_the_intervals(run_mstool, study):
    groups = ("s1", "s1", "s2", "s2", "img4.tif", "img5.tif")
    lines = [f"img{n}.tif,{group},{n // 2}" for n, group in enumerate(groups)]
    Path("named.csv").write_text("\n".join(["source,group,fold", *lines]))
    train = ("train", "tiles", "--split", "named.csv", "--test-fold", "0", "--epochs", 1)
    assert run_mstool(*train, *TINY, "-o", "named").code == 0
    sources = load_checkpoint(study / "named").checkpoint.sources
    assert [each["specimen"] for each in sources["test"]] == ["s1", "s1"]
    predict = ("predict", "tiles", "--model", "named", "--select", "all", "-q")
    assert run_mstool(*predict, "-o", "n-probs", "--device", "cpu").code == 0
    assert run_mstool("stitch", "n-probs", "-o", "n-masks", "-q").code == 0
    ended = run_mstool("score", "n-masks", "labels")
    interval = json.loads(ended.stdout)["interval"]
    assert (interval["unit"], interval["n_units"]) == ("group", 4)
    assert "the split of the training makes 4 groups of the 6 of the tile folder" in ended.stderr


def test_weights_that_know_a_specimen_of_the_test_by_the_split_alone_are_refused(run_mstool, study):
    def write_split(path, letter):
        lines = [f"{letter}{n}.tif,heat{n},{n // 2}" for n in range(6)]
        Path(path).write_text("\n".join(["source,group,fold", *lines]))

    for image in Path("raw").iterdir():  # other fields of the same heats
        for folder, suffix in (("raw", image.suffix), ("labels", ".png")):
            name = image.name.replace("img", "new")
            Path(f"next-{folder}").mkdir(exist_ok=True)
            with Image.open(Path(folder, image.stem + suffix)) as shown:
                shown.rotate(90).save(Path(f"next-{folder}", name).with_suffix(suffix))
    tile = ("tile", "next-raw", "--labels", "next-labels", "--size", 48, "--overlap", 16)
    assert run_mstool(*tile, "-o", "next-tiles").code == 0
    write_split("heats.csv", "img")
    write_split("next.csv", "new")
    train = ("--test-fold", 0, "--epochs", 1, *TINY)
    assert run_mstool("train", "tiles", "--split", "heats.csv", *train, "-o", "first").code == 0
    again = ("train", "next-tiles", "--split", "next.csv", *train, "--weights", "first", "-o", "m")
    assert run_mstool(*again).code == 0  # of the test of both, nothing was seen
    turned = (*again, "--test-fold", 1, "--overwrite")
    ended = run_mstool(*turned)
    assert (ended.code, "another micrograph of group 'heat" in ended.stderr) == (65, True)


def test_a_model_that_is_lost_is_made_again(run_mstool, study):
    command = (*TRAIN, *TINY, "--epochs", 1, "-o", "again")
    assert run_mstool(*command).code == 0
    before = (study / "again" / "model.safetensors").read_bytes()
    (study / "again" / "model.safetensors").unlink()
    ended = run_mstool(*command)
    assert ended.code == 0, ended.stderr
    assert (study / "again" / "model.safetensors").read_bytes() == before


def test_weights_that_know_the_test_are_refused(run_mstool, study):
    weights = ("--weights", "model/model.safetensors")
    command = ("train", "tiles", "--split", "split.csv", "--test-fold", "2", *TINY)
    ended = run_mstool(*command, "--epochs", 1, *weights, "-o", "next")
    assert ended.code == 65
    assert "has already seen img" in ended.stderr
    assert not (study / "next").exists()
    ended = run_mstool(*command, "--epochs", 1, *weights, "-o", "next", "--allow-leak")
    assert ended.code == 0
    assert "--allow-leak: model/model.safetensors has already seen img" in ended.stderr
    (found, *_) = json.loads((study / "next" / "train.json").read_text())["leak"]["found"]
    assert "has already seen img" in found


def leak_by(kind):
    split = Path("split.csv")
    lines = split.read_text().splitlines()
    if kind == "group":
        split.write_text("\n".join(line.replace(",img", ",one") for line in lines[:1]) + "\n")
        body = [line.split(",") for line in lines[1:]]
        one = "".join(f"{source},heat7,{fold}\n" for source, _, fold in body)
        split.write_text("source,group,fold\n" + one)
    else:
        shutil.copy("raw/img0.tif", "raw/img1.tif")
        shutil.copy("labels/img0.png", "labels/img1.png")


@pytest.mark.parametrize("kind", ["group", "content"])
def test_leak_is_refused_before_the_first_step(run_mstool, study, kind):
    leak_by(kind)
    if kind == "content":
        rows_of = "".join(f"img{i}.tif,img{i},{i % 3}\n" for i in range(6))
        Path("split.csv").write_text("source,group,fold\n" + rows_of)
        run_mstool(
            "tile", "raw", "--labels", "labels", "--size", 48, "--overlap", 16, "--overwrite"
        )
    ended = run_mstool(*TRAIN, *TINY, "--epochs", 1, "-o", "leaky")
    assert ended.code == 65
    assert kind in ended.stderr or "heat7" in ended.stderr
    assert "split.csv" in ended.stderr
    assert not (study / "leaky").exists()


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (["--arch", "unet"], 2, "--depth 2"),
        (["--encoder", "resnet18"], 2, "--encoder"),
        (["--decoder-width", "0.5"], 2, "--decoder-width 0.5: needs --arch unet, "),
        (["--loss", "mse"], 2, "--loss mse"),
        (["--finetune", "decoder", "--encoder-lr-factor", "0.1"], 2, "--encoder-lr-factor 0.1"),
        (["--finetune", "some"], 2, "--finetune some"),
        (["--class-weights", "1,2,3"], 2, "--class-weights"),
        (["--class-weights", "a"], 2, "--class-weights a"),
        (["--augment", "much"], 2, "--augment much"),
        (["--padding", "round"], 2, "--padding round"),
        (["--depth", "9"], 2, "--depth 9"),
        (["--depth", "4", "--crop", "16", "--batch-size", "1"], 2, "--batch-size 1"),
        (["--weights", "nothing.pth"], 2, "nothing.pth"),
        (["--weights", "imagenet"], 2, "unet-plain"),
        (["--test-fold", "7"], 2, "--test-fold 7"),
        (["--val-fold", "0"], 2, "--val-fold 0"),
        (["--max-images", "9"], 2, "--max-images 9"),
        (["--max-time", "soon"], 2, "--max-time soon"),
        (["--lr", "-1"], 2, "--lr"),
        (["--lr", "0"], 2, "--lr 0: must be above 0"),
        (["--ema", "1"], 2, "--ema"),
        (["--device", "tpu"], 69, "--device tpu"),
        (["--device", "cuda:99"], 69, "cuda:99"),
        (["--precision", "fp16"], 69, "fp16"),
        (["--split", "none.csv"], 66, "none.csv"),
    ],
)
def test_bad_usage_names_what_is_wrong(run_mstool, study, options, code, word):
    ended = run_mstool(*TRAIN, *TINY, "--epochs", 1, *options, "-o", "other", "-q")
    assert ended.code == code
    assert word in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (study / "other").exists()


@pytest.mark.parametrize(
    "options", [("--arch", "nonet"), ("--arch", "unet", "--encoder", "resnet17")]
)
def test_unknown_network_is_refused_with_choices(run_mstool, study, options):
    ended = run_mstool(*TRAIN, *options, "--weights", "none", "-o", "other", "-q")
    assert ended.code == 2
    assert " ".join(options[-2:]) in ended.stderr
    assert "use one of" in ended.stderr or "resnet18" in ended.stderr
    assert not (study / "other").exists()


def test_tiles_without_labels_and_missing_folders_are_told(run_mstool, study):
    run_mstool("tile", "raw", "--size", 48, "--overlap", 16, "-o", "bare")
    ended = run_mstool("train", "bare", *TRAIN[2:])
    assert (ended.code, "--labels" in ended.stderr) == (65, True)
    assert run_mstool("train", "nowhere", *TRAIN[2:]).code == 66
    assert run_mstool("train", "tiles").code == 2


def test_tiles_cut_again_in_the_same_way_leave_the_model_valid(run_mstool, study):
    tile = ("tile", "raw", "--labels", "labels", "--size", 48, "--overlap", 16, "--overwrite")
    record = (study / "tiles" / "tiles.json").read_bytes()
    assert run_mstool(*tile).code == 0
    assert (study / "tiles" / "tiles.json").read_bytes() != record
    ended = run_mstool(*TRAIN, "--epochs", 8, *TINY)
    assert (ended.code, ended.stderr) == (0, "mstool train: model: nothing left to do\n")


def test_no_home_directory_is_needed_without_downloads(run_mstool, study, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # the user has no name
    assert run_mstool(*TRAIN, *TINY, "--epochs", 1, "-o", "homeless").code == 0


def test_model_with_other_settings_is_not_overwritten(run_mstool, study):
    before = (study / "model" / "model.safetensors").read_bytes()
    ended = run_mstool(*TRAIN, *TINY, "--epochs", 3)
    assert ended.code == 73
    assert "epochs" in ended.stderr
    assert (study / "model" / "model.safetensors").read_bytes() == before
    again = run_mstool(*TRAIN, *TINY, "--epochs", 8, "-q")
    assert (again.code, again.stderr) == (0, "")


def test_metadata_is_readable_without_mstool(study):
    with safe_open(study / "model" / "model.safetensors", "pt") as stream:
        description = json.loads(stream.metadata()["mstool"])
    assert description["spec"]["arch"] == "unet-plain"


def test_loss_that_is_not_a_number_stops_the_run(run_mstool, study, monkeypatch):
    from mstool.pipeline.train import learner as module

    monkeypatch.setattr(module, "build_loss", lambda *_: lambda logits, _: logits.sum() * np.nan)
    ended = run_mstool(*TRAIN, *TINY, "--epochs", 1, "-o", "wild")
    assert ended.code == 1
    assert "wild: the loss is not a number at step 1; use a lower --lr" in ended.stderr
    assert not (study / "wild" / "model.safetensors").exists()


def relabel(study, change, folds=(0, 1, 2)):
    """Change the label maps of some folds: 0 is for the test, 1 to validate, 2 to train."""
    for row in rows(study / "split.csv"):
        if int(row["fold"]) in folds:
            path = study / "labels" / f"{Path(row['source']).stem}.png"
            Image.fromarray(change(np.array(Image.open(path)))).save(path)


def cut_and_train(run_mstool, *options):
    """Cut tiles anew into ``cut``, and train two epochs on them into ``m``."""
    command = ("tile", "raw", "--labels", "labels", "--size", 48, "--overlap", 8, "-o", "cut", "-q")
    cut = run_mstool(*command, *options)
    assert cut.code == 0, cut.stderr
    return run_mstool("train", "cut", *TRAIN[2:], *TINY, "--epochs", 2, "-o", "m")


def test_validation_without_a_labelled_pixel_is_said_and_null(run_mstool, study):
    relabel(study, lambda labels: np.full_like(labels, 255), folds=[1])
    ended = cut_and_train(run_mstool, "--classes", "0=0,1=1,ignore=255")
    assert ended.code == 0
    assert "-1.0000" not in ended.stderr and "nan" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert "nothing could be validated" in last and "best" not in last
    record = json.loads((study / "m" / "train.json").read_text())
    assert record["best_epoch"] is None
    assert set(record["validation"].values()) == {None}
    assert "val_mean_iou" in record["validation"]
    assert load_checkpoint(study / "m").checkpoint.metrics == record["validation"]
    assert [row["val_mean_iou"] for row in rows(study / "m" / "history.csv")] == ["", ""]


def test_classes_that_nobody_shows_are_said_and_have_no_say(run_mstool, study):
    relabel(study, lambda labels: np.where(labels == 1, 2, labels), folds=[2])
    ended = cut_and_train(run_mstool, "--classes", "a=0,b=1,c=2")
    assert ended.code == 0, ended.stderr
    assert 'warning: no pixel to train on is "b", which cannot be learnt' in ended.stderr
    assert 'warning: no pixel to validate on is "c", which has no say' in ended.stderr
    for row in rows(study / "m" / "history.csv"):
        shown = (float(row["val_iou_a"]) + float(row["val_iou_b"])) / 2
        assert float(row["val_mean_iou"]) == pytest.approx(shown)


def test_tiles_that_teach_nothing_are_counted(run_mstool, study):
    first = iter([True])
    relabel(study, lambda labels: labels if next(first, False) else labels * 0 + 255, folds=[2])
    ended = cut_and_train(run_mstool, "--classes", "a=0,b=1,ignore=255")
    assert ended.code == 0, ended.stderr
    assert re.search(r"\d+ of \d+ tiles to train on have no labelled pixel", ended.stderr)
    assert "the others are of 1 of 2 micrographs" in ended.stderr
    assert "warning" not in ended.stderr


@pytest.mark.parametrize(
    ("folds", "options", "name"),
    [
        ([2], (), "0"),
        ([2], ("--classes", "matrix=0,rest=*"), "matrix"),
        ([0, 1, 2], ("--classes", "matrix=0"), "matrix"),
    ],
    ids=["test-has-both", "named", "legend-of-one"],
)
def test_tiles_of_one_class_are_refused_before_an_epoch(run_mstool, study, folds, options, name):
    relabel(study, np.zeros_like, folds)
    ended = cut_and_train(run_mstool, *options)
    assert ended.code == 65
    assert f'cut: the tiles to train on hold one class only, "{name}"; ' in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (study / "m").exists()


def test_tiles_without_a_labelled_pixel_are_refused_before_an_epoch(run_mstool, study):
    relabel(study, lambda labels: np.full_like(labels, 255), folds=[2])
    ended = cut_and_train(run_mstool, "--classes", "0=0,1=1,ignore=255")
    assert (ended.code, ended.stderr.count("\n")) == (65, 1)
    assert "cut: the tiles to train on have no labelled pixel; " in ended.stderr


@pytest.mark.parametrize(
    ("values", "word"),
    [(np.full((48, 48), 7, np.uint8), "value 7"), (np.zeros((9, 9), np.uint8), "9 x 9 pixels")],
)
def test_tile_labels_changed_by_hand_are_refused(run_mstool, study, values, word):
    for path in (study / "tiles" / "labels").glob("*.png"):
        Image.fromarray(values).save(path)
    ended = run_mstool(*TRAIN, *TINY, "--epochs", 1, "-o", "m", "-q")
    assert (ended.code, word in ended.stderr) == (65, True)
    assert ended.stderr.count("\n") == 1
    assert not (study / "m").exists()


def test_tiles_left_out_for_ignored_pixels_do_not_stop_validation(run_mstool, study):
    for path in sorted((study / "labels").glob("*.png")):
        labels = np.array(Image.open(path))
        labels[:40, :40] = 255
        Image.fromarray(labels).save(path)
    command = ("tile", "raw", "--labels", "labels", "--size", 32, "--overlap", 8)
    run_mstool(*command, "--discard-ignored", 0.5, "-o", "few")
    assert run_mstool("train", "few", *TRAIN[2:], *TINY, "--epochs", 1, "-o", "m").code == 0


def test_full_disk_is_one_line_and_leaves_no_half_file(study):
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "from mstool.cli import main; sys.argv[0] = 'mstool'; main()"
    )
    command = [sys.executable, "-c", script, *TRAIN, *TINY, "--epochs", "1", "-o", "full"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 74
    assert ended.stderr.splitlines()[-1].startswith("mstool train: ")
    assert "Traceback" not in ended.stderr
    assert not (study / "full" / "train.json").exists()
    assert not list((study / "full").rglob("*.safetensors"))


def test_crops_that_are_alone_or_larger_than_tiles_are_said(run_mstool, study):
    tile = ("tile", "raw", "--labels", "labels", "--size", 96, "--overlap", 8, "-o", "one", "-q")
    assert run_mstool(*tile).code == 0
    command = ("train", "one", *TRAIN[2:], *TINY, "--epochs", 1, "--max-images", 1)
    ended = run_mstool(*command, "--crop", 112, "-o", "alone")
    assert ended.code == 0, ended.stderr
    assert "a single tile: batch normalisation learns from one crop at a time" in ended.stderr
    assert "--crop 112: larger than the tiles of 96 pixels" in ended.stderr


def test_preview_draws_crops_and_trains_nothing(run_mstool, study):
    before = (study / "model/model.safetensors").stat().st_mtime_ns
    call = ("train", "tiles", "--split", "split.csv", "--test-fold", 0, *TINY, "-q")
    for out in ("a", "b"):
        ended = run_mstool(*call, "--augment", "default", "--preview", out)
        assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    first, second = ((study / out / "preview.png").read_bytes() for out in "ab")
    assert first == second
    assert (study / "model/model.safetensors").stat().st_mtime_ns == before
    assert run_mstool(*call, "--augment", "none", "--preview", "a").code == 0
    assert (study / "a/preview.png").read_bytes() != first
    ended = run_mstool(*call, "--preview", "split.csv")
    assert (ended.code, len(ended.stderr.splitlines())) == (73, 1)


PIXEL = ("--arch", "pixel-classifier", "--features", "filters", "--pixels", "3000", "--views", "2")
PIXEL += ("--width", "8", "--epochs", "40", "--batch-size", "1", "--device", "cpu", "-q")


def test_pixel_classifier_learns_scores_and_gives_the_same_bytes(run_mstool, study):
    for name in ("first", "again"):
        assert run_mstool(*TRAIN, *PIXEL, "-o", name).code == 0
    files = (study / name / "model.safetensors" for name in ("first", "again"))
    first, again = (path.read_bytes() for path in files)
    assert first == again
    record = json.loads((study / "first" / "train.json").read_text())
    assert record["validation"]["val_mean_iou"] > 0.8
    assert (record["n_views"], record["n_pixels"]) == (2, 3000)
    assert [record["settings"][key] for key in ("loss", "finetune", "encoder")] == [
        "ce",
        "decoder",
        None,
    ]
    history = rows(study / "first" / "history.csv")
    assert [bool(row["val_mean_iou"]) for row in history] == [False] * 39 + [True]
    members = ("--model", "first", "--model", "model")
    predicted = run_mstool("predict", "tiles", *members, "-o", "both", "-q")
    assert predicted.code == 0, predicted.stderr


def test_a_pixel_classifier_that_was_stopped_ends_with_the_same_weights(
    run_mstool, study, monkeypatch
):
    assert run_mstool(*TRAIN, *PIXEL, "-o", "whole").code == 0

    def stop_after(n_calls):
        calls = itertools.count(1)
        return lambda: 75 if next(calls) >= n_calls else None

    for n_calls in (5, 200):  # while features are computed, then while the head learns
        with monkeypatch.context() as patched:
            patched.setattr(
                "mstool.commands.train.stop_between_steps",
                lambda: contextlib.nullcontext(stop_after(n_calls)),
            )
            stopped = run_mstool(*TRAIN, *PIXEL, "-o", "parts")
        assert stopped.code == 75
        assert "run the same command to go on" in stopped.stderr
    assert run_mstool(*TRAIN, *PIXEL, "-o", "parts").code == 0
    files = (study / name / "model.safetensors" for name in ("whole", "parts"))
    whole, parts = (path.read_bytes() for path in files)
    assert whole == parts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--depth", 3), "--depth 3: needs --arch unet-plain"),
        (("--finetune", "full"), "--finetune full: the encoder of pixel-classifier stays frozen"),
        (("--encoder-lr-factor", 0.1), "stays frozen"),
        (("--patience", 3), "--patience 3: pixel-classifier is validated once"),
        (("--augment", "spatial", "--views", 1), "--augment spatial: with --views 1"),
        (("--encoder", "resnet18"), "--encoder resnet18: --features filters has no encoder"),
        (("--weights", "imagenet"), "--weights imagenet: --features filters has no encoder"),
        (("--features", "colour"), "--features colour: 'colour' is none; use filters"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value[0],
)
def test_what_a_pixel_classifier_has_not_is_refused(run_mstool, study, options, words):
    ended = run_mstool(*TRAIN, *PIXEL, *options, "-o", "refused")
    assert ended.code == 2
    assert words in ended.stderr
    assert not (study / "refused").exists()


@pytest.mark.parametrize("flag", ["--features", "--pixels", "--views"])
def test_what_only_a_pixel_classifier_has_is_refused_elsewhere(run_mstool, study, flag):
    ended = run_mstool(*TRAIN, *TINY, flag, "2", "-o", "refused")
    assert ended.code == 2
    assert f"{flag} 2: needs --arch pixel-classifier" in ended.stderr


def test_a_few_strokes_are_enough_for_a_pixel_classifier(run_mstool, study):
    def strokes(labels):
        sparse = np.full_like(labels, 255)
        sparse[20:23, ::7], sparse[::9, 50] = labels[20:23, ::7], labels[::9, 50]
        return sparse

    relabel(study, strokes, folds=(2,))
    command = ("tile", "raw", "--labels", "labels", "--size", 48, "--overlap", 8, "-o", "cut", "-q")
    assert run_mstool(*command).code == 0
    ended = run_mstool("train", "cut", *TRAIN[2:], *PIXEL[:-1], "-o", "m")
    assert ended.code == 0, ended.stderr
    assert re.search(r"31 features of \d{3} pixels: 0 \d+, 1 \d+\n", ended.stderr)
    record = json.loads((study / "m" / "train.json").read_text())
    assert record["validation"]["val_mean_iou"] > 0.7


@pytest.mark.parametrize(
    ("labelled", "words"),
    [
        (slice(0, 2), "are none that is labelled"),
        (slice(14, 34), 'are of one class only, "1"'),
    ],
)
def test_crops_that_show_too_little_are_refused(run_mstool, study, labelled, words):
    def corner(labels):
        sparse = np.full_like(labels, 255)
        sparse[labelled, labelled] = 1
        sparse[0, 0] = 0
        return sparse

    relabel(study, corner, folds=(2,))
    command = ("tile", "raw", "--labels", "labels", "--size", 48, "--overlap", 8, "-o", "cut", "-q")
    assert run_mstool(*command).code == 0
    options = (*PIXEL, "--crop", 16, "--views", 1, "--augment", "none")
    ended = run_mstool("train", "cut", *TRAIN[2:], *options, "-o", "m")
    assert ended.code == 65, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert f"cut: the pixels to learn from {words}; use a larger --crop" in ended.stderr
    assert not (study / "m").exists()


def test_a_vision_transformer_describes_pixels_and_is_asked_of_no_network(
    run_mstool, study, monkeypatch
):
    import timm

    save_file(timm.create_model("vit_tiny_patch16_224").state_dict(), study / "w.safetensors")
    encoder = ("--encoder", "tu-vit_tiny_patch16_224", "--weights", "w.safetensors")
    options = (*PIXEL, "--features", "filters+encoder@2", "--epochs", 5)

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    ended = run_mstool(*TRAIN, *options, *encoder, "-o", "m")
    assert ended.code == 0, ended.stderr
    (study / "w.safetensors").unlink()
    record = json.loads((study / "m" / "train.json").read_text())
    assert record["weights"]["n_matched"] == record["weights"]["n_encoder"] == 150
    assert run_mstool("predict", "tiles", "--model", "m", "-o", "seen", "-q").code == 0
    assert run_mstool("stitch", "seen", "-o", "whole", "-q").code == 0
    assert (study / "whole" / "stitch.json").is_file()


def test_a_budget_leaves_out_views_of_a_pixel_classifier(run_mstool, study):
    ended = run_mstool(*TRAIN, *PIXEL[:-1], "--max-time", "0.02", "-o", "quick")
    assert ended.code == 0, ended.stderr
    assert "enough for 1 of 2 views of the tiles; the others are left out" in ended.stderr
    record = json.loads((study / "quick" / "train.json").read_text())
    assert (record["n_views"], record["n_pixels"]) == (1, 3000)


def test_balanced_weights_of_a_pixel_classifier_are_those_of_its_pixels(
    run_mstool, study, monkeypatch
):
    seen = []
    monkeypatch.setattr(
        "mstool.pipeline.train.learner.balanced_weights",
        lambda counts: seen.append(sum(counts)) or balanced_weights(counts),
    )
    options = ("--class-weights", "balanced", "--epochs", 1)
    ended = run_mstool(*TRAIN, *PIXEL, *options, "-o", "weighted")
    assert ended.code == 0, ended.stderr
    assert seen == [3000]


def test_a_stopped_pixel_classifier_goes_on_with_the_views_it_began_with(
    run_mstool, study, monkeypatch
):
    call = (*TRAIN, *PIXEL, "--views", 3, "--max-time", "1h", "-o", "parts")
    calls = itertools.count(1)
    with monkeypatch.context() as patched:
        patched.setattr("mstool.pipeline.train.learner.views_in_time", lambda *_: 2)
        patched.setattr(
            "mstool.commands.train.stop_between_steps",
            lambda: contextlib.nullcontext(lambda: 75 if next(calls) >= 100 else None),
        )
        assert run_mstool(*call).code == 75
    monkeypatch.setattr("mstool.pipeline.train.learner.views_in_time", lambda *_: 1)
    ended = run_mstool(*call)
    assert ended.code == 0, ended.stderr
    assert json.loads((study / "parts" / "train.json").read_text())["n_views"] == 2


def test_a_pixel_classifier_whose_features_are_damaged_is_refused(run_mstool, study):
    assert run_mstool(*TRAIN, *PIXEL, "-o", "pixels").code == 0
    path = study / "pixels" / "model.safetensors"
    with safe_open(path, "pt") as stream:
        metadata = dict(stream.metadata())
    for features in ("__import__('os')", "filters+encoder", None):
        description = json.loads(metadata["mstool"])
        description["spec"]["features"] = features
        damaged = study / "damaged.safetensors"
        save_file(load_file(path), damaged, metadata | {"mstool": json.dumps(description)})
        ended = run_mstool("predict", "tiles", "--model", damaged, "-o", "nothing")
        assert ended.code == 65, ended.stderr
        assert ended.stderr.count("\n") == 1
        assert "damaged.safetensors: " in ended.stderr


def test_validation_that_is_brighter_than_all_to_learn_from_is_told(run_mstool, study):
    rows_of_split = rows(study / "split.csv")
    bright = next(row["source"] for row in rows_of_split if row["fold"] == "1")
    grey = tifffile.imread(study / "raw" / bright)
    tifffile.imwrite(study / "raw" / bright, (grey // 4 + 190).astype(np.uint8))
    cut = ("tile", "raw", "--labels", "labels", "--size", 48, "--overlap", 16, "-q")
    words = f"warning: {bright} of the validation has a mean grey of"
    for more, is_told in (((), True), (("--rescale-greys", "each"), False)):
        assert run_mstool(*cut, *more, "-o", "again", "--overwrite").code == 0
        call = ("train", "again", *TRAIN[2:], *TINY, "--epochs", 1, "-o", "m", "--overwrite")
        ended = run_mstool(*call)
        assert (ended.code, words in ended.stderr) == (0, is_told)
    alike = run_mstool(*TRAIN, *TINY, "--epochs", 1, "-o", "n")
    assert (alike.code, "has a mean grey of" in alike.stderr) == (0, False)
