"""Patches are causes that micrographs could hold, and what they shift is what is said."""

from types import SimpleNamespace

import numpy as np
import pytest

from mstool.pipeline.explain.explanation import _grey_limits


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_patches_have_greys_that_the_network_knows(dtype):
    def model(greys):
        return SimpleNamespace(checkpoint=SimpleNamespace(dtype=dtype, greys=greys))

    images = [np.full((4, 4, 1), 100.0), np.full((4, 4, 1), 150.0)]
    assert _grey_limits(model((90.0, 120.0, 170.0)), images) == (90.0, 170.0)
    assert _grey_limits(model(()), images) == (100.0, 150.0)
