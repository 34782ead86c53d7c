"""The verb split: whole groups, never tiles, CSV on standard output."""

import csv
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from mstool.io.records import write_record
from mstool.io.tiles import Tile, write_manifest


@pytest.fixture
def images(tmp_path):
    """Folder with micrographs of different content."""

    def make(*names):
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for number, name in enumerate(names):
            Image.fromarray(np.full((2, 3), number, np.uint8)).save(folder / name)
        return folder

    return make


@pytest.fixture
def tile_folder(tmp_path):
    """Tile folder with label counts by micrograph: {name: (group, counts of each tile)}."""

    def make(micrographs):
        folder = tmp_path / "tiles"
        (folder / "images").mkdir(parents=True)
        tiles = [
            Tile(f"{name}_{number}", name, group, 0, number, 4, 4, counts=counts)
            for name, (group, tile_counts) in micrographs.items()
            for number, counts in enumerate(tile_counts)
        ]
        write_manifest(folder, tiles)
        sources = [
            {
                "name": name,
                "group": group,
                "sha256": name,
                "path": f"../raw/{name}",
                "file_sha256": "",
                "shape": [4, 8],
                "scaled_shape": [4, 8],
            }
            for name, (group, _) in micrographs.items()
        ]
        settings = {"size": 4, "scale": 1.0, "legend": None}
        facts = {"halo": 0, "pixel_size_um": None, "dtype": "uint8", "n_channels": 1}
        write_record(folder / "tiles.json", {"settings": settings, "sources": sources} | facts)
        return folder

    return make


def read_folds(text):
    return {row["source"]: int(row["fold"]) for row in csv.DictReader(io.StringIO(text))}


def read_groups(text):
    return {row["source"]: row["group"] for row in csv.DictReader(io.StringIO(text))}


def test_rows_are_sorted_by_source_and_stdout_is_csv_alone(run_mstool, images):
    ended = run_mstool("split", images("c.png", "a.png", "b.png"), "--loo")
    assert ended.stdout == "source,group,fold\na.png,a.png,0\nb.png,b.png,1\nc.png,c.png,2\n"
    assert "3 micrographs in 3 groups, 3 folds" in ended.stderr
    assert ended.code == 0


def test_a_specimen_stays_together(run_mstool, images):
    folder = images("S1_a.png", "S1_b.png", "S2_a.png", "S2_b.png", "S3_a.png", "S3_b.png")
    ended = run_mstool("split", folder, "--folds", 3, "--group-by", r"(S\d)_")
    folds = read_folds(ended.stdout)
    assert all(folds[f"S{n}_a.png"] == folds[f"S{n}_b.png"] for n in (1, 2, 3))
    assert {*folds.values()} == {0, 1, 2}


def test_holdout_has_test_validation_and_training(run_mstool, images):
    folder = images(*(f"{letter}.png" for letter in "abcdefgh"))
    folds = [*read_folds(run_mstool("split", folder, "--holdout", 0.25).stdout).values()]
    assert [folds.count(fold) for fold in (0, 1, 2)] == [2, 2, 4]


def test_classes_are_spread_over_folds(run_mstool, tile_folder):
    only_a, only_b = {"a": 90, "b": 0, "ignored": 6}, {"a": 0, "b": 8, "ignored": 0}
    folder = tile_folder(
        {
            name: (name, [counts, counts])
            for name, counts in zip("wxyz", [only_a, only_a, only_b, only_b], strict=True)
        }
    )
    ended = run_mstool("split", folder, "--folds", 2)
    folds = read_folds(ended.stdout)
    assert folds["w"] != folds["x"]
    assert folds["y"] != folds["z"]
    assert "warning" not in ended.stderr


def test_counts_of_all_tiles_of_a_micrograph_add_up(run_mstool, tile_folder):
    tiles = [{"a": 5, "b": 1, "ignored": 9}, {"a": 5, "b": 0, "ignored": 0}]
    folder = tile_folder({name: (name, tiles) for name in "xyz"})
    ended = run_mstool("split", folder, "--loo")
    assert ended.code == 0
    assert "absent" not in ended.stderr  # b is in the first tile of each


def test_ignored_pixels_are_no_class(run_mstool, tile_folder):
    folder = tile_folder(
        {name: (name, [{"a": 5, "ignored": n}]) for name, n in zip("xyz", (9, 0, 0), strict=True)}
    )
    assert "ignored" not in run_mstool("split", folder, "--loo").stderr


