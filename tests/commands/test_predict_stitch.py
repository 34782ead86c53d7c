import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from mstool.geometry.bands import stitch_tiles
from mstool.geometry.grid import plan_windows
from mstool.io.images import open_micrograph, read_values
from mstool.io.tiles import read_manifest
from mstool.nn.checkpoint import load_checkpoint, save_checkpoint
from mstool.nn.device import Compute, choose_compute
from mstool.nn.infer import predict_probabilities
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.tensors import to_tensor
from mstool.pipeline.fold_models import Part
from mstool.pipeline.predict import _batches


def predict_and_stitch(run_mstool, *stitch_options, predict=()):
    first = run_mstool("predict", "tiles", "--device", "cpu", *predict, "-q")
    second = run_mstool("stitch", "probs", *stitch_options, "-q")
    return first, second


def test_probabilities_sum_to_one_and_agree_with_the_network(run_mstool, study):
    assert run_mstool("predict", "tiles", "--probs", "float16", "--device", "cpu").code == 0
    tiles = read_manifest(study / "probs")
    assert tiles == read_manifest(study / "tiles")
    values = tifffile.imread(f"probs/probs/{tiles[3].id}.tif")
    assert (values.shape, values.dtype) == ((2, 48, 48), np.float16)
    np.testing.assert_allclose(values.sum(axis=0, dtype=float), 1, atol=2e-3)  # float16: 11 bits
    image = to_tensor(tifffile.imread(f"tiles/images/{tiles[3].id}.tif"))[None]
    segmenter = load_checkpoint(study / "model").segmenter
    expected = predict_probabilities([segmenter], image, choose_compute("cpu"))
    np.testing.assert_allclose(values, expected[0], atol=2e-3)


def test_selection_goes_by_pixels_and_not_by_names(run_mstool, study):
    test_names = {row.split(",")[0] for row in Path("split.csv").read_text().split() if ",0" in row}
    run_mstool("predict", "tiles", "--select", "test")
    assert {tile.source for tile in read_manifest(study / "probs")} == test_names
    renamed = study / "renamed"
    renamed.mkdir()
    for index, name in enumerate(sorted(test_names)):
        shutil.copy(f"raw/{name}", renamed / f"new{index}.tif")
    run_mstool("tile", "renamed", "--size", 48, "--overlap", 16, "-o", "others")
    assert run_mstool("predict", "others", "--select", "test", "-o", "p2").code == 0
    assert {tile.source for tile in read_manifest(study / "p2")} == {"new0.tif", "new1.tif"}
    ended = run_mstool("predict", "others", "--select", "train", "-o", "p3")
    assert (ended.code, "--select all" in ended.stderr) == (2, True)


def test_ensemble_is_the_mean_of_its_members(run_mstool, study):
    model = load_checkpoint(study / "model")
    torch.manual_seed(5)
    other = build_segmenter(model.checkpoint.spec, [120.0], [50.0]).eval()
    save_checkpoint(study / "b.safetensors", other, model.checkpoint)
    common = ("predict", "tiles", "--probs", "float16", "--device", "cpu")
    run_mstool(*common, "--model", "model", "-o", "a")
    run_mstool(*common, "--model", "b.safetensors", "-o", "b")
    run_mstool(*common, "--model", "model", "--model", "b.safetensors", "-o", "ab")
    name = f"probs/{read_manifest(study / 'ab')[0].id}.tif"
    a, b, ab = (tifffile.imread(f"{folder}/{name}").astype(float) for folder in ("a", "b", "ab"))
    np.testing.assert_allclose(ab, (a + b) / 2, atol=2e-3)
    assert len(json.loads(Path("ab/predict.json").read_text())["models"]) == 2


