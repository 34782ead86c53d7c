"""Learning without labels, from the command line."""

import csv
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from mstool.nn.checkpoint import load_checkpoint, read_training_sources

SMALL = (
    "--encoder",
    "efficientnet-lite0",
    "--weights",
    "none",
    "--crop",
    32,
    "--device",
    "cpu",
    "--seed",
    1,
)
UNET = ("--encoder", "efficientnet-lite0", "--crop", 32, "--epochs", 1, "--device", "cpu")
METHODS = ("masked", "contrast")


def describe(path):
    with safe_open(path, "pt") as stream:
        assert list(stream.metadata()) == ["mstool"]
        return json.loads(stream.metadata()["mstool"])


def fold_of():
    with open("split.csv", newline="") as stream:
        return {row["source"]: int(row["fold"]) for row in csv.DictReader(stream)}


def pretrain(run_mstool, *options, tiles="tiles", epochs=1):
    ended = run_mstool("pretrain", tiles, *SMALL, "--epochs", epochs, *options)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == ""
    return ended


@pytest.mark.parametrize("method", METHODS)
def test_encoder_explains_itself_and_serves_as_weights(run_mstool, study, method):
    pretrain(run_mstool, "--method", method, "--split", "split.csv", "--test-fold", 0)
    description = describe(study / "pretrained" / "encoder.safetensors")
    seen = {row["name"] for row in description["sources"]["unlabelled"]}
    assert seen == {name for name, fold in fold_of().items() if fold != 0}
    assert [description[key] for key in ("method", "encoder", "n_channels", "crop")] == [
        method,
        "efficientnet-lite0",
        1,
        33,
    ]
    record = json.loads((study / "pretrained" / "pretrain.json").read_text())
    assert record["status"] == "done"
    assert (record["crop_px"], len(record["sources"]["left_out"])) == (33, 2)
    assert (study / "pretrained" / "curves.png").stat().st_size > 3000
    assert not (study / "pretrained" / "resume").exists()
    train = ("train", "tiles", "--split", "split.csv", "--test-fold", 0, *UNET)
    ended = run_mstool(*train, "--weights", "pretrained", "-o", "m")
    assert ended.code == 0, ended.stderr
    assert "240 of 240 tensors of the encoder and 0 others from encoder" in ended.stderr
    assert "transductive: 2 micrographs of val were seen in pretraining" in ended.stderr
    assert "micrographs of test" not in ended.stderr
    record = json.loads((study / "m" / "train.json").read_text())
    validated = sorted(name for name, fold in fold_of().items() if fold == 1)
    assert record["transductive"] == {"val": validated, "test": []}
    inherited = load_checkpoint(study / "m").checkpoint.sources["inherited"]
    assert {row["name"] for row in inherited} == seen
    assert {row["part"] for row in inherited} == {"unlabelled"}


def test_a_test_that_is_not_among_the_tiles_is_told(run_mstool, study):
    Path("other.csv").write_text("source,group,fold\nx.tif,x.tif,0\ny.tif,y.tif,1\n")
    ended = pretrain(run_mstool, "--split", "other.csv", "--test-fold", 0)
    assert "warning: no micrograph is left out" in ended.stderr
    assert "None is known to --split as one of --test-fold 0" in ended.stderr


def test_trained_encoder_is_what_training_begins_with(run_mstool, study):
    from mstool.nn.model import ModelSpec, build_network
    from mstool.nn.weights import load_weights

    pretrain(run_mstool)
    path = study / "pretrained" / "encoder.safetensors"
    spec = ModelSpec("unet", "efficientnet-lite0", 1, 2)
    network = build_network(spec)
    load_weights(network, spec, str(path), Path())
    written = load_file(path)
    assert all(torch.equal(written[k], v) for k, v in network.encoder.state_dict().items())
    assert all(bool(tensor.isfinite().all()) for tensor in written.values())


