import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.io.images import read_values
from mstool.io.tiles import read_manifest


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """One 16-bit micrograph of 50 x 70 pixels with three classes, one of them ignored."""
    monkeypatch.chdir(tmp_path)
    for name in ("raw", "labels"):
        (tmp_path / name).mkdir()
    image = np.random.default_rng(0).integers(0, 65535, (50, 70), dtype=np.uint16)
    labels = np.zeros((50, 70), np.uint8)
    labels[:, 35:] = 1
    labels[:10] = 255
    tifffile.imwrite(tmp_path / "raw" / "a.tif", image)
    Image.fromarray(labels).save(tmp_path / "labels" / "a.png")
    return image, labels


def test_tiles_hold_the_pixels_and_labels_of_their_windows(run_mstool, raw, tmp_path):
    ended = run_mstool("tile", "raw", "--labels", "labels", "--size", 32, "--overlap", 9)
    assert (ended.code, ended.stdout) == (0, "")
    tiles = read_manifest(tmp_path / "tiles")
    assert len(tiles) == 6
    for tile in tiles:
        image = tifffile.imread(f"tiles/images/{tile.id}.tif")
        assert image.dtype == np.uint16
        np.testing.assert_array_equal(image, raw[0][tile.window.slices])
        labels = read_values(tmp_path / "tiles" / "labels" / f"{tile.id}.png")
        np.testing.assert_array_equal(labels, raw[1][tile.window.slices])
        assert tile.counts == {
            "0": (labels == 0).sum(),
            "1": (labels == 1).sum(),
            "ignored": (labels == 255).sum(),
        }


def test_record_says_all_that_the_next_verb_needs(run_mstool, raw):
    run_mstool("tile", "raw", "--size", 32, "--overlap", 9, "--pixel-size", 0.5, "--scale", 2)
    record = json.loads(Path("tiles/tiles.json").read_text())
    assert record["halo"] == 4
    assert record["pixel_size_um"] == 0.25
    assert record["status"] == "done"
    assert set(record["inputs"]) == {"../raw/a.tif"}
    (source,) = record["sources"]
    assert (source["shape"], source["scaled_shape"]) == ([50, 70], [100, 140])
    assert {"version", "argv", "started", "elapsed_s", "peak_rss_mb"} <= set(record["mstool"])


def test_image_smaller_than_a_tile_is_reflected_and_ignored_there(run_mstool, raw, tmp_path):
    run_mstool("tile", "raw", "--labels", "labels", "--size", 64, "--overlap", 0)
    tiles = read_manifest(tmp_path / "tiles")
    assert [tile.pad for tile in tiles] == [(14, 0), (14, 0)]
    image = tifffile.imread(f"tiles/images/{tiles[0].id}.tif")
    np.testing.assert_array_equal(image[50:], raw[0][48:34:-1, :64])
    labels = read_values(tmp_path / "tiles" / "labels" / f"{tiles[0].id}.png")
    assert (labels[50:] == 255).all()


def test_scaled_labels_stay_whole_numbers_and_images_keep_their_range(run_mstool, raw, tmp_path):
    run_mstool("tile", "raw", "--labels", "labels", "--size", 32, "--overlap", 0, "--scale", 1.7)
    for tile in read_manifest(tmp_path / "tiles"):
        labels = read_values(tmp_path / "tiles" / "labels" / f"{tile.id}.png")
        assert set(np.unique(labels)) <= {0, 1, 255}
        assert tifffile.imread(f"tiles/images/{tile.id}.tif").dtype == np.uint16


def test_tiles_with_too_many_ignored_pixels_are_left_out(run_mstool, raw, tmp_path):
    run_mstool("tile", "raw", "--labels", "labels", "--size", 25, "--overlap", 0)
    everything = read_manifest(tmp_path / "tiles")
    command = ("tile", "raw", "--labels", "labels", "--size", 25, "--overlap", 0)
    assert run_mstool(*command, "--discard-ignored", 0.3, "-o", "few").code == 0
    few = read_manifest(tmp_path / "few")
    assert few == [tile for tile in everything if tile.counts["ignored"] <= 0.3 * 625]
    assert 0 < len(few) < len(everything)


def test_what_fills_a_tile_up_is_not_counted_as_ignored(run_mstool, raw, tmp_path):
    command = ("tile", "raw", "--labels", "labels", "--size", 200, "--overlap", 0)
    assert run_mstool(*command, "--discard-ignored", 0.2).code == 0  # 10 of 50 rows
    (tile,) = read_manifest(tmp_path / "tiles")
    assert tile.counts == {"0": 40 * 35, "1": 40 * 35, "ignored": 10 * 70}
    ended = run_mstool(*command, "--discard-ignored", 0.19, "-o", "none")
    assert (ended.code, "no tile is left" in ended.stderr) == (65, True)


