"""A label map is read through its legend, whole, by band or scaled."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from mstool.errors import LabelError, UsageError
from mstool.geometry.window import Window
from mstool.labels.legend import parse_classes
from mstool.micrographs import label_maps
from mstool.micrographs.label_maps import choose_legend, open_label_map


def opened(tmp_path, labels):
    tifffile.imwrite(tmp_path / "a.tif", labels)
    return open_label_map(tmp_path / "a.tif", parse_classes("a=0,b=1"))


def test_bands_are_bounded_and_cover_every_row_once(tmp_path, monkeypatch):
    monkeypatch.setattr(label_maps, "_BAND_PIXELS", 25)
    labels = np.random.default_rng(0).integers(0, 2, (7, 10), dtype=np.uint8)
    label_map = opened(tmp_path, labels)
    windows = list(label_map.bands())
    assert [(one.row, one.height) for one in windows] == [(0, 2), (2, 2), (4, 2), (6, 1)]
    np.testing.assert_array_equal(np.concatenate([*map(label_map.read, windows)]), labels)


def test_an_unnamed_value_is_told_with_its_place_in_the_file_when_scaled(tmp_path):
    labels = np.zeros((6, 6), np.uint8)
    labels[2, 3] = 9
    with pytest.raises(LabelError, match=r"a\.tif: label value 9 .* row 2, column 3"):
        opened(tmp_path, labels).read(Window(4, 6, 2, 2), (12, 12))


def test_a_legend_comes_from_one_place():
    with pytest.raises(UsageError, match="--legend and --classes: give one of them"):
        choose_legend(Path("legend.toml"), "a=0")
    assert choose_legend(None, "a=0,b=1").names == ("a", "b")
    assert choose_legend(None, None) is None
