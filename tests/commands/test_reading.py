"""What is read alike in every verb: checked once, said once, whichever verb is asked."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.io.tiles import read_manifest, write_tile_image
from mstool.nn.checkpoint import load_checkpoint, save_checkpoint

CUT = ("--size", 48, "--overlap", 16)
QUICK = ("--class", "1", "--quick", "--methods", "saliency", "--device", "cpu")
FAST = ("--device", "cpu", "--permutations", 499, "--simulate", "none")


def grey_files(folder="raw"):
    return sorted(Path(folder).iterdir())


@pytest.fixture
def new_batch(study):
    """Write ``new/`` from ``raw/`` through a change of arrays; the study is the working folder."""

    def write(change, folder="new", **options):
        Path(folder).mkdir()
        for path in grey_files():
            tifffile.imwrite(Path(folder) / path.name, change(tifffile.imread(path)), **options)
        return folder

    return write


def one_line(ended):
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


# What a model asks of its input


WITH_LABELS = [
    ("explain", "raw", "--labels", "labels", *QUICK),
    ("domain-shift", "raw", "new", "--model", "model", "--source-labels", "labels", *FAST),
]


@pytest.mark.parametrize("classes", ["1=1,0=0", "ferrite=0,bainite=1"], ids=["order", "names"])
@pytest.mark.parametrize("call", WITH_LABELS, ids=lambda call: call[0])
def test_classes_that_are_not_those_of_the_model_are_refused(run_mstool, new_batch, call, classes):
    new_batch(lambda grey: grey[::-1])
    ended = run_mstool(*call, "--classes", classes, "-q")
    assert ended.code == 65
    assert "has 0, 1" in one_line(ended)
    assert not Path("explain").exists()


def count_errors(run_mstool, labels, model, out):
    """Wrong pixels that ``explain --region errors`` finds in each of the first four images."""
    region = ("--region", "errors", "--labels", labels, "--model", model)
    images = [f"raw/img{index}.tif" for index in range(4)]
    ended = run_mstool("explain", *images, *QUICK, *region, "-q", "-o", out)
    if ended.code == 65:
        assert "no image holds the region" in ended.stderr
        return []
    assert ended.code == 0
    rows = json.loads(Path(out, "explain.json").read_text())["images"]
    return [(row["image"], row["region_px"]) for row in rows]


def test_label_maps_are_read_through_the_legend_of_the_model(run_mstool, study):
    Path("swapped").mkdir()
    for path in sorted(Path("labels").iterdir()):
        Image.fromarray(1 - np.asarray(Image.open(path))).save(Path("swapped") / path.name)
    model = load_checkpoint(study / "model")
    legend = '[[class]]\nname = "0"\nvalue = 1\n[[class]]\nname = "1"\nvalue = 0\n'
    swapped = replace(model.checkpoint, legend=legend)
    save_checkpoint(study / "swapped.safetensors", model.segmenter, swapped)
    own = count_errors(run_mstool, "labels", "model", "a")
    assert count_errors(run_mstool, "swapped", "swapped.safetensors", "b") == own
    assert count_errors(run_mstool, "swapped", "model", "c") != own


@pytest.mark.parametrize(
    "call",
    [("explain", "new", *QUICK), ("domain-shift", "new", "other", "--model", "model", *FAST)],
    ids=lambda call: call[0],
)
def test_pixels_of_another_type_are_refused_with_the_flag_that_mends_it(
    run_mstool, new_batch, call
):
    new_batch(lambda grey: grey.astype(np.uint16) * 257)
    new_batch(lambda grey: grey.astype(np.uint16) * 257, folder="other")
    ended = run_mstool(*call, "-q")
    assert ended.code == 65
    assert all(word in one_line(ended) for word in ("uint16", "uint8", "--bits 8"))


def test_all_that_is_in_the_way_is_in_one_message_whose_command_works(run_mstool, study):
    Path("new").mkdir()
    for path in grey_files():
        colour = tifffile.imread(path).astype(np.uint16)[..., None].repeat(3, axis=2) * 257
        colour[0, 0] = 1, 2, 3
        tifffile.imwrite(Path("new") / path.name, colour, photometric="rgb")
    assert run_mstool("tile", "new", *CUT, "-o", "t", "-q").code == 0
    ended = run_mstool("predict", "t", "-q")
    assert ended.code == 65
    found = re.search(r"mstool tile (--grey --bits 8) makes them fit", one_line(ended))
    assert run_mstool("tile", "new", *CUT, *found[1].split(), "-o", "fit", "-q").code == 0
    assert run_mstool("predict", "fit", "-q").code == 0


def test_scale_that_was_applied_counts_in_the_advice(run_mstool, study):
    model = load_checkpoint(study / "model")
    checkpoint = replace(model.checkpoint, pixel_size_um=0.1)
    save_checkpoint(study / "sized.safetensors", model.segmenter, checkpoint)
    call = ("explain", "raw/img0.tif", "--model", "sized.safetensors", *QUICK)
    call += ("--pixel-size", 0.2)
    ended = run_mstool(*call, "--scale", 0.5)
    assert ended.code == 0
    assert "--scale 2 makes them alike" in ended.stderr
    assert "makes them alike" not in run_mstool(*call, "--scale", 2, "-o", "b").stderr


def test_micrographs_of_unlike_pixel_sizes_are_each_compared_with_that_of_the_model(
    run_mstool, study
):
    model = load_checkpoint(Path("model/model.safetensors"))
    checkpoint = replace(model.checkpoint, pixel_size_um=0.1)
    save_checkpoint(Path("sized.safetensors"), model.segmenter, checkpoint)
    Path("new").mkdir()
    for path, size_um in zip(grey_files(), (0.1, 0.2, 0.2), strict=False):
        write_tile_image(Path("new") / path.name, tifffile.imread(path), size_um)
    words = "img1.tif of new has 0.2 (and 1 more another); take micrographs of each pixel size"
    assert words in run_mstool("segment", "new", "--model", "sized.safetensors").stderr
    run_mstool("tile", "new", *CUT, "-o", "t", "-q")
    said = run_mstool("predict", "t", "--model", "sized.safetensors", "-o", "p").stderr
    assert words.replace("new", "t") in said


def test_domain_shift_compares_the_pixel_size_with_that_of_the_model(run_mstool, new_batch, study):
    new_batch(lambda grey: grey[::-1])
    model = load_checkpoint(study / "model")
    checkpoint = replace(model.checkpoint, pixel_size_um=0.1)
    save_checkpoint(study / "sized.safetensors", model.segmenter, checkpoint)
    call = ("domain-shift", "raw", "new", "--model", "sized.safetensors", *FAST)
    ended = run_mstool(*call, "--pixel-size", 0.2)
    assert ended.code == 0
    assert "the source has 0.2; --scale 2 makes them alike" in ended.stderr


# Grey levels


@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda grey: grey // 8, "grey levels lie between"), (lambda grey: 255 - grey, None)],
    ids=["darker range", "inverted"],
)
def test_other_grey_range_is_said_with_the_remedy_that_mends_it(
    run_mstool, new_batch, change, words
):
    new_batch(change)
    run_mstool("tile", "new", *CUT, "-o", "t", "-q")
    ended = run_mstool("predict", "t", "-o", "p")
    assert ended.code == 0
    if words is None:  # the study is as bright as dark: its mirror image cannot be told
        return
    assert words in ended.stderr
    levels = re.search(r"--rescale-greys (\S+) ", ended.stderr)[1]
    run_mstool("tile", "new", *CUT, "--rescale-greys", levels, "-o", "back", "-q")
    assert "grey levels" not in run_mstool("predict", "back", "-o", "q").stderr


def test_twelve_bits_beside_a_model_of_eight_are_told_their_range(run_mstool, new_batch):
    new_batch(lambda grey: grey.astype(np.uint16) * 16)
    run_mstool("tile", "new", *CUT, "-o", "t", "-q")
    told = one_line(run_mstool("predict", "t", "--model", "model", "-o", "p")).rstrip()
    assert told.endswith("; mstool tile --bits 8 --rescale-greys 0,4095 makes them fit")
    told = one_line(run_mstool("segment", "new", "--model", "model", "-o", "m")).rstrip()
    assert told.endswith("; mstool segment --bits 8 --rescale-greys 0,4095 makes them fit")
    run_mstool("tile", "new", *CUT, "--bits", 8, "-o", "u", "-q")
    said = run_mstool("predict", "u", "--model", "model", "-o", "q").stderr
    assert "mstool tile --rescale-greys 0,4095 brings them there" in said
    flags = ("--model", "model", "--bits", 8, "-o", "n")
    said = run_mstool("segment", "new", *flags).stderr
    assert "mstool segment --rescale-greys 0,4095 brings them there" in said
    flags += ("--rescale-greys", "0,4095", "--overwrite")
    ended = run_mstool("segment", "new", *flags)
    assert (ended.code, "grey levels" in ended.stderr) == (0, False)


@pytest.mark.parametrize("text", ["5", "5,5", "a,b", "1,2,3", ""])
def test_greys_to_rescale_are_two(run_mstool, study, text):
    ended = run_mstool("tile", "raw", *CUT, "--rescale-greys", text, "-o", "t", "-q")
    assert (ended.code, "--rescale-greys" in one_line(ended)) == (2, True)


def test_greys_are_rescaled_and_turned(run_mstool, new_batch):
    new_batch(lambda grey: grey.astype(np.uint16) * 16)
    options = ("--size", 96, "--overlap", 0, "-q")
    assert run_mstool("tile", "new", *options, "--rescale-greys", "0,4080", "-o", "a").code == 0
    assert run_mstool("tile", "new", *options, "--rescale-greys", "4080,0", "-o", "b").code == 0
    raw = tifffile.imread("raw/img0.tif").astype(float)
    direct, turned = (
        tifffile.imread(f"{folder}/images/img0_r00000_c00000.tif")[:80].astype(float)
        for folder in "ab"
    )
    np.testing.assert_allclose(direct, raw * 257, atol=1)
    np.testing.assert_allclose(turned, 65535 - raw * 257, atol=1)


# Types and channels that folders mix


def test_mixed_depths_are_refused_with_the_flag_that_tile_takes(run_mstool, new_batch):
    new_batch(lambda grey: grey)
    first = grey_files("new")[0]
    tifffile.imwrite(first, tifffile.imread(first).astype(np.uint16) * 257)
    ended = run_mstool("tile", "new", *CUT, "-o", "t", "-q")
    assert (ended.code, "--bits 16" in one_line(ended)) == (65, True)
    for bits in (8, 16):
        assert run_mstool("tile", "new", *CUT, "--bits", bits, "-o", f"t{bits}", "-q").code == 0
    same = [tifffile.imread(f"t8/images/{t.id}.tif") for t in read_manifest(Path("t8"))[:1]]
    wide = [tifffile.imread(f"t16/images/{t.id}.tif") for t in read_manifest(Path("t16"))[:1]]
    np.testing.assert_array_equal(same[0] * np.uint16(257), wide[0])


def test_grey_in_colour_beside_grey_is_grey_and_a_model_of_it_finds_grey(run_mstool, new_batch):
    new_batch(lambda grey: grey[..., None].repeat(3, axis=2), photometric="rgb")
    first = grey_files("new")[0]
    tifffile.imwrite(first, tifffile.imread(first)[..., 0])
    assert run_mstool("tile", "new", *CUT, "-o", "t", "-q").code == 0
    assert json.loads(Path("t/tiles.json").read_text())["n_channels"] == 1
    assert run_mstool("predict", "t", "-q").code == 0


def test_model_that_was_trained_on_grey_in_colour_takes_grey(run_mstool, study):
    from mstool.nn.model import build_segmenter

    checkpoint = load_checkpoint(study / "model").checkpoint
    spec = replace(checkpoint.spec, n_channels=3)
    wide = replace(checkpoint, spec=spec, mean=checkpoint.mean * 3, std=checkpoint.std * 3)
    segmenter = build_segmenter(spec, list(wide.mean), list(wide.std), seed=0).eval()
    save_checkpoint(study / "wide.safetensors", segmenter, wide)
    assert run_mstool("predict", "tiles", "--model", "wide.safetensors", "-q").code == 0
    true_colour = replace(wide, mean=(1.0, 2.0, 3.0))
    save_checkpoint(study / "colour.safetensors", segmenter, true_colour)
    ended = run_mstool("predict", "tiles", "--model", "colour.safetensors", "-q", "-o", "p")
    assert (ended.code, "channels" in one_line(ended)) == (65, True)


# Label maps that contradict each other, in every verb that reads some


@pytest.mark.parametrize(
    "call",
    [
        ("tile", "raw", "--labels", "labels", *CUT, "-o", "t"),
        ("explain", "raw", "--labels", "labels", *QUICK),
        ("domain-shift", "raw", "new", "--source-labels", "labels", *FAST),
        ("stitch", "probs", "--overlay", "--labels", "labels"),
        ("score", "masks", "labels"),
    ],
    ids=lambda call: call[0],
)
def test_a_yes_no_mask_among_label_maps_is_refused_by_every_verb(run_mstool, new_batch, call):
    new_batch(lambda grey: grey[::-1])
    if call[0] in ("stitch", "score"):
        run_mstool("predict", "tiles", "-q")
    if call[0] == "score":
        run_mstool("stitch", "probs", "-q")
    path = Path("labels/img3.png")
    Image.fromarray(np.asarray(Image.open(path)) * 255).save(path)
    ended = run_mstool(*call, "-q")
    assert ended.code == 65
    assert "img3.png: looks like a yes/no mask" in one_line(ended)


def test_tile_says_what_each_class_has_and_which_has_nothing(run_mstool, study):
    painted = Path("painted")
    painted.mkdir()
    for path in sorted(Path("labels").iterdir()):
        truth = np.asarray(Image.open(path))
        colours = np.zeros((*truth.shape, 3), np.uint8)
        colours[truth == 1] = 0, 0, 255
        Image.fromarray(colours).save(painted / path.name)
    call = ("tile", "raw", "--labels", "painted", *CUT)
    ended = run_mstool(*call, "--classes", "m=*,p=#0000fe", "-o", "t", "-v")
    assert ended.code == 0
    assert "m: 46080 pixels (100.0%) in 6 of 6 label maps" in ended.stderr
    assert "warning: class 'p' is in no label map; is its value #0000fe right?" in ended.stderr
    assert "nothing to learn" in ended.stderr
    assert "img0.png: holds m alone" in ended.stderr
    assert "nothing to learn" in run_mstool("split", "t", "--loo", "-o", "s.csv").stderr
    right = run_mstool(*call, "--classes", "m=*,p=#0000ff", "-o", "u")
    assert "warning" not in right.stderr


# Names and folders


def test_layouts_of_names_are_tiled_and_scored(run_mstool, study):
    for index, path in enumerate(grey_files()):
        Path("same").mkdir(exist_ok=True)
        shutil.copy(path, f"same/x{index}_img.tif")
        shutil.copy(f"labels/{path.stem}.png", f"same/x{index}_mask.png")
    names = ("--image-suffix", "_img", "--label-suffix", "_mask")
    assert run_mstool("tile", "same", "--labels", "same", *names, *CUT, "-o", "t", "-q").code == 0
    assert run_mstool("predict", "t", "-q").code == 0
    overlay = ("--overlay", "--labels", "same", *names)
    assert run_mstool("stitch", "probs", *overlay, "-q").code == 0
    ended = run_mstool("score", "masks", "same", *names, "-q")
    assert ended.code == 0
    assert json.loads(ended.stdout)["n_images"] == 6


def test_folders_of_train_val_and_test_are_the_folds(run_mstool, study):
    for index, path in enumerate(grey_files()):
        part = ("train", "val", "test")[min(index, 4) // 2]
        for folder, source, name in (
            (part, path, path.name),
            (f"{part}_annot", Path(f"labels/{path.stem}.png"), f"{path.stem}_mask.png"),
        ):
            (Path("set") / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, Path("set") / folder / name)
    parts = [f"set/{part}" for part in ("train", "val", "test")]
    call = ("tile", *parts, "--labels", "set", "--label-suffix", "_mask", *CUT, "-o", "t", "-q")
    assert run_mstool(*call).code == 0
    ended = run_mstool("split", "t", "--by-folder")
    assert ended.code == 0
    assert "3 folds: 0 for test, 1 for val, 2 for train" in ended.stderr
    folds = dict(line.split(",")[::2] for line in ended.stdout.splitlines()[1:])
    assert [folds[f"img{index}.tif"] for index in range(6)] == list("221100")
    assert run_mstool("split", "raw", "--by-folder", "-q").code == 2
    assert run_mstool("split", *parts, "--by-folder", "-q").stdout == ended.stdout


def test_a_name_of_any_script_is_read_in_any_locale(study):
    Path("raw/img0.tif").rename("raw/Gefüge 相.tif")
    Path("labels/img0.png").rename("labels/Gefüge 相.png")
    command = [sys.executable, "-m", "mstool", "tile", "raw", "--labels", "labels", "-o", "t", "-q"]
    for number, locale in enumerate(({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"})):
        call = [*command[:-2], f"t{number}", "-q", "--size", "48", "--overlap", "0"]
        ended = subprocess.run(
            call, env=os.environ | locale, capture_output=True, check=False, timeout=60
        )
        if ended.returncode:  # a locale that cannot hold the name, and says so
            assert b"set PYTHONUTF8=1" in ended.stderr
    assert ended.returncode in (0, 65)


def test_unreadable_label_map_is_an_error_of_the_system(run_mstool, study, monkeypatch):
    opened = open

    def refuse(path, *arguments, **options):
        if "img2.png" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    ended = run_mstool("tile", "raw", "--labels", "labels", *CUT, "-o", "t", "-q")
    assert (ended.code, "img2.png" in one_line(ended)) == (74, True)


def test_a_pixel_size_that_is_none_is_said(run_mstool, new_batch):
    new_batch(lambda grey: grey, resolution=(72, 72), resolutionunit="INCH", metadata=None)
    ended = run_mstool("tile", "new", *CUT, "-o", "t")
    assert json.loads(Path("t/tiles.json").read_text())["pixel_size_um"] is None
    assert "(and 5 more): states 72 pixels per inch" in ended.stderr
    assert "--pixel-size" in ended.stderr
