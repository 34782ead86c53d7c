"""Probabilities as frequencies: train --calibrate, stitch --abstain, score --probs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.nn.checkpoint import load_checkpoint, save_checkpoint

TRAIN = ("train", "tiles", "--split", "split.csv", "--test-fold", "0", "--epochs", "2", "-q")
TRAIN += ("--arch", "unet-plain", "--depth", "2", "--width", "4", "--device", "cpu")
TRAIN += ("--loss", "dice", "--lr", "0.02")  # which is surer than it should be


@pytest.fixture
def stitched(run_mstool, study):
    assert run_mstool("predict", "tiles", "--select", "test", "-q").code == 0
    assert run_mstool("stitch", "probs", "--confidence", "-q").code == 0
    return study


def score(run_mstool, *options):
    ended = run_mstool("score", "masks", "labels", "-q", *options)
    assert ended.code == 0, ended.stderr
    return json.loads(ended.stdout)


def test_calibration_error_is_that_of_the_stitched_probabilities(run_mstool, stitched):
    found = score(run_mstool, "--probs", "probs")["calibration"]
    confidence, is_right = [], []
    for path in sorted(Path("masks/confidence").glob("*.tif")):
        truth = np.array(Image.open(f"labels/{path.stem}.png"))
        confidence.append(tifffile.imread(path).ravel() / 255)
        is_right.append((tifffile.imread(f"masks/{path.name}") == truth).ravel())
    confidence, is_right = np.concatenate(confidence), np.concatenate(is_right)
    bins = np.minimum((confidence * 20).astype(int), 19)
    expected = sum(
        abs(confidence[bins == b].sum() - is_right[bins == b].sum()) for b in range(20)
    ) / len(bins)
    assert found["ece"] == pytest.approx(expected, abs=0.01)  # confidence is stored in 8 bits
    assert found["n_pixels"] == len(bins) == sum(row["n_pixels"] for row in found["bins"])
    assert found["brier"] == pytest.approx(sum(found["class_brier"].values()))
    errors = [row["expected_error"] for row in found["per_image"]]
    assert np.mean(errors) == pytest.approx(1 - confidence.mean(), abs=0.002)
    assert found["rank_correlation"] is None  # of two micrographs


@pytest.mark.parametrize("rim", [0, 5])
def test_error_of_a_micrograph_is_that_of_its_mask(run_mstool, stitched, rim):
    for path in Path("labels").glob("*.png"):
        labels = np.array(Image.open(path))
        labels[:20] = 1 - labels[:20]  # so that rows are not alike
        Image.fromarray(labels).save(path)
    found = score(run_mstool, "--probs", "probs", "--ignore-border", rim)
    errors = {row["image"]: row["error"] for row in found["calibration"]["per_image"]}
    right = {row["image"]: row["accuracy"] for row in found["per_image"]}
    assert errors == pytest.approx({name: 1 - share for name, share in right.items()})
    assert 0.1 < min(errors.values()) <= max(errors.values()) < 0.4


def test_doubt_of_the_record_is_the_missing_confidence(stitched):
    record = json.loads(Path("masks/stitch.json").read_text())
    for row in record["doubt"]:
        confidence = tifffile.imread(f"masks/confidence/{Path(row['image']).stem}.tif") / 255
        assert row["expected_error"] == pytest.approx(1 - confidence.mean(), abs=0.002)
        assert row["abstained"] == 0


def test_least_sure_micrograph_is_named_first(run_mstool, stitched):
    ended = run_mstool("stitch", "probs", "-o", "again")
    rows = json.loads(Path("again/stitch.json").read_text())["doubt"]
    worst = max(rows, key=lambda row: row["expected_error"])
    assert f"annotated next: {worst['image']} (expected" in ended.stderr


@pytest.mark.parametrize("least", [0.8, 0.9])  # 0.8 is 204 of 255, which some pixels have
def test_pixels_below_the_threshold_have_no_class_and_do_not_count(run_mstool, stitched, least):
    whole = score(run_mstool, "--probs", "probs")
    assert run_mstool("stitch", "probs", "--abstain", least, "-o", "masks", "--overwrite").code == 0
    found = score(run_mstool)
    assert whole["abstention"] is None
    row = next(row for row in whole["calibration"]["coverage"] if row["threshold"] == least)
    assert 0 < found["abstention"]["coverage"] < 1
    assert found["abstention"]["coverage"] == pytest.approx(row["coverage"])
    assert found["pooled"]["mean_iou"] == pytest.approx(row["mean_iou"])
    share = [
        np.mean(tifffile.imread(f"masks/{Path(one['image']).stem}.tif") != 255)
        for one in found["abstention"]["per_image"]
    ]
    assert share == pytest.approx([one["coverage"] for one in found["abstention"]["per_image"]])
    assert "coverage:" in run_mstool("score", "masks", "labels", "--table").stderr


def test_coverage_counts_labelled_pixels_alone(run_mstool, stitched):
    for number, path in enumerate(sorted(Path("labels").glob("*.png"))):
        labels = np.array(Image.open(path))
        labels[: 40 + 5 * number] = 255
        Image.fromarray(labels).save(path)
    assert run_mstool("stitch", "probs", "--abstain", 0.9, "-o", "masks", "--overwrite").code == 0
    found = score(run_mstool)["abstention"]
    kept = []
    for one in found["per_image"]:
        stem = Path(one["image"]).stem
        is_labelled = np.array(Image.open(f"labels/{stem}.png")) != 255
        kept.append(tifffile.imread(f"masks/{stem}.tif")[is_labelled] != 255)
        assert one["coverage"] == pytest.approx(kept[-1].mean())
    assert found["coverage"] == pytest.approx(np.concatenate(kept).mean())


def test_open_pixels_of_masks_that_do_not_abstain_are_refused(run_mstool, stitched):
    (path, *_) = Path("masks").glob("*.tif")
    labels = tifffile.imread(path)
    labels[3, 5] = 255
    tifffile.imwrite(path, labels)
    record = json.loads(Path("masks/stitch.json").read_text())
    del record["mask_sha256"]  # as before masks were hashed
    Path("masks/stitch.json").write_text(json.dumps(record))
    ended = run_mstool("score", "masks", "labels", "-q")
    assert (ended.code, "has no class in 1 pixel" in ended.stderr) == (65, True)


def test_open_share_is_of_all_pixels(run_mstool, study):
    for name, width in (("wide", 96), ("narrow", 48)):
        image = tifffile.imread("raw/img0.tif")[:48, :width]
        Path("new").mkdir(exist_ok=True)
        tifffile.imwrite(f"new/{name}.tif", image if width == 96 else image[:, ::-1] // 2 + 60)
    run_mstool("tile", "new", "--size", 48, "--overlap", 16, "-o", "new-tiles", "-q")
    run_mstool("predict", "new-tiles", "-o", "p2", "-q")
    ended = run_mstool("stitch", "p2", "--abstain", 0.9, "-o", "m2")
    is_open = [tifffile.imread(path).ravel() == 255 for path in sorted(Path("m2").glob("*.tif"))]
    assert abs(np.mean([one.mean() for one in is_open]) - np.concatenate(is_open).mean()) > 0.01
    assert (
        f"{np.concatenate(is_open).mean():.1%} of the pixels are left without a class"
        in ended.stderr
    )


@pytest.mark.parametrize("value", [-0.1, 1, 5])
def test_impossible_threshold_is_refused(run_mstool, stitched, value):
    ended = run_mstool("stitch", "probs", "--abstain", value, "-o", "m2")
    assert (ended.code, "--abstain" in ended.stderr) == (2, True)
    assert not Path("m2").exists()


def test_probabilities_of_other_masks_are_refused(run_mstool, stitched):
    run_mstool("predict", "tiles", "--select", "test", "--tta", "flips", "-o", "p2", "-q")
    ended = run_mstool("score", "masks", "labels", "--probs", "p2", "-q")
    assert (ended.code, "was not stitched from these" in ended.stderr) == (65, True)


def test_masks_of_other_tools_have_no_probabilities(run_mstool, stitched):
    shutil.rmtree("masks/confidence")
    for name in ("stitch.json", "legend.toml"):
        Path("masks", name).unlink()
    ended = run_mstool("score", "masks", "labels", "--probs", "probs", "-q")
    assert (ended.code, "was not stitched from these" in ended.stderr) == (65, True)


def test_missing_tile_of_the_probabilities_is_named(run_mstool, stitched):
    (tile, *_) = Path("probs/probs").glob("*.tif")
    tile.unlink()
    ended = run_mstool("score", "masks", "labels", "--probs", "probs", "-q")
    assert (ended.code, tile.name in ended.stderr) == (66, True)


def test_reliability_is_drawn(run_mstool, stitched):
    score(run_mstool, "--probs", "probs", "--reliability", "pictures/reliability.png")
    with Image.open("pictures/reliability.png") as picture:
        assert picture.size[0] > 500
    call = ("score", "masks", "labels", "--probs", "probs", "--reliability")
    ended = run_mstool(*call, "pictures/reliability.png")
    assert (ended.code, "already there" in ended.stderr) == (73, True)
    assert run_mstool(*call, "pictures/reliability.png", "--overwrite").code == 0
    ended = run_mstool("score", "masks", "labels", "--reliability", "other.png")
    assert (ended.code, "--probs" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        ("label map", "is one of the inputs"),
        ("a.jpg", "ending in .png"),
        ("s.png", "--reliability s.png: is --out too"),
    ],
)
def test_reliability_takes_the_place_of_nothing_else(run_mstool, stitched, picture, words):
    label_map = next(Path("labels").glob("*.png"))
    before = label_map.read_bytes()
    picture = str(label_map) if picture == "label map" else picture
    call = ("--probs", "probs", "--overwrite", "-o", "s.png")
    ended = run_mstool("score", "masks", "labels", "--reliability", picture, *call)
    assert (ended.code, words in ended.stderr) == (2, True)
    assert label_map.read_bytes() == before


def test_label_map_of_another_size_is_named_and_nothing_is_drawn(run_mstool, stitched):
    for path in Path("labels").glob("*.png"):
        Image.fromarray(np.array(Image.open(path))[:-3]).save(path)
    ended = run_mstool("score", "masks", "labels", "--probs", "probs", "--reliability", "r.png")
    assert (ended.code, "its label map labels/" in ended.stderr) == (65, True)
    assert not Path("r.png").exists()


def test_baselines_are_of_the_pixels_that_are_scored(run_mstool, stitched):
    assert run_mstool("stitch", "probs", "--abstain", 0.9, "-o", "masks", "--overwrite").code == 0
    found = score(run_mstool)
    truth = np.sum(found["pooled"]["confusion"], axis=1)
    for one in found["baselines"].values():
        np.testing.assert_array_equal(np.sum(one["confusion"], axis=1), truth)


def test_temperature_lowers_the_error_on_new_micrographs(run_mstool, study):
    assert run_mstool(*TRAIN, "--calibrate", "-o", "fitted").code == 0
    model = load_checkpoint(Path("fitted"))
    record = json.loads(Path("fitted/train.json").read_text())["calibration"]
    assert record["temperature"] == model.checkpoint.temperature == model.segmenter.temperature
    assert record["temperature"] > 1.2 and record["nll_after"] < record["nll_before"]
    Path("plain").mkdir()
    model.segmenter.temperature = 1.0
    plain = replace(model.checkpoint, temperature=1.0)
    save_checkpoint(Path("plain/model.safetensors"), model.segmenter, plain)
    errors = {}
    for name in ("plain", "fitted"):
        given = ("--model", name, "--select", "test", "--probs", "float16", "-o", f"p-{name}")
        assert run_mstool("predict", "tiles", *given).code == 0
        assert run_mstool("stitch", f"p-{name}", "-o", f"m-{name}").code == 0
        ended = run_mstool("score", f"m-{name}", "labels", "--probs", f"p-{name}", "-q")
        errors[name] = json.loads(ended.stdout)["calibration"]["ece"]
    assert errors["fitted"] < 0.7 * errors["plain"]
    same = [tifffile.imread(path) for path in sorted(Path("m-plain").glob("*.tif"))]
    for one, path in zip(same, sorted(Path("m-fitted").glob("*.tif")), strict=True):
        assert np.mean(one == tifffile.imread(path)) > 0.99  # blended where tiles overlap


def test_temperature_at_its_limit_is_told(run_mstool, study, monkeypatch):
    monkeypatch.setattr("mstool.nn.calibrate.fit_temperature", lambda logits, labels: 19.99)
    words = [word for word in TRAIN if word != "-q"]
    ended = run_mstool(*words, "--calibrate", "-o", "limit")
    assert (ended.code, "as far as a temperature goes" in ended.stderr) == (0, True)
    monkeypatch.setattr("mstool.nn.calibrate.fit_temperature", lambda logits, labels: 1.5)
    ended = run_mstool(*words, "--calibrate", "-o", "usual")
    assert (ended.code, "as far as a temperature goes" in ended.stderr) == (0, False)


def test_without_labels_to_validate_nothing_is_calibrated(run_mstool, study):
    assert run_mstool(*TRAIN, "-o", "plain").code == 0
    assert load_checkpoint(Path("plain")).checkpoint.temperature == 1
    assert json.loads(Path("plain/train.json").read_text())["calibration"] is None


@pytest.mark.parametrize("value", [0, -1, "hot", None])
def test_damaged_temperature_is_refused(run_mstool, study, value):
    model = load_checkpoint(Path("model"))
    damaged = replace(model.checkpoint, temperature=value)
    save_checkpoint(Path("model/model.safetensors"), model.segmenter, damaged)
    ended = run_mstool("predict", "tiles", "-o", "p2")
    assert (ended.code, "description is damaged" in ended.stderr) == (65, True)