def test_fold_without_a_class_is_told(run_mstool, tile_folder):
    folder = tile_folder(
        {"x": ("x", [{"a": 1, "b": 1}]), "y": ("y", [{"a": 1, "b": 0}]), "z": ("z", [])}
    )
    ended = run_mstool("split", folder, "--loo")
    assert "class 'a' is absent from fold 2," in ended.stderr
    assert "class 'b' is absent from folds 1, 2," in ended.stderr


def test_micrograph_without_tiles_has_a_row(run_mstool, tile_folder):
    folder = tile_folder({"x": ("x", [{"a": 1}]), "y": ("y", [])})
    assert set(read_folds(run_mstool("split", folder, "--loo").stdout)) == {"x", "y"}


def test_groups_of_the_tile_folder_are_kept(run_mstool, tile_folder):
    folder = tile_folder({"x1": ("s", []), "x2": ("s", []), "y1": ("t", []), "y2": ("t", [])})
    folds = read_folds(run_mstool("split", folder, "--folds", 2).stdout)
    assert folds["x1"] == folds["x2"] != folds["y1"] == folds["y2"]


def test_group_by_replaces_groups_of_the_tile_folder(run_mstool, tile_folder):
    folder = tile_folder({"x1": ("s", []), "x2": ("s", []), "y1": ("t", []), "y2": ("t", [])})
    ended = run_mstool("split", folder, "--folds", 2, "--group-by", r"\d")
    assert read_groups(ended.stdout) == {"x1": "1", "x2": "2", "y1": "1", "y2": "2"}


def test_same_seed_same_bytes(run_mstool, images):
    folder = images(*(f"{letter}.png" for letter in "abcdefgh"))
    first = run_mstool("split", folder, "--folds", 3, "--seed", 5).stdout
    assert run_mstool("split", folder, "--folds", 3, "--seed", 5).stdout == first


@pytest.mark.parametrize(
    "flags", [(), ("--loo", "--folds", 2), ("--folds", 2, "--holdout", 0.2)], ids=str
)
def test_one_way_to_split_is_required(run_mstool, images, flags):
    ended = run_mstool("split", images("a.png", "b.png"), *flags)
    assert ended.code == 2
    assert all(flag in ended.stderr for flag in ("--folds", "--loo", "--holdout"))
    assert ended.stdout == ""


def test_tiles_as_micrographs_are_refused(run_mstool, tile_folder):
    folder = tile_folder({"x": ("x", []), "y": ("y", [])})
    Image.new("L", (4, 4)).save(folder / "images" / "x_0.tif")
    for operand in (folder / "images", folder / "images" / "x_0.tif"):
        ended = run_mstool("split", operand, "--loo")
        assert ended.code == 2
        assert "is a tile" in ended.stderr


def test_tile_folder_beside_other_operands_is_refused(run_mstool, tile_folder, images):
    folder = tile_folder({"x": ("x", []), "y": ("y", [])})
    ended = run_mstool("split", folder, images("a.png"), "--loo")
    assert ended.code == 2
    assert "give it alone" in ended.stderr


def test_same_picture_in_two_groups_is_a_leak(run_mstool, images):
    folder = images("a.png", "b.png")
    with Image.open(folder / "a.png") as picture:
        picture.save(folder / "copy.tif")  # other bytes, same pixels
    ended = run_mstool("split", folder, "--loo")
    assert ended.code == 65
    assert "a.png and copy.tif" in ended.stderr
    assert "--group-by" in ended.stderr


def test_same_picture_in_one_group_is_no_leak(run_mstool, images):
    folder = images("s1_a.png", "s2_b.png")
    (folder / "s1_copy.png").write_bytes((folder / "s1_a.png").read_bytes())
    assert run_mstool("split", folder, "--loo", "--group-by", r"s\d").code == 0


def test_more_folds_than_groups_is_refused(run_mstool, images):
    ended = run_mstool("split", images("a.png", "b.png"), "--folds", 3)
    assert ended.code == 2
    assert "only 2 groups" in ended.stderr


def test_pattern_that_finds_nothing_is_refused(run_mstool, images):
    ended = run_mstool("split", images("a.png", "b.png"), "--loo", "--group-by", r"S\d")
    assert ended.code == 2
    assert "'a.png'" in ended.stderr


def test_unfinished_tile_folder_is_told(run_mstool, tile_folder):
    folder = tile_folder({"x": ("x", []), "y": ("y", [])})
    (folder / "tiles.json").rename(folder / ".tiles.unfinished.json")
    ended = run_mstool("split", folder, "--loo")
    assert ended.code == 66
    assert "tiles.json: no such file" in ended.stderr


