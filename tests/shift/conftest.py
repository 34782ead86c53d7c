"""Micrographs of noise with structure, cheap to make."""

import numpy as np
import pytest
from scipy import ndimage


@pytest.fixture
def draw():
    """Callable that draws n images (64, 64, 1) of one population."""

    def images(n, seed=0, edge=96):
        rng = np.random.default_rng(seed)
        found = []
        for _ in range(n):
            coarse = ndimage.gaussian_filter(rng.standard_normal((edge, edge)), 4, mode="wrap")
            fine = ndimage.gaussian_filter(rng.standard_normal((edge, edge)), 1, mode="wrap")
            grey = 0.45 + 0.12 * coarse / coarse.std() + 0.05 * fine / fine.std()
            grey += rng.normal(0, 0.01, grey.shape)
            found.append(np.clip(grey, 0, 1)[..., None])
        return found

    return images