@pytest.mark.parametrize(("tta", "symmetries"), [("flips", (0, 2)), ("d4", (0, 1, 2, 3))])
def test_averaging_over_views_makes_predictions_follow_the_tile(study, tta, symmetries):
    segmenter = load_checkpoint(study / "model").segmenter
    image = to_tensor(tifffile.imread(f"tiles/images/{read_manifest(study / 'tiles')[0].id}.tif"))
    compute = choose_compute("cpu", "fp32")
    upright = predict_probabilities([segmenter], image[None], compute, tta)
    for turns in symmetries:
        turned = predict_probabilities([segmenter], image.rot90(turns, (1, 2))[None], compute, tta)
        torch.testing.assert_close(turned, upright.rot90(turns, (2, 3)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("blend", ["crop", "flat", "hann", "gaussian"])
def test_masks_have_the_geometry_of_their_micrographs_and_are_right(run_mstool, study, blend):
    first, second = predict_and_stitch(run_mstool, "--blend", blend, "--confidence")
    assert (first.code, second.code, second.stdout) == (0, 0, "")
    for path in sorted((study / "raw").iterdir()):
        mask = read_values(study / "masks" / path.name)
        truth = np.array(Image.open(f"labels/{path.stem}.png"))
        assert mask.shape == truth.shape
        assert (mask == truth).mean() > 0.9
        confidence = tifffile.imread(f"masks/confidence/{path.name}")
        assert confidence.min() >= 127  # two classes: the larger probability is at least a half
    record = json.loads(Path("masks/stitch.json").read_text())
    assert record["classes"] == ["0", "1"]
    assert len(record["trained_on"]) == 4


def test_score_of_the_validation_micrographs_is_what_training_said(run_mstool, study):
    said = json.loads((study / "model" / "train.json").read_text())["validation"]
    predict_and_stitch(run_mstool, predict=("--select", "val", "--probs", "float16"))
    scored = json.loads(run_mstool("score", "masks", "labels").stdout)
    assert scored["n_images"] == 2
    # float16 may turn a pixel that is as likely one as the other
    assert scored["pooled"]["mean_iou"] == pytest.approx(said["val_mean_iou"], abs=1e-3)
    assert scored["pooled"]["accuracy"] == pytest.approx(said["val_accuracy"], abs=1e-3)
    for name, value in scored["pooled"]["iou"].items():
        assert value == pytest.approx(said[f"val_iou_{name}"], abs=1e-3)


def test_ensemble_selects_what_all_its_models_left_for_the_test(run_mstool, study):
    model = load_checkpoint(study / "model")
    checkpoint = model.checkpoint
    moved = {**checkpoint.sources, "test": checkpoint.sources["test"][:1]}
    moved["train"] = [*checkpoint.sources["train"], checkpoint.sources["test"][1]]
    other = replace(checkpoint, sources=moved)
    save_checkpoint(study / "b.safetensors", model.segmenter, other)
    models = ("--model", "model", "--model", "b.safetensors")
    assert run_mstool("predict", "tiles", *models, "--select", "test", "-o", "ab").code == 0
    names = {tile.source for tile in read_manifest(study / "ab")}
    assert names == {checkpoint.sources["test"][0]["name"]}


def test_scaled_tiles_come_back_in_the_size_of_the_micrograph(run_mstool, study):
    for path in (study / "raw").iterdir():  # micrographs of another magnification than training
        tifffile.imwrite(path, tifffile.imread(path)[::-1])
    command = ("tile", "raw", "--size", 48, "--overlap", 16, "--scale", 1.5, "--pixel-size", 0.3)
    run_mstool(*command, "-o", "scaled")
    run_mstool("predict", "scaled", "-o", "p")
    assert run_mstool("stitch", "p", "-o", "m").code == 0
    mask = open_micrograph(study / "m" / "img0.tif")
    assert (mask.height, mask.width) == (80, 96)
    assert mask.pixel_size_um == pytest.approx(0.3)


def test_tiled_and_whole_image_predictions_agree(run_mstool, study):
    """A network whose receptive field (5) fits into half the overlap (4 > 2) makes no seams."""
    torch.manual_seed(0)
    spec = ModelSpec("unet-plain", None, 1, 2, 2, 4)
    segmenter = build_segmenter(spec, [120.0], [50.0])
    segmenter.network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3, padding=1)
    )
    segmenter.multiple = 1
    image = tifffile.imread("raw/img0.tif")
    with torch.inference_mode():
        whole = segmenter(to_tensor(image)[None]).softmax(dim=1)[0].numpy()
    compute = choose_compute("cpu", "fp32")
    tiles = [
        (
            window,
            predict_probabilities([segmenter], to_tensor(image[window.slices])[None], compute)[
                0
            ].numpy(),
        )
        for window in plan_windows(*image.shape, 32, 8)
    ]
    stitched = stitch_tiles(tiles, *image.shape, "crop")
    np.testing.assert_allclose(stitched, whole, atol=1e-5)


