"""A tile folder is read as it was cut, and refused where its files contradict each other."""

import json

import numpy as np
import pytest
import tifffile

from mstool.errors import InputError, MissingInputError
from mstool.io.images import read_values
from mstool.micrographs.tile_folder import open_tile_folder


def rewrite(folder, change):
    """Change the tiles of a manifest, each a dict."""
    path = folder / "tiles.jsonl"
    tiles = [json.loads(line) for line in path.read_text().splitlines()]
    change(tiles)
    path.write_text("".join(json.dumps(tile) + "\n" for tile in tiles))


@pytest.mark.parametrize("name", ["1", "ignored"])
def test_counts_of_other_classes_than_the_legend_has_are_refused(run_mstool, tiles, name):
    rewrite(tiles, lambda rows: rows[3]["counts"].pop(name))
    with pytest.raises(InputError, match=r"tiles\.jsonl: tile \S+ counts .*; tile again"):
        open_tile_folder(tiles)
    assert run_mstool("split", "tiles", "--loo", "-q").code == 65


def test_tiles_with_labels_whose_legend_is_lost_are_made_whole_by_the_same_command(
    run_mstool, tiles
):
    before = (tiles / "legend.toml").read_bytes()
    (tiles / "legend.toml").unlink()
    with pytest.raises(
        MissingInputError, match=r"legend\.toml: no such file.*same mstool tile again"
    ):
        open_tile_folder(tiles)
    options = ("--size", 16, "--overlap", 0, "--scale", 2, "--pixel-size", 0.5, "-q")
    assert run_mstool("tile", "raw", "--labels", "labels", *options).code == 0
    assert (tiles / "legend.toml").read_bytes() == before


def test_counts_that_differ_between_tiles_are_refused_without_a_legend(tiles):
    record = json.loads((tiles / "tiles.json").read_text())
    record["settings"]["legend"] = None
    (tiles / "tiles.json").write_text(json.dumps(record))
    (tiles / "legend.toml").unlink()
    open_tile_folder(tiles)
    rewrite(tiles, lambda rows: rows[3]["counts"].pop("1"))
    with pytest.raises(InputError, match="counts 0, ignored, where 0, 1, ignored are the classes"):
        open_tile_folder(tiles)


def test_labels_are_counted_by_micrograph_where_every_tile_has_some(tiles):
    truth = read_values(tiles.parent / "labels/heat1_a.png")
    whole = open_tile_folder(tiles).count_labels()["heat1_a.tif"]
    assert set(whole) == {"0", "1"}
    rewrite(tiles, lambda rows: rows[0].update(counts=None))
    assert open_tile_folder(tiles).count_labels() is None
    assert whole["1"] / sum(whole.values()) == pytest.approx(truth.mean(), abs=0.05)


def test_a_tile_beyond_its_micrograph_is_refused(tiles):
    rewrite(tiles, lambda rows: rows[0].update(row=39))
    with pytest.raises(InputError, match=r"reaches beyond heat1_a\.tif, 40 x 60 pixels"):
        open_tile_folder(tiles)


def test_micrographs_without_a_tile_are_left_out(tiles):
    rewrite(tiles, lambda rows: rows.__delitem__(slice(0, len(rows) // 2)))
    folder = open_tile_folder(tiles)
    assert set(folder.sources) == {"heat1_a.tif", "heat2_b.tif"}
    assert [source.name for source, _ in folder.by_source()] == ["heat2_b.tif"]


def test_what_was_added_to_fill_a_tile_is_not_read(raw, run_mstool):
    run_mstool("tile", "raw", "--labels", "labels", "--size", 24, "--overlap", 0, "-q")
    folder = open_tile_folder(raw.parent / "tiles")
    image, labels = folder.read(folder.tiles[0])
    assert folder.tiles[0].pad == (4, 0)
    np.testing.assert_array_equal(image, tifffile.imread(raw / "heat1_a.tif")[:, :24])
    np.testing.assert_array_equal(labels, image > 100)