def test_colour_legend_and_label_suffix(run_mstool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("raw", "annot"):
        (tmp_path / name).mkdir()
    picture = np.full((8, 8, 4), 90, np.uint8)
    picture[:4, :, :3] = (0, 0, 255)
    picture[6:, :, :3] = (255, 0, 0)
    tifffile.imwrite("annot/a_mask.tif", picture, photometric="rgb", extrasamples=[2])
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save("raw/a.png")
    classes = "matrix=*,secondary=#0000ff,tertiary=#ff0000"
    options = ("--labels", "annot", "--label-suffix", "_mask", "--classes", classes)
    assert run_mstool("tile", "raw", "--size", 8, "--overlap", 0, *options).code == 0
    (tile,) = read_manifest(tmp_path / "tiles")
    assert tile.counts == {"matrix": 16, "secondary": 32, "tertiary": 16, "ignored": 0}


def test_specimens_are_found_in_file_names(run_mstool, raw, tmp_path):
    image = tifffile.imread("raw/a.tif")
    for name in ("heat7_1", "heat7_2", "heat8_1"):
        tifffile.imwrite(f"raw/{name}.tif", image)
    (tmp_path / "raw" / "a.tif").unlink()
    run_mstool("tile", "raw", "--group-by", r"heat(\d+)", "--size", 50, "--overlap", 0)
    groups = {tile.source: tile.group for tile in read_manifest(tmp_path / "tiles")}
    assert groups == {"heat7_1.tif": "7", "heat7_2.tif": "7", "heat8_1.tif": "8"}


def test_running_again_does_nothing_and_other_settings_are_refused(run_mstool, raw):
    command = ("tile", "raw", "--size", 32)
    run_mstool(*command, "--overlap", 8)
    again = run_mstool(*command, "--overlap", 8)
    assert again.code == 0
    assert "nothing left to do" in again.stderr
    other = run_mstool(*command, "--overlap", 4)
    assert other.code == 73
    assert "overlap (8, now 4)" in other.stderr
    assert run_mstool(*command, "--overlap", 4, "--overwrite").code == 0


def test_interrupted_run_goes_on_and_ends_the_same(run_mstool, raw, tmp_path, monkeypatch):
    from mstool.pipeline import tile as module

    command = ("tile", "raw", "--labels", "labels", "--size", 16, "--overlap", 4)
    run_mstool(*command, "-o", "whole")
    written = module.write_tile_image

    def write_three(path, values, count=[0]):
        count[0] += 1
        if count[0] > 3:
            raise KeyboardInterrupt
        written(path, values)

    monkeypatch.setattr(module, "write_tile_image", write_three)
    assert run_mstool(*command).code == 130
    assert not (tmp_path / "tiles" / "tiles.json").exists()
    monkeypatch.setattr(module, "write_tile_image", written)
    assert run_mstool(*command).code == 0
    for path in sorted((tmp_path / "whole").rglob("*.tif")):
        assert path.read_bytes() == (tmp_path / "tiles" / "images" / path.name).read_bytes()


def test_paths_from_a_list_with_awkward_names(run_mstool, raw, tmp_path):
    names = ["a b.tif", "ü.tif", "new\nline.tif"]
    for name in names:
        (tmp_path / "raw" / name).write_bytes((tmp_path / "raw" / "a.tif").read_bytes())
    (tmp_path / "list").write_bytes(b"\0".join(f"raw/{name}".encode() for name in names))
    ended = run_mstool("tile", "--files-from", "list", "-0", "--size", 64, "--overlap", 0)
    assert ended.code == 0
    assert {tile.source for tile in read_manifest(tmp_path / "tiles")} == set(names)


def test_dry_run_prints_the_plan_and_writes_nothing(run_mstool, raw, tmp_path):
    ended = run_mstool("tile", "raw", "--size", 32, "--overlap", 8, "--dry-run")
    plan = json.loads(ended.stdout)
    assert plan["settings"]["size"] == 32
    assert not (tmp_path / "tiles").exists()


def break_by(kind):
    """Do something wrong in the working directory; give extra arguments."""
    image = tifffile.imread("raw/a.tif")
    if kind == "text":
        Path("raw/b.tif").write_text("not an image")
    elif kind == "truncated":
        data = Path("raw/a.tif").read_bytes()
        Path("raw/b.tif").write_bytes(data[: len(data) // 2])
    elif kind == "zero-sized":
        Path("raw/b.tif").touch()
    elif kind == "NaN":
        tifffile.imwrite("raw/a.tif", np.where(image > 60000, np.nan, image / 1.0))
    elif kind == "label of another size":
        Image.fromarray(np.zeros((50, 69), np.uint8)).save("labels/a.png")
    elif kind == "unnamed value":
        labels = read_values_here("labels/a.png")
        labels[20, 30] = labels[20, 31] = 7
        Image.fromarray(labels).save("labels/a.png")
    elif kind == "mixed depth":
        tifffile.imwrite("raw/b.tif", image.astype(np.uint8))
    elif kind == "colour among grey":
        colour = np.zeros((9, 9, 3), np.uint16)
        colour[3, 3, 0] = 1
        tifffile.imwrite("raw/b.tif", colour, photometric="rgb")
    elif kind == "no label map":
        tifffile.imwrite("raw/b.tif", image)
    elif kind == "same name":
        Image.fromarray(np.zeros((50, 70), np.uint8)).save("raw/a.png")


def read_values_here(name):
    return np.array(Image.open(name))


@pytest.mark.parametrize(
    ("kind", "labelled", "code", "words"),
    [
        ("text", False, 65, ["b.tif", "cannot be read"]),
        ("truncated", False, 65, ["b.tif"]),
        ("zero-sized", False, 65, ["b.tif", "empty"]),
        ("NaN", False, 65, ["a.tif", "not a number", "row"]),
        ("label of another size", True, 65, ["a.png", "50 x 69", "50 x 70"]),
        ("unnamed value", True, 65, ["a.png", "7", "2 pixels", "row 20", "column 30"]),
        ("mixed depth", False, 65, ["b.tif", "uint8", "uint16"]),
        ("colour among grey", False, 65, ["b.tif", "--grey"]),
        ("no label map", True, 65, ["b.tif", "no label map"]),
        ("same name", False, 65, ["a.tif", "same name"]),
    ],
)
def test_bad_input_is_one_line_with_file_and_remedy(
    run_mstool, raw, tmp_path, kind, labelled, code, words
):
    break_by(kind)
    labels = ("--labels", "labels", "--classes", "a=0,b=1") if labelled else ()
    ended = run_mstool("tile", "raw", *labels, "--size", 32, "--overlap", 8, "-q")
    assert ended.code == code
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("mstool tile: ")
    for word in [*words, ";"]:
        assert word in ended.stderr
    assert not (tmp_path / "tiles").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nowhere"], 66, "nowhere"),
        (["empty"], 66, "no micrographs"),
        ([], 2, "no input"),
        (["raw", "--overlap", "32"], 2, "--overlap"),
        (["raw", "--scale", "0"], 2, "--scale"),
        (["raw", "--pixel-size", "-1"], 2, "--pixel-size"),
        (["raw", "--pixel-size", "nan"], 2, "--pixel-size"),
        (["raw", "--pixel-size", "inf"], 2, "--pixel-size"),
        (["raw", "--scale", "nan"], 2, "--scale"),
        (["raw", "--discard-ignored", "0.1"], 2, "--discard-ignored: needs --labels;"),
        (["raw", "--discard-ignored", "0"], 2, "--discard-ignored: needs --labels;"),
        (["raw", "--classes", "a=*"], 2, "--classes: needs --labels;"),
        (
            ["raw", "--legend", "l.toml", "--label-suffix", "_m"],
            2,
            "--label-suffix, --legend: need",
        ),
        (["raw", "raw"], 2, "raw: is named twice;"),
        (["raw/a.tif", "./raw/../raw/a.tif"], 2, "a.tif: is named twice;"),
        (["raw", "--labels", "labels", "--discard-ignored", "2"], 2, "must be between"),
        (["raw", "--labels", "labels", "--discard-ignored", "nan"], 2, "must be between"),
        (["raw", "--group-by", "("], 2, "group pattern"),
        (["raw", "--group-by", "heat"], 2, "a.tif"),
        (["raw", "--labels", "labels", "--classes", "a=1,a=2"], 2, "a"),
        (["raw", "--labels", "labels", "--legend", "no.toml"], 66, "no.toml"),
    ],
)
def test_bad_usage_names_what_is_wrong(run_mstool, raw, tmp_path, arguments, code, word):
    (tmp_path / "empty").mkdir()
    overlap = () if "--overlap" in arguments else ("--overlap", 8)
    ended = run_mstool("tile", *arguments, "--size", 32, *overlap)
    assert ended.code == code
    assert word in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "tiles").exists()


JEOL = "$CM_FORMAT JEOL/SEM\n$$SM_MICRON_BAR 200\n$$SM_MICRON_MARKER {}\n"


def test_text_of_the_microscope_that_comes_or_changes_is_another_input(run_mstool, raw):
    command = ("tile", "raw", "--size", 32, "--overlap", 8)
    assert run_mstool(*command).code == 0
    Path("raw/a.txt").write_text("etched twice")
    assert "nothing left to do" in run_mstool(*command).stderr
    for size, marker in ((0.05, "10um"), (0.1, "20um")):
        Path("raw/a.txt").write_text(JEOL.format(marker))
        ended = run_mstool(*command)
        assert (ended.code, "with other inputs" in ended.stderr) == (73, True)
        assert run_mstool(*command, "--overwrite").code == 0
        assert json.loads(Path("tiles/tiles.json").read_text())["pixel_size_um"] == size
    assert "nothing left to do" in run_mstool(*command).stderr