def test_a_test_that_was_seen_without_labels_is_told_by_train_and_score(run_mstool, study):
    pretrain(run_mstool)
    train = ("train", "tiles", "--split", "split.csv", "--test-fold", 0, *UNET)
    ended = run_mstool(*train, "--weights", "pretrained/encoder.safetensors", "-o", "m")
    assert ended.code == 0, ended.stderr
    tested = sorted(name for name, fold in fold_of().items() if fold == 0)
    assert "transductive: 2 micrographs of test were seen in pretraining, without labels: " in (
        ended.stderr
    )
    assert json.loads((study / "m" / "train.json").read_text())["transductive"]["test"] == tested
    assert run_mstool("predict", "tiles", "--model", "m", "--select", "test").code == 0
    rows = json.loads((study / "probs" / "predict.json").read_text())["trained_on"]
    parts = {row["name"]: row["part"] for row in rows}
    assert set(parts) == set(fold_of())
    roles = ("unlabelled", "val", "train")
    assert parts == {name: roles[fold] for name, fold in fold_of().items()}  # labels are more
    assert run_mstool("stitch", "probs").code == 0
    ended = run_mstool("score", "masks", "labels")
    leak = json.loads(ended.stdout)["leak"]
    assert (leak["checked"], leak["trained_on"], leak["same_group"]) == (True, [], [])
    assert [Path(name).stem for name in leak["transductive"]] == [Path(t).stem for t in tested]
    assert "transductive: 2 of 2 scored micrographs" in ended.stderr


def test_a_test_that_was_never_seen_is_not_told(run_mstool, study):
    pretrain(run_mstool, "--split", "split.csv", "--test-fold", 0)
    train = ("train", "tiles", "--split", "split.csv", "--test-fold", 0, *UNET)
    assert run_mstool(*train, "--weights", "pretrained", "-o", "m").code == 0
    assert run_mstool("predict", "tiles", "--model", "m", "--select", "test").code == 0
    assert run_mstool("stitch", "probs").code == 0
    ended = run_mstool("score", "masks", "labels")
    assert json.loads(ended.stdout)["leak"]["transductive"] == []
    assert "transductive" not in ended.stderr


def test_tiles_without_labels_and_several_folders(run_mstool, study):
    def cut(name, size, out, *options):
        command = ("tile", f"raw/{name}.tif", "--size", size, "--overlap", 8, "-o", out, "-q")
        assert run_mstool(*command, *options).code == 0

    for n, pixel_size in enumerate((0.05, 0.0502)):
        cut(f"img{n}", 48, f"bare{n}", "--pixel-size", pixel_size)
    pretrain(run_mstool, "bare1", tiles="bare0")
    names = [row["name"] for row in read_training_sources(Path("pretrained/encoder.safetensors"))]
    assert names == ["img0.tif", "img1.tif"]
    described = describe("pretrained/encoder.safetensors")
    assert described["pixel_size_um"] == pytest.approx(0.0501)  # as of micrographs of one folder
    cut("img2", 32, "small")
    ended = run_mstool("pretrain", "bare0", "small", *SMALL, "-o", "p")
    assert ended.code == 65
    assert "small: has size 32, bare0 has 48" in ended.stderr
    assert not (study / "p").exists()


