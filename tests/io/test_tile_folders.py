import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from mstool.errors import InputError, MissingInputError
from mstool.io.images import open_label_values, read_values
from mstool.io.masks import write_indexed_png, write_indexed_tiff
from mstool.io.records import require_keys, write_record
from mstool.io.split_csv import SplitRow, read_split, split_to_csv
from mstool.io.tiles import (
    SourceImage,
    Tile,
    check_windows,
    read_manifest,
    read_probabilities,
    read_sources,
    write_manifest,
    write_probabilities,
)

TILE = Tile("a_r00000_c00000", "a.tif", "a", 0, 0, 4, 4, (0, 0), {"matrix": 16, "ignored": 0})
SOURCE = SourceImage("a.tif", "a", "00ff", "../raw/a.tif", "00ff", (8, 9), (4, 5), 0.5)
PALETTE = np.arange(768, dtype=np.uint32).astype(np.uint8).reshape(256, 3)


def test_manifest_round_trip(tmp_path):
    write_manifest(tmp_path, [TILE])
    assert read_manifest(tmp_path) == [TILE]


def test_names_may_hold_what_ends_a_line_elsewhere(tmp_path):
    tiles = [replace(TILE, source=f"a{letter}b.tif") for letter in "\x85\u2028\u2029\x0b"]
    tiles = [replace(tile, id=f"t{number}") for number, tile in enumerate(tiles)]
    write_manifest(tmp_path, tiles)
    assert read_manifest(tmp_path) == tiles


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "", "a\\b", 7])
@pytest.mark.parametrize("key", ["id", "source"])
def test_manifest_may_not_name_files_outside_its_folder(tmp_path, key, name):
    write_manifest(tmp_path, [TILE])
    line = json.loads((tmp_path / "tiles.jsonl").read_text()) | {key: name}
    (tmp_path / "tiles.jsonl").write_text(json.dumps(line) + "\n")
    words = "stays in its folder" if isinstance(name, str) else f"{key}: is integer, not string"
    with pytest.raises(InputError, match=rf"tiles\.jsonl:1.*{words}"):
        read_manifest(tmp_path)