def test_pictures_are_drawn_with_and_without_truth(run_mstool, study):
    predict_and_stitch(run_mstool, "--overlay", "--labels", "labels", predict=("--select", "test"))
    with_truth = sorted((study / "masks" / "overlays").iterdir())
    assert len(with_truth) == 2
    assert run_mstool("stitch", "probs", "--overlay", "-o", "bare").code == 0
    wide, narrow = (
        read_values(study / folder / "overlays" / with_truth[0].name).shape[1]
        for folder in ("masks", "bare")
    )
    assert wide > narrow


def test_moved_micrographs_are_asked_for_and_not_guessed(run_mstool, study):
    run_mstool("predict", "tiles")
    Path("raw").rename("moved")
    ended = run_mstool("stitch", "probs", "--overlay")
    assert (ended.code, "--images" in ended.stderr) == (66, True)
    assert not Path("masks").exists()
    assert run_mstool("stitch", "probs", "--overlay", "--images", "moved").code == 0


def test_micrographs_of_a_folder_that_is_named_are_inputs_of_the_pictures(run_mstool, study):
    run_mstool("predict", "tiles", "--select", "test")
    shutil.copytree("raw", "shown")
    call = ("stitch", "probs", "--overlay", "--images", "shown")
    assert run_mstool(*call).code == 0
    shown = sorted(path.stem for path in Path("masks/overlays").iterdir())
    assert len(shown) == 2
    Path("shown/unused.tif").touch()
    assert "nothing left to do" in run_mstool(*call).stderr
    tifffile.imwrite(f"shown/{shown[0]}.tif", np.zeros((80, 96), np.uint8))
    ended = run_mstool(*call)
    assert (ended.code, "with other inputs" in ended.stderr) == (73, True)
    Path(f"shown/{shown[1]}.tif").unlink()
    ended = run_mstool(*call, "-o", "others")
    assert (ended.code, f"shown/{shown[1]}.tif: no such file" in ended.stderr) == (66, True)
    assert not Path("others").exists()


def test_changed_micrograph_is_not_read_from_a_record(run_mstool, study):
    run_mstool("predict", "tiles")
    tifffile.imwrite("raw/img0.tif", np.zeros((80, 96), np.uint8))
    assert run_mstool("stitch", "probs", "--overlay").code == 66


def test_missing_tile_is_named(run_mstool, study):
    run_mstool("predict", "tiles")
    tile = read_manifest(study / "tiles")[4]
    Path(f"probs/probs/{tile.id}.tif").unlink()
    ended = run_mstool("stitch", "probs")
    assert ended.code == 66
    assert tile.id in ended.stderr
    assert not Path("masks").exists()


def test_missing_or_damaged_tile_is_predicted_again(run_mstool, study):
    run_mstool("predict", "tiles")
    (first, second, *_) = read_manifest(study / "tiles")
    lost, damaged = (Path(f"probs/probs/{tile.id}.tif") for tile in (first, second))
    before = lost.read_bytes(), damaged.read_bytes()
    tifffile.imwrite(damaged, np.full((2, 48, 48), np.nan, np.float16))
    ended = run_mstool("stitch", "probs")
    assert (ended.code, "does not hold probabilities" in ended.stderr) == (65, True)
    for path in (lost, damaged):
        path.unlink()
    assert run_mstool("predict", "tiles").code == 0
    assert (lost.read_bytes(), damaged.read_bytes()) == before
    assert run_mstool("stitch", "probs").code == 0


def test_tile_left_out_of_the_manifest_is_named_by_its_place(run_mstool, study):
    run_mstool("predict", "tiles")
    lines = Path("probs/tiles.jsonl").read_text().splitlines(keepends=True)
    Path("probs/tiles.jsonl").write_text("".join(lines[1:]))
    ended = run_mstool("stitch", "probs")
    assert ended.code == 65
    assert "img0.tif has no tile at row 0, column 0" in ended.stderr


