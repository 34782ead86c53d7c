"""Whether doubt ranks micrographs by their error."""

from pathlib import Path

import numpy as np
import pytest

from mstool.pipeline.score.behind_masks import describe_calibration
from mstool.pipeline.score.inputs import Pair
from mstool.scores.calibration import count_confidence


def rank_correlation(confidences, n_wrong):
    """Of micrographs of ten pixels, given the confidence in each, and how many are wrong."""
    counts = [
        count_confidence(
            np.full((2, 1, 10), confidence) * [[[1]], [[0]]] + [[[0]], [[1 - confidence]]],
            (np.arange(10) < wrong).astype(np.uint8)[None],
        )
        for confidence, wrong in zip(confidences, n_wrong, strict=True)
    ]
    pairs = [Pair("x", "x", Path("x"), Path("x"))] * len(counts)
    return describe_calibration(pairs, counts, ["a", "b"])["rank_correlation"]


def test_doubt_that_grows_with_the_error_has_rank_correlation_1():
    assert rank_correlation([0.9, 0.8, 0.7, 0.6], [0, 1, 4, 5]) == pytest.approx(1)
    assert rank_correlation([0.6, 0.7, 0.8, 0.9], [0, 1, 4, 5]) == pytest.approx(-1)


def test_two_micrographs_or_one_error_rank_nothing():
    assert np.isnan(rank_correlation([0.9, 0.6], [0, 5]))
    assert np.isnan(rank_correlation([0.9, 0.8, 0.6], [2, 2, 2]))
