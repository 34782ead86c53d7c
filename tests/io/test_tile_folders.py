import json

import numpy as np
import pytest

from mstool.errors import InputError, MissingInputError
from mstool.io.images import open_label_values, read_values
from mstool.io.masks import write_indexed_png, write_indexed_tiff
from mstool.io.split_csv import SplitRow, read_split, split_to_csv
from mstool.io.tiles import (
    Tile,
    read_manifest,
    read_probabilities,
    write_manifest,
    write_probabilities,
)

TILE = Tile("a_r00000_c00000", "a.tif", "a", 0, 0, 4, 4, (0, 0), {"matrix": 16, "ignored": 0})
PALETTE = np.arange(768, dtype=np.uint32).astype(np.uint8).reshape(256, 3)


def test_manifest_round_trip(tmp_path):
    write_manifest(tmp_path, [TILE])
    assert read_manifest(tmp_path) == [TILE]


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "", "a\\b", 7])
@pytest.mark.parametrize("key", ["id", "source"])
def test_manifest_may_not_name_files_outside_its_folder(tmp_path, key, name):
    write_manifest(tmp_path, [TILE])
    line = json.loads((tmp_path / "tiles.jsonl").read_text()) | {key: name}
    (tmp_path / "tiles.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match=r"tiles\.jsonl:1.*stays in its folder"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', "null"])
def test_damaged_line_is_named(tmp_path, line):
    (tmp_path / "tiles.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"tiles\.jsonl:1"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 5])
def test_probabilities_round_trip(tmp_path, dtype, n_classes):
    values = np.random.default_rng(0).random((n_classes, 8, 9))
    stored = np.rint(values * 255).astype(dtype) if dtype == np.uint8 else values.astype(dtype)
    write_probabilities(tmp_path / "p.tif", stored)
    tolerance = 0.5 / 255 if dtype == np.uint8 else 1e-3  # half a level; float16 has 11 bits
    np.testing.assert_allclose(
        read_probabilities(tmp_path / "p.tif", n_classes), values, atol=tolerance + 1e-6
    )


def test_missing_and_damaged_probabilities_are_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"p\.tif"):
        read_probabilities(tmp_path / "p.tif", 2)
    (tmp_path / "p.tif").write_text("no")
    with pytest.raises(InputError, match=r"p\.tif.*damaged"):
        read_probabilities(tmp_path / "p.tif", 2)


@pytest.mark.parametrize("n_rows", [1, 50, 64, 200])
def test_mask_written_in_bands_reads_back_with_its_palette(tmp_path, n_rows):
    labels = np.random.default_rng(0).integers(0, 3, (150, 70), dtype=np.uint8)
    bands = [labels[row : row + n_rows] for row in range(0, 150, n_rows)]
    write_indexed_tiff(tmp_path / "m.tif", bands, labels.shape, PALETTE, 0.25)
    np.testing.assert_array_equal(read_values(tmp_path / "m.tif"), labels)
    colours = open_label_values(tmp_path / "m.tif", expand_palette=True)
    np.testing.assert_array_equal(colours.read(), PALETTE[labels])
    assert colours.pixel_size_um == pytest.approx(0.25)


def test_indexed_png_round_trip(tmp_path):
    labels = np.array([[0, 1], [2, 255]], np.uint8)
    write_indexed_png(tmp_path / "m.png", labels, PALETTE)
    np.testing.assert_array_equal(read_values(tmp_path / "m.png"), labels)


def test_split_round_trip_with_awkward_names(tmp_path):
    rows = [SplitRow('a, "b".tif', "heat 7", 0), SplitRow("ü.tif", "heat 8", 1)]
    (tmp_path / "s.csv").write_text(split_to_csv(rows), encoding="utf-8")
    assert read_split(tmp_path / "s.csv") == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "first line"),
        ("source,group,fold\n", "names no micrograph"),
        ("source,group,fold\na,a,x\n", ":2"),
        ("source,group,fold\na,a\n", ":2"),
        ("source,group,fold\na,a,0\na,a,1\n", "a has more than one line"),
    ],
)
def test_bad_split_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_split(tmp_path / "s.csv")