def test_running_again_does_nothing_and_goes_on_where_it_stopped(run_mstool, study):
    run_mstool("predict", "tiles")
    before = {path: path.read_bytes() for path in Path("probs/probs").iterdir()}
    record = json.loads(Path("probs/predict.json").read_text())
    assert "nothing left to do" in run_mstool("predict", "tiles").stderr
    Path("probs/predict.json").unlink()
    claim = {key: record[key] for key in ("settings", "inputs")}
    Path("probs/.predict.unfinished.json").write_text(json.dumps(claim))
    (lost, *_) = before
    lost.unlink()
    assert run_mstool("predict", "tiles").code == 0
    assert json.loads(Path("probs/predict.json").read_text())["n_predicted"] == 1
    assert {path: path.read_bytes() for path in Path("probs/probs").iterdir()} == before
    assert run_mstool("predict", "tiles", "--tta", "flips").code == 73


@pytest.fixture
def batches(monkeypatch):
    """Images that are predicted at a time."""
    predict, found = predict_probabilities, []

    def note(segmenters, images, *more):
        found.append(images.clone())
        return predict(segmenters, images, *more)

    monkeypatch.setattr("mstool.nn.infer.predict_probabilities", note)
    return found


def test_batches_on_a_cpu_are_those_of_segment(run_mstool, study, batches):
    """Else single tiles are rounded otherwise, and the masks have other bytes."""
    call = ("--device", "cpu", "--batch-size", 5)
    assert run_mstool("predict", "tiles", *call).code == 0
    first = [*batches]
    assert [len(batch) for batch in first] == [5, 1] * 6  # six micrographs of six tiles
    batches.clear()
    assert run_mstool("segment", "raw", "--size", 48, "--overlap", 16, *call).code == 0
    assert [batch.equal(other) for batch, other in zip(first, batches, strict=True)] == [True] * 12


def test_batches_on_a_gpu_are_full(study):
    tiles = tuple(read_manifest(study / "tiles"))
    gpu = Compute(torch.device("meta"), None)
    found = [part.tiles for part in _batches([Part((), tiles)], 5, gpu)]
    assert [len(batch) for batch in found] == [5] * 7 + [1]
    assert sum(found, ()) == tiles


def test_what_is_missing_is_predicted_in_the_batches_of_the_first_run(run_mstool, study, batches):
    call = ("predict", "tiles", "--device", "cpu", "--batch-size", 5)
    assert run_mstool(*call).code == 0
    first = [*batches]
    paths = [f"probs/probs/{tile.id}.tif" for tile in read_manifest(study / "tiles")]
    for lost in (0, 12, 35):
        Path(paths[lost]).unlink()
    kept = {path: Path(path).stat().st_mtime_ns for path in paths if Path(path).exists()}
    batches.clear()
    assert run_mstool(*call).code == 0
    assert [batch.equal(first[i]) for i, batch in zip((0, 4, 11), batches, strict=True)] == [
        True
    ] * 3
    assert {path: Path(path).stat().st_mtime_ns for path in kept} == kept


def test_same_model_and_tiles_give_the_same_bytes(run_mstool, study):
    for name in ("p1", "p2"):
        run_mstool("predict", "tiles", "-o", name)
        run_mstool("stitch", name, "-o", f"m{name}")
    for path in Path("mp1").glob("*.tif"):
        assert path.read_bytes() == (Path("mp2") / path.name).read_bytes()


def test_overwrite_leaves_no_mask_of_what_was_interrupted(run_mstool, study, monkeypatch):
    from mstool.pipeline import stitch as module

    for fold in (1, 2):
        part = ("tile", f"raw/img{fold}.tif", f"raw/img{fold + 2}.tif", "--size", 48)
        run_mstool(*part, "--overlap", 16, "-o", f"t{fold}", "-q")
        run_mstool("predict", f"t{fold}", "-o", f"p{fold}", "--device", "cpu", "-q")
    write = module.write_mask

    def stop_at_second(out, *arguments):
        if (out / "img1.tif").exists():
            raise KeyboardInterrupt
        return write(out, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_mask", stop_at_second)
        assert run_mstool("stitch", "p1").code == 130
    assert Path("masks/img1.tif").exists()
    assert run_mstool("stitch", "p2").code == 73
    assert run_mstool("stitch", "p2", "--overwrite").code == 0
    assert {path.name for path in Path("masks").glob("*.tif")} == {"img2.tif", "img4.tif"}
    assert run_mstool("score", "masks", "labels", "-q").code == 0


def damage_model(kind):
    if kind == "pickle":
        torch.save({"a": torch.zeros(1)}, "bad.safetensors")
    elif kind == "truncated":
        Path("bad.safetensors").write_bytes(Path("model/model.safetensors").read_bytes()[:5000])
    elif kind == "text":
        Path("bad.safetensors").write_text("weights")
    elif kind == "foreign":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, "bad.safetensors")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("pickle", "a pickle"),
        ("truncated", "not readable"),
        ("text", "not readable"),
        ("foreign", "no mstool model"),
    ],
)
def test_damaged_model_is_one_line_and_nothing_runs(run_mstool, study, kind, word):
    damage_model(kind)
    ended = run_mstool("predict", "tiles", "--model", "bad.safetensors", "-q")
    assert ended.code == 65
    assert ended.stderr.startswith("mstool predict: bad.safetensors: ")
    assert word in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not Path("probs").exists()