TILE_LINE = json.dumps(asdict(TILE))
BAD_LINES = [
    "{",
    "[]",
    '{"id": "a"}',
    "null",
    TILE_LINE.replace('"height": 4', '"height": 0'),
    TILE_LINE.replace("[0, 0]", "[0]"),
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_damaged_line_is_named(tmp_path, line):
    (tmp_path / "tiles.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"tiles\.jsonl:1"):
        read_manifest(tmp_path)


def test_windows_lie_inside_their_micrographs(tmp_path):
    path, sources = tmp_path / "tiles.jsonl", {"a.tif": SOURCE}
    check_windows([TILE, replace(TILE, col=1)], sources, path)
    for moved in ({"row": 1}, {"col": 2}):
        with pytest.raises(
            InputError, match=r"tiles\.jsonl: tile a_r.*beyond a\.tif, 4 x 5.*; make"
        ):
            check_windows([TILE, replace(TILE, **moved)], sources, path)
    with pytest.raises(InputError, match=r"of b\.tif, which the record does not list; make"):
        check_windows([replace(TILE, source="b.tif")], sources, path)


def test_sources_round_trip(tmp_path):
    write_record(tmp_path / "tiles.json", {"sources": [asdict(SOURCE)]})
    assert read_sources(tmp_path / "tiles.json") == {"a.tif": SOURCE}


GOOD_ROW = asdict(SOURCE)
BAD_TABLES = {
    "no table": ({}, "lacks 'sources'"),
    "null": ({"sources": None}, "damaged"),
    "text": ({"sources": ["a"]}, "damaged"),
    "no shape": ({"sources": [{"name": "a.tif"}]}, "shape"),
    "three sides": ({"sources": [GOOD_ROW | {"scaled_shape": [4, 4, 3]}]}, "scaled_shape"),
    "word for a number": ({"sources": [GOOD_ROW | {"shape": ["4", 4]}]}, "shape"),
    "number for a word": ({"sources": [GOOD_ROW | {"group": 7}]}, "group"),
    "no size": ({"sources": [GOOD_ROW | {"pixel_size_um": "x"}]}, "pixel_size_um"),
}


@pytest.mark.parametrize(("record", "word"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_damaged_table_of_sources_is_named(tmp_path, record, word):
    write_record(tmp_path / "tiles.json", record)
    with pytest.raises(InputError, match=rf"tiles\.json.*{word}.*; make the folder again"):
        read_sources(tmp_path / "tiles.json")


@pytest.mark.parametrize("record", [{"size": 4}, None, [1]], ids=["other keys", "null", "list"])
def test_record_that_lacks_a_key_is_named(tmp_path, record):
    assert require_keys({"halo": 2, "size": 4}, tmp_path, "size", "halo") == (4, 2)
    with pytest.raises(InputError, match=r"tiles\.json: lacks 'halo'; make the folder again"):
        require_keys(record, tmp_path / "tiles.json", "halo")


@pytest.mark.parametrize("dtype", [np.uint8, np.float16])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 5])
def test_probabilities_round_trip(tmp_path, dtype, n_classes):
    values = np.random.default_rng(0).dirichlet(np.ones(n_classes), (8, 9)).transpose(2, 0, 1)
    stored = np.rint(values * 255).astype(dtype) if dtype == np.uint8 else values.astype(dtype)
    write_probabilities(tmp_path / "p.tif", stored)
    tolerance = 0.5 / 255 if dtype == np.uint8 else 1e-3  # half a level; float16 has 11 bits
    np.testing.assert_allclose(
        read_probabilities(tmp_path / "p.tif", n_classes), values, atol=tolerance + 1e-6
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([25, 75], np.float16), "values from 25 to 75"),
        (np.array([-0.5, 1.5], np.float16), "values from -0.5 to 1.5"),
        (np.array([0.25, 0.5], np.float16), "add up to 0.75, and not to 1"),
        (np.array([255, 255], np.uint8), "add up to 2, and not to 1"),
        (np.array([126, 127], np.uint8), "add up to 0.9922, and not to 1"),
    ],
)
def test_what_are_no_probabilities_is_told(tmp_path, values, words):
    write_probabilities(tmp_path / "p.tif", values[:, None, None].repeat(8, 1).repeat(8, 2))
    with pytest.raises(InputError, match=rf"p\.tif: .*{words}.*run predict again"):
        read_probabilities(tmp_path / "p.tif", 2)


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
        ("a,b\n", "the first line is 'a,b'; it must be source,group,fold"),
        ("source;group;fold\na.tif;a;0\n", "save it with commas between the columns"),
        ("source\tgroup\tfold\n", "save it with commas between the columns"),
        ("source,group,fold\n", "names no micrograph"),
        ("source,group,fold\na,a,x\n", ":2"),
        ("source,group,fold\na,a\n", ":2"),
        ("source,group,fold\na, ,0\n", ":2"),
        ("source,group,fold\na,a,\u0663\n", ":2"),
        ("source,group,fold\na,a,1234567\n", ":2"),
        ("source,group,fold\n" + "a" * 200_000 + ",a,0\n", "is not CSV .*; save it as CSV UTF-8"),
        ("source,group,fold\na,a,0\na,a,1\n", "a has more than one line"),
    ],
)
def test_bad_split_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "s.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_split(tmp_path / "s.csv")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_split_in_another_encoding_is_refused(tmp_path, encoding):
    (tmp_path / "s.csv").write_text("source,group,fold\nü.tif,a,0\n", encoding=encoding)
    with pytest.raises(InputError, match=r"s\.csv: is not UTF-8 text; save it as CSV UTF-8"):
        read_split(tmp_path / "s.csv")


def test_split_saved_by_a_spreadsheet_is_read(tmp_path):
    text = "source,group,fold\r\nü.tif,a,0\r\n"
    (tmp_path / "s.csv").write_bytes(text.encode("utf-8-sig"))
    assert read_split(tmp_path / "s.csv") == [SplitRow("ü.tif", "a", 0)]


def test_blanks_around_a_group_that_was_typed_tear_it_not_apart(tmp_path):
    text = "source,group,fold\na.tif,heat 1,0\nb.tif, heat 1 ,1\n c.tif, c.tif,2\nd.tif, c.tif,2\n"
    (tmp_path / "s.csv").write_text(text)
    groups = [row.group for row in read_split(tmp_path / "s.csv")]
    assert groups == ["heat 1", "heat 1", " c.tif", " c.tif"]


def test_probabilities_that_the_system_refuses_are_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "p.tif"
    write_probabilities(path, np.full((2, 8, 8), 128, np.uint8))

    def refuse(file, *rest, **options):
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PermissionError):
        read_probabilities(path, 2)
