"""Masks of ``--region mask:FILE`` lie where they were drawn, or are refused."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from mstool.errors import InputError
from mstool.micrographs.find import Naming, find_set
from mstool.micrographs.sets import Reading, open_set
from mstool.pipeline.explain.fields import _read_mask
from mstool.reporting import Reporter


@pytest.fixture
def views(tmp_path, monkeypatch):
    """Fields of 64 px of a micrograph of 128 x 192, read at a scale."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("a.tif", np.arange(128 * 192).reshape(128, 192).astype(np.uint16))

    def read(scale):
        files = find_set([Path("a.tif")], None, Naming(), Reporter())
        micrographs = open_set(files, Reading(scale=scale), None, Reporter())
        return list(micrographs.views(micrographs.members[0], 64))

    return read


def write_mask(shape, marked):
    mask = np.zeros(shape, np.uint8)
    mask[marked] = 1
    tifffile.imwrite("mask.tif", mask)
    return Path("mask.tif")


@pytest.mark.parametrize("shape", [(64, 96), (128, 192)])
def test_masks_before_and_after_scaling_mark_the_same(views, shape):
    times = shape[0] // 64
    marked = np.s_[10 * times : 20 * times, 70 * times : 90 * times]
    found = [_read_mask(write_mask(shape, marked), view) for view in views(0.5)]
    assert [view.window.col for view in views(0.5)] == [0, 32]
    expected = np.zeros((64, 96), bool)
    expected[10:20, 70:90] = True
    np.testing.assert_array_equal(found[0], expected[:, :64])
    np.testing.assert_array_equal(found[1], expected[:, 32:])


@pytest.mark.parametrize("shape", [(64, 64), (256, 384)])
def test_masks_of_another_size_are_refused(views, shape):
    with pytest.raises(InputError, match="mask.tif: is .* a.tif is 128 x 192;"):
        _read_mask(write_mask(shape, np.s_[:9, :9]), views(1.0)[0])
