"""What one tile takes tells how many fit."""

import numpy as np
import pytest

from mstool.pipeline import memory_bound
from mstool.pipeline.memory_bound import MemoryNeeds, measure_needs

MIB = 2**20


def test_needs_are_those_of_a_whole_tile(monkeypatch):
    peaks, shown = iter([100.0, 140.0]), []
    monkeypatch.setattr(memory_bound, "peak_rss_mb", lambda: next(peaks))
    found = measure_needs(lambda tile: shown.append(tile.shape), np.zeros((128, 128)), 7.0)
    assert shown == [(64, 64), (128, 128)]
    assert (found.with_one, found.blending) == (140 * MIB, 7.0)
    assert found.each_more == pytest.approx(40 * MIB / 0.75)  # of a quarter it knew already


def test_where_a_further_tile_is_known_one_is_shown(monkeypatch):
    monkeypatch.setattr(memory_bound, "peak_rss_mb", lambda: 100.0)
    shown = []
    found = measure_needs(lambda tile: shown.append(tile.shape), np.zeros((128, 128)), 7.0, 5.0)
    assert (found, shown) == (MemoryNeeds(100.0 * MIB, 5.0, 7.0), [(128, 128)])