def test_empty_folder_is_told(run_mstool, tmp_path):
    (tmp_path / "empty").mkdir()
    ended = run_mstool("split", tmp_path / "empty", "--loo")
    assert ended.code == 66
    assert "no micrographs" in ended.stderr


def test_damaged_image_is_named(run_mstool, images):
    folder = images("a.png", "b.png")
    (folder / "b.png").write_bytes(b"no image")
    ended = run_mstool("split", folder, "--loo")
    assert ended.code == 65
    assert "b.png" in ended.stderr


def test_out_writes_a_file_and_nothing_on_stdout(run_mstool, images, tmp_path):
    folder, out = images("a.png", "b.png"), tmp_path / "new" / "split.csv"
    ended = run_mstool("split", folder, "--loo", "-o", out)
    assert ended.stdout == ""
    assert out.read_text() == "source,group,fold\na.png,a.png,0\nb.png,b.png,1\n"


def test_another_split_is_not_replaced_unasked(run_mstool, images, tmp_path):
    folder, out = images("a.png", "b.png", "c.png"), tmp_path / "split.csv"
    assert run_mstool("split", folder, "--loo", "-o", out).code == 0
    assert "nothing left to do" in run_mstool("split", folder, "--loo", "-o", out).stderr
    before = out.read_text()
    assert run_mstool("split", folder, "--folds", 2, "-o", out).code == 73
    assert out.read_text() == before
    assert run_mstool("split", folder, "--folds", 2, "-o", out, "--overwrite").code == 0
    assert out.read_text() != before


def test_dry_run_prints_settings_and_writes_nothing(run_mstool, images, tmp_path):
    out = tmp_path / "split.csv"
    ended = run_mstool("split", images("a.png", "b.png"), "--folds", 2, "--dry-run", "-o", out)
    assert json.loads(ended.stdout)["settings"]["folds"] == 2
    assert not out.exists()


def test_quiet_says_nothing(run_mstool, images):
    assert run_mstool("split", images("a.png", "b.png"), "--loo", "-q").stderr == ""


def test_list_of_files(run_mstool, images, tmp_path):
    folder = images("a.png", "b.png", "c.png")
    names = tmp_path / "names.txt"
    names.write_text(f"{folder / 'a.png'}\n{folder / 'c.png'}\n")
    folds = read_folds(run_mstool("split", "--files-from", names, "--loo").stdout)
    assert set(folds) == {"a.png", "c.png"}


def test_folders_are_those_of_links_and_not_of_what_they_lead_to(run_mstool, images, tmp_path):
    stored = images("1.png", "2.png", "3.png")
    linked = {"train/a.png": "1.png", "train/b.png": "2.png", "test/c.png": "3.png"}
    for link, name in linked.items():
        key, place = tmp_path / "store" / f"key{name}", tmp_path / "set" / link
        for folder in (key, place.parent):
            folder.mkdir(parents=True, exist_ok=True)
        (stored / name).rename(key / name)
        place.symlink_to(key / name)
    parts, tiles = (tmp_path / "set" / "train", tmp_path / "set" / "test"), tmp_path / "tiles"
    assert run_mstool("tile", *parts, "--size", 8, "--overlap", 0, "-o", tiles).code == 0
    for operands in (parts, [tiles]):
        folds = read_folds(run_mstool("split", *operands, "--by-folder").stdout)
        assert folds == {"a.png": 1, "b.png": 1, "c.png": 0}


@pytest.mark.parametrize(
    ("out", "flags"),
    [
        ("folder", []),
        ("folder", ["--overwrite"]),
        ("pipe", []),
        ("pipe", ["--overwrite"]),
        ("/dev/null", []),  # never with --overwrite: broken code would replace it
        ("/dev/stdout", []),
    ],
)
def test_out_that_is_no_file_is_neither_read_nor_replaced(run_mstool, images, tmp_path, out, flags):
    folder, out = images("a.png", "b.png"), tmp_path / out
    if out.name == "folder":
        out.mkdir()
    elif out.name == "pipe":
        os.mkfifo(out)
    before = out.lstat()
    ended = run_mstool("split", folder, "--loo", "-o", out, *flags)
    assert (ended.code, ended.stdout) == (73, "")
    assert f"{out}: is not a regular file; use > FILE or another --out" in ended.stderr
    assert out.lstat().st_ino == before.st_ino


def test_out_is_no_input(run_mstool, images):
    folder = images("a.png", "b.png")
    before = (folder / "a.png").read_bytes()
    ended = run_mstool("split", folder, "--loo", "-o", folder / "a.png", "--overwrite")
    assert ended.code == 2
    assert "is one of the inputs; name another file" in ended.stderr
    assert (folder / "a.png").read_bytes() == before
