"""Pictures of scored micrographs in a report."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.pipeline.report.micrograph_views import view_micrograph

TRUTH = np.zeros((40, 40), np.uint8)
TRUTH[10:30, 10:30] = 1
WHITE, BLUE = (255, 255, 255), (0, 0, 255)


@pytest.fixture
def view(run_mstool, tmp_path):
    """Score a mask of a micrograph, and view it."""
    for name in "mli":
        (tmp_path / name).mkdir()

    def make(classes, *flags):
        folders, out = (tmp_path / name for name in "ml"), tmp_path / "s.json"
        images = ("--images", tmp_path / "i", "-o", out, "--overwrite")
        ended = run_mstool("score", *folders, "--classes", classes, *images, *flags)
        assert ended.code == 0, ended.stderr
        record = json.loads(out.read_text())
        found, _, reason = view_micrograph(out, record, record["per_image"][0]["image"])
        assert found is not None, reason
        return found

    return make


def save_in_palette(path, values, colours):
    image = Image.fromarray(values)
    image.putpalette([part for colour in colours for part in colour])
    image.save(path)


def save_tiff(path, values, size_um=None):
    dots = {} if size_um is None else {"resolution": (1e4 / size_um,) * 2}
    tifffile.imwrite(path, values, resolutionunit="CENTIMETER", **dots)


def test_indexed_colour_under_a_legend_of_colours_is_drawn_as_it_is_scored(view, tmp_path):
    save_tiff(tmp_path / "i" / "x.tif", TRUTH * 90 + 60)
    Image.fromarray(np.array([WHITE, BLUE], np.uint8)[TRUTH]).save(tmp_path / "m" / "x.png")
    Image.fromarray(np.array([WHITE, BLUE], np.uint8)[TRUTH]).save(tmp_path / "l" / "x.png")
    in_colour = view("a=*,b=#0000ff").panels
    for values, colours in ((TRUTH, [WHITE, BLUE]), (1 - TRUTH, [BLUE, WHITE])):
        save_in_palette(tmp_path / "l" / "x.png", values, colours)
        assert view("a=*,b=#0000ff").panels == in_colour


def test_scale_bar_is_of_the_pixel_size_that_the_mask_was_made_with(view, tmp_path):
    Image.fromarray(TRUTH).save(tmp_path / "l" / "x.png")
    save_tiff(tmp_path / "i" / "x.tif", TRUTH * 90 + 60, 1)
    save_tiff(tmp_path / "m" / "x.tif", TRUTH)
    assert view("a=0,b=1").bar_text == "5 µm"
    save_tiff(tmp_path / "m" / "x.tif", TRUTH, 0.1)
    assert view("a=0,b=1").bar_text == "500 nm"
    assert view("a=0,b=1", "--boundaries", "1px", "--pixel-size", 0.01).bar_text == "50 nm"