def test_labels_are_not_looked_at(run_mstool, study):
    assert run_mstool("tile", "raw", "--size", 48, "--overlap", 16, "-o", "bare", "-q").code == 0
    for tiles in ("tiles", "bare"):
        pretrain(run_mstool, "-o", f"from-{tiles}", tiles=tiles)
    one, other = (load_file(f"from-{tiles}/encoder.safetensors") for tiles in ("tiles", "bare"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_same_seed_gives_the_same_bytes_and_another_others(run_mstool, study):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        pretrain(run_mstool, "-o", out, "--seed", seed)
    a, b, c = (Path(out, "encoder.safetensors").read_bytes() for out in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("method", METHODS)
def test_stopped_run_goes_on_and_ends_with_the_same_bytes(run_mstool, study, monkeypatch, method):
    from mstool.nn import fit

    pretrain(run_mstool, "--method", method, "-o", "whole", epochs=2)
    stepped, n_steps = fit.Fit._train_step, 0

    def step_and_stop(self, *args):
        nonlocal n_steps
        stepped(self, *args)
        n_steps += 1
        if n_steps == 3:
            os.kill(os.getpid(), signal.SIGUSR1)

    command = ("pretrain", "tiles", *SMALL, "--epochs", 2, "--method", method, "-o", "parts")
    with monkeypatch.context() as patched:
        patched.setattr(fit.Fit, "_train_step", step_and_stop)
        ended = run_mstool(*command)
    assert ended.code == 75
    assert "run the same command to go on" in ended.stderr
    assert not Path("parts/encoder.safetensors").exists()
    ended = run_mstool(*command)
    assert ended.code == 0
    assert "going on at epoch" in ended.stderr
    whole, parts = (Path(out, "encoder.safetensors").read_bytes() for out in ("whole", "parts"))
    assert whole == parts
    again = run_mstool(*command)
    assert (again.code, "nothing left to do" in again.stderr) == (0, True)
    other = run_mstool(*command, "--lr", 0.1)
    assert (other.code, "lr" in other.stderr) == (73, True)


def test_weights_of_a_model_pass_on_what_it_was_trained_on(run_mstool, study):
    train = ("train", "tiles", "--split", "split.csv", "--test-fold", 0, *UNET)
    assert run_mstool(*train, "--weights", "none", "-o", "m").code == 0
    pretrain(run_mstool, "--weights", "m", "--split", "split.csv", "--test-fold", 0)
    rows = read_training_sources(Path("pretrained/encoder.safetensors"))
    assert sorted(row["part"] for row in rows) == ["train"] * 2 + ["unlabelled"] * 4 + ["val"] * 2
    other = ("train", "tiles", "--split", "split.csv", "--test-fold", 2, *UNET)
    ended = run_mstool(*other, "--weights", "pretrained", "-o", "n")
    assert (ended.code, "has already seen" in ended.stderr) == (65, True)


def test_an_encoder_is_no_model_to_predict_with(run_mstool, study):
    pretrain(run_mstool)
    ended = run_mstool("predict", "tiles", "--model", "pretrained/encoder.safetensors", "-o", "x")
    assert ended.code == 65
    assert "encoder.safetensors: an encoder alone" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_budget_ends_complete(run_mstool, study):
    options = ("--max-time", "1s", "-o", "quick")
    ended = pretrain(run_mstool, *options, epochs=100000)
    assert "--max-time left out" in ended.stderr
    assert "pixel-classifier" not in ended.stderr
    assert (study / "quick" / "encoder.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--method", "rotation"), 2, "--method rotation: use masked, contrast"),
        (("--split", "split.csv"), 2, "--split: needs --test-fold"),
        (("--test-fold", 1), 2, "--test-fold: needs --split"),
        (("--split", "split.csv", "--test-fold", 9), 2, "--test-fold 9: split.csv has folds"),
        (("--encoder", "resnet17"), 2, "--encoder resnet17"),
        (("--weights", "labels"), 2, "--weights labels: a folder without weights"),
        (("--weights", "nothing.pth"), 2, "nothing.pth"),
        (("--lr", 0), 2, "--lr 0"),
        (("--augment", "much"), 2, "--augment much"),
    ],
)
def test_bad_usage_names_what_is_wrong(run_mstool, study, options, code, words):
    ended = run_mstool("pretrain", "tiles", *SMALL, *options, "-o", "p", "-q")
    assert ended.code == code
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (study / "p").exists()


def test_damaged_description_is_one_line(run_mstool, study):
    from safetensors.torch import save_file

    pretrain(run_mstool)
    tensors = load_file("pretrained/encoder.safetensors")
    save_file(tensors, "w.safetensors", {"mstool": json.dumps({"method": "masked"})})
    train = ("train", "tiles", "--split", "split.csv", "--test-fold", 0, *UNET)
    ended = run_mstool(*train, "--weights", "w.safetensors", "-o", "m", "-q")
    assert ended.code == 65
    assert "w.safetensors: its description is damaged" in ended.stderr
    assert ended.stderr.count("\n") == 1