def test_model_of_other_classes_is_refused(run_mstool, study):
    classes = ("--classes", "ferrite=0,bainite=1")
    run_mstool(
        "tile", "raw", "--labels", "labels", *classes, "--size", 48, "--overlap", 16, "-o", "t"
    )
    ended = run_mstool("predict", "t")
    assert ended.code == 65
    assert "ferrite, bainite" in ended.stderr
    assert not Path("probs").exists()


def test_colour_tiles_for_a_grey_model_are_refused_with_the_remedy(run_mstool, study):
    Path("rgb").mkdir()
    colour = np.zeros((60, 60, 3), np.uint8)
    colour[5, 5] = 1, 2, 3
    Image.fromarray(colour).save("rgb/a.png")
    run_mstool("tile", "rgb", "--size", 48, "--overlap", 16, "-o", "t")
    ended = run_mstool("predict", "t", "-q")
    assert (ended.code, "--grey" in ended.stderr) == (65, True)
    assert not Path("probs").exists()
    run_mstool("tile", "rgb", "--size", 48, "--overlap", 16, "--grey", "-o", "g")
    assert run_mstool("predict", "g").code == 0


def test_same_micrographs_at_another_scale_are_refused(run_mstool, study):
    cut = ("tile", "raw", "--size", "48", "--overlap", "16", "--scale", "0.7", "-q", "-o", "small")
    assert run_mstool(*cut).code == 0
    ended = run_mstool("predict", "small", "--device", "cpu", "-q", "-o", "other")
    assert (ended.code, ended.stderr.count("\n")) == (65, 1)
    assert "--scale 1, those of small were cut with 0.7, from the same" in ended.stderr
    assert "; mstool tile --scale 1 makes them fit" in ended.stderr


def test_other_pixel_size_is_noted_with_the_scale_that_mends_it(run_mstool, study):
    model = load_checkpoint(study / "model")
    checkpoint = replace(model.checkpoint, pixel_size_um=0.1)
    save_checkpoint(study / "sized.safetensors", model.segmenter, checkpoint)
    run_mstool("tile", "raw", "--size", 48, "--overlap", 16, "--pixel-size", 0.2, "-o", "t")
    ended = run_mstool("predict", "t", "--model", "sized.safetensors")
    assert "--scale 2" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["predict", "tiles", "--model", "none"], 66, "none"),
        (["predict", "nowhere"], 66, "nowhere"),
        (["predict", "tiles", "--select", "some"], 2, "--select some"),
        (["predict", "tiles", "--tta", "many"], 2, "--tta many"),
        (["predict", "tiles", "--probs", "int8"], 2, "--probs int8"),
        (["stitch", "nowhere"], 66, "nowhere"),
        (["stitch", "tiles"], 66, "give a folder that mstool predict wrote"),
        (["predict", "raw"], 66, "give a folder that mstool tile wrote"),
        (["stitch", "probs", "--overlay", "--labels", "raw"], 65, "but the micrograph itself"),
        (["stitch", "probs", "--blend", "fade"], 2, "--blend fade"),
        (["stitch", "probs", "--labels", "labels"], 2, "--overlay"),
    ],
)
def test_bad_usage_names_what_is_wrong(run_mstool, study, arguments, code, word):
    run_mstool("predict", "tiles")
    ended = run_mstool(*arguments, "-o", "out")
    assert ended.code == code
    assert word in ended.stderr
    assert not Path("out").exists()
