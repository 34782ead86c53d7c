"""Sets of small micrographs, and the same cut into tiles."""

import numpy as np
import pytest
import tifffile
from PIL import Image


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A working folder with two micrographs of 20 x 30 pixels in raw/, label maps in labels/."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in ("raw", "labels"):
        (tmp_path / folder).mkdir()
    for name in ("heat1_a", "heat2_b"):
        image = rng.integers(0, 256, (20, 30), dtype=np.uint8)
        tifffile.imwrite(tmp_path / "raw" / f"{name}.tif", image)
        truth = (image > 100).astype(np.uint8)
        Image.fromarray(truth).save(tmp_path / "labels" / f"{name}.png")
    return tmp_path / "raw"


@pytest.fixture
def tiles(raw, run_mstool):
    """The same in tiles of 16 x 16 pixels, at twice the size."""
    options = ("--size", 16, "--overlap", 0, "--scale", 2, "--pixel-size", 0.5, "-q")
    assert run_mstool("tile", "raw", "--labels", "labels", *options).code == 0
    return raw.parent / "tiles"
