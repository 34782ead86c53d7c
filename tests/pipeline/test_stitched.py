"""Folders of probabilities that say they are of micrographs of any size."""

import json
import time

import numpy as np
import pytest
import tifffile

from mstool.errors import InputError
from mstool.io.tiles import SourceImage
from mstool.labels.legend import legend_from_values
from mstool.micrographs.tile_folder import open_tile_folder
from mstool.pipeline.mask_files import MaskSettings, write_mask
from mstool.pipeline.stitched import open_probabilities


@pytest.fixture(scope="module")
def probs(trained_study, tmp_path_factory, mstool_in):
    folder = tmp_path_factory.mktemp("probs")
    mstool_in(trained_study, f"predict tiles --model model --device cpu -q -o {folder}/probs")
    return folder / "probs"


def rewrite(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


CHANGES = {
    "large": {"shape": [10**6, 10**6], "scaled_shape": [10**6, 10**6]},
    "larger": {"shape": [2**31 - 1, 2**31 - 1], "scaled_shape": [2**31 - 1, 2**31 - 1]},
    "too large": {"shape": [2**40, 2**40], "scaled_shape": [2**40, 2**40]},
    "enlarged": {"shape": [10**6, 10**6]},
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("settings", [{}, {"size": 1, "overlap": 0}])
def test_size_that_no_tiles_cover_is_refused_at_once(probs, name, settings):
    kept = (probs / "predict.json").read_text()

    def change(record):
        record["sources"][0] |= CHANGES[name]
        record["tiles"]["settings"] |= settings

    began = time.process_time()
    try:
        rewrite(probs / "predict.json", change)
        with pytest.raises(InputError, match=r"(predict\.json|tiles\.jsonl): .*; "):
            open_probabilities(probs)
    finally:
        (probs / "predict.json").write_text(kept)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("key", ["size", "overlap", "scale"])
@pytest.mark.parametrize("value", [None, "48", -1, 0, 1e308, [48], True])
def test_settings_that_make_no_tiles_name_the_record(study, key, value):
    if (key, value) == ("overlap", 0):
        return
    rewrite(study / "tiles/tiles.json", lambda record: record["settings"].update({key: value}))
    with pytest.raises(InputError, match=r"tiles\.json: .*make no tiles"):
        open_tile_folder(study / "tiles")


@pytest.mark.parametrize("scale", [0.37, 1.0, 2.5])
def test_scaled_tiles_are_opened(mstool_in, trained_study, tmp_path, scale):
    mstool_in(trained_study, f"tile raw --size 24 --overlap 8 --scale {scale} -q -o {tmp_path}/t")
    assert open_tile_folder(tmp_path / "t").scale == scale


def test_of_equal_classes_the_first_is_taken(tmp_path):
    levels = np.random.default_rng(0).integers(0, 3, (4, 90, 7)).astype(np.float32)
    source = SourceImage("a.tif", "a.tif", "", "a.tif", "", (90, 7), (90, 7))
    legend = legend_from_values(range(4))
    bands = [levels[:, :64], levels[:, 64:]]
    write_mask(tmp_path, bands, source, legend, MaskSettings("hann", 0.0, False, False))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), levels.argmax(axis=0))
