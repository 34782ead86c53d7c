"""The verb score beyond counts of pixels: boundaries, objects, borders, and other tools."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.io.records import write_record
from mstool.scores.other_tools import CONVENTIONS

AB = ("--classes", "a=0,b=1")

# In the mask the boundary is one pixel farther right.
TRUTH = np.array([[0, 0, 0, 1, 1, 1, 1]] * 4, np.uint8)
MASK = np.array([[0, 0, 0, 0, 1, 1, 1]] * 4, np.uint8)
# Two particles, of which the mask has one, and one more.
PARTICLES = np.array([[1, 0, 0, 0, 1], [1, 0, 0, 0, 1]], np.uint8)
FOUND = np.array([[1, 0, 1, 0, 0], [1, 0, 0, 0, 0]], np.uint8)


@pytest.fixture
def score(run_mstool, tmp_path):
    """Score pairs of mask and truth by name; gives what ended, with the record if there is one."""

    def run(pairs, *flags):
        for folder, side in (("m", 0), ("l", 1)):
            (tmp_path / folder).mkdir(exist_ok=True)
            for name, pair in pairs.items():
                Image.fromarray(np.asarray(pair[side])).save(tmp_path / folder / f"{name}.png")
        ended = run_mstool("score", tmp_path / "m", tmp_path / "l", *AB, *flags)
        return ended, json.loads(ended.stdout) if ended.stdout else None

    return run


def test_boundaries_pooled_and_of_each_micrograph(score):
    _, record = score({"x": (MASK, TRUTH), "y": (TRUTH, TRUTH)}, "--boundaries", "1px")
    found = record["boundaries"]
    assert found["tolerance"] == "1 px"
    # rims of x share nothing, those of y all: 4 pixels of 4 + 4 + 4
    assert found["pooled"]["boundary_iou"] == pytest.approx({"a": 1 / 3, "b": 1 / 3})
    assert found["image_mean"]["boundary_iou"] == pytest.approx({"a": 1 / 2, "b": 1 / 2})
    assert found["pooled"]["boundary_f1"] == {"a": 1, "b": 1}
    assert found["pooled"]["mean_boundary_f1"] == 1
    assert found["pooled"]["n_truth"] == found["pooled"]["n_mask"] == {"a": 8, "b": 8}
    assert found["pooled"]["surface_distance_px"] == {"a": 0.5, "b": 0.5}
    assert found["pooled"]["hausdorff95_px"] == {"a": 1, "b": 1}
    assert found["pooled"]["hausdorff95_um"] == {"a": None, "b": None}
    first, second = (row["boundaries"] for row in record["per_image"])
    assert first["surface_distance_px"] == {"a": 1, "b": 1}
    assert second["surface_distance_px"] == {"a": 0, "b": 0}


def test_distances_are_in_um_where_the_pixel_size_is_known(score):
    flags = ("--boundaries", "0.2um", "--pixel-size", 0.2)
    found = score({"x": (MASK, TRUTH)}, *flags)[1]["boundaries"]["pooled"]
    assert found["hausdorff95_um"] == pytest.approx({"a": 0.2, "b": 0.2})
    assert found["surface_distance_um"] == pytest.approx({"a": 0.2, "b": 0.2})
    assert found["boundary_f1"] == {"a": 1, "b": 1}
    flags = ("--boundaries", "0.19um", "--pixel-size", 0.2)
    found = score({"x": (MASK, TRUTH)}, *flags)[1]["boundaries"]["pooled"]
    assert found["boundary_f1"] == {"a": 0, "b": 0}


def test_pixel_size_comes_from_the_micrograph(score, tmp_path):
    (tmp_path / "i").mkdir()
    dots = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "i" / "x.tif", TRUTH * 50, **dots)
    flags = ("--boundaries", "1um", "--images", tmp_path / "i")
    found = score({"x": (MASK, TRUTH)}, *flags)[1]["boundaries"]["pooled"]
    assert found["hausdorff95_um"] == pytest.approx({"a": 0.5, "b": 0.5})


def dots(size_um):
    """What tifffile writes as that pixel size."""
    return {"resolution": (1e4 / size_um,) * 2, "resolutionunit": "CENTIMETER"}


def test_pixel_size_that_masks_were_made_with_comes_before_that_of_the_micrograph(
    run_mstool, tmp_path
):
    for folder, values, size_um in (("m", MASK, 0.2), ("l", TRUTH, 0.1), ("i", TRUTH * 50, 0.5)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "x.tif", values, **dots(size_um))
    folders = tmp_path / "m", tmp_path / "l"
    flags = (*AB, "--images", tmp_path / "i", "--boundaries", "1um")

    def measure():
        ended = run_mstool("score", *folders, *flags)
        found = json.loads(ended.stdout)["boundaries"]["pooled"]
        return found["hausdorff95_um"]["a"], ended.stderr

    found, said = measure()
    assert found == pytest.approx(0.2)
    assert "a pixel is 0.2 um by the mask, which is taken, and 0.5 um by the micrograph" in said
    source = {"name": "x.tif", "group": "x", "sha256": "0", "path": "x.tif", "file_sha256": "0"}
    source |= {"shape": MASK.shape, "scaled_shape": MASK.shape, "pixel_size_um": 0.3}
    write_record(tmp_path / "m" / "stitch.json", {"sources": [source]})
    found, said = measure()
    assert found == pytest.approx(0.3)
    assert said.count("which is taken") == 1
    assert "0.3 um by the record of the mask, which is taken" in said


def test_text_that_states_the_pixel_size_of_a_micrograph_is_an_input(score, tmp_path):
    (tmp_path / "i").mkdir()
    tifffile.imwrite(tmp_path / "i" / "x.tif", TRUTH * 50)
    text = tmp_path / "i" / "x.txt"
    text.write_text("PixelSizeX=5e-7\nPixelSizeY=5e-7\n")
    flags = ("--boundaries", "1um", "--images", tmp_path / "i", "-o", tmp_path / "s.json")
    score({"x": (MASK, TRUTH)}, *flags)
    record = json.loads((tmp_path / "s.json").read_text())
    assert any(name.endswith("x.txt") for name in record["inputs"])
    text.write_text("PixelSizeX=4e-7\nPixelSizeY=4e-7\n")
    ended, _ = score({"x": (MASK, TRUTH)}, *flags)
    assert ended.code == 73  # other inputs than the record is of


def test_tolerance_in_um_without_a_pixel_size_is_refused(score):
    ended, record = score({"x": (MASK, TRUTH)}, "--boundaries", "0.5um")
    assert (ended.code, record) == (65, None)
    assert "x.png: its pixel size is unknown" in ended.stderr
    assert "give --pixel-size, or the tolerance in px" in ended.stderr


def test_micrograph_without_a_boundary_in_the_mask_is_counted(score):
    nothing = np.zeros_like(TRUTH)
    _, record = score({"x": (nothing, TRUTH), "y": (TRUTH, TRUTH)}, "--boundaries", "2")
    found = record["boundaries"]["pooled"]
    assert found["n_unmatched"] == {"a": 4, "b": 4}
    assert found["hausdorff95_px"] == {"a": 0, "b": 0}
    assert found["boundary_recall"] == {"a": 0.5, "b": 0.5}
    assert record["per_image"][0]["boundaries"]["hausdorff95_px"] == {"a": None, "b": None}


def test_objects_pooled_and_of_each_micrograph(score):
    pairs = {"x": (FOUND, PARTICLES), "y": (PARTICLES, PARTICLES)}
    _, record = score(pairs, "--objects", "b")
    pooled = record["objects"]["b"]["pooled"]
    assert (pooled["n_truth"], pooled["n_mask"], pooled["n_matched"]) == (4, 4, 3)
    assert pooled["precision"] == pooled["recall"] == pooled["f1"] == 0.75
    assert pooled["matched_iou"] == 1
    assert record["objects"]["b"]["image_mean"]["f1"] == (0.5 + 1) / 2
    assert record["per_image"][0]["objects"]["b"]["f1"] == 0.5
    assert record["boundaries"] is None
    assert "boundaries" not in record["per_image"][0]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--objects", "c"), "--objects c: no such class; use a, b"),
        (("--pixel-size", "0.1"), "--pixel-size: needs --boundaries"),
        (("--boundaries", "2mm"), "--boundaries 2mm: give a length above 0"),
        (("--as", "excel"), "--as excel: use nnunet, smp, matseg, micronet, torchmetrics"),
        (("--ignore-border", "-1"), "--ignore-border"),
    ],
)
def test_what_cannot_be_asked_is_wrong_usage(score, flags, words):
    ended, record = score({"x": (MASK, TRUTH)}, *flags)
    assert (ended.code, record) == (2, None)
    assert words in ended.stderr


def test_border_is_left_out_of_everything(score):
    truth = np.pad(TRUTH, 2)
    mask = np.pad(MASK, 2, constant_values=1)
    flags = ("--boundaries", "2px", "--objects", "b", "--as", "matseg")
    _, whole = score({"x": (MASK, TRUTH)}, *flags)
    _, cut = score({"x": (mask, truth)}, *flags, "--ignore-border", 2)
    for key in ("pooled", "baselines", "phase_fraction", "boundaries", "objects", "as"):
        assert cut[key] == whole[key], key
    assert cut["per_image"] == whole["per_image"]


def test_mask_needs_no_class_in_the_border(score):
    mask = MASK.copy()
    mask[0] = 255
    assert score({"x": (mask, TRUTH)})[0].code == 65
    assert score({"x": (mask, TRUTH)}, "--ignore-border", 1)[0].code == 0


def test_border_that_leaves_nothing_is_refused(score):
    ended, record = score({"x": (MASK, TRUTH)}, "--ignore-border", 2)
    assert (ended.code, record) == (65, None)
    assert "l/x.png: is 4 x 7 pixels, of which --ignore-border 2 leaves none" in ended.stderr


def test_other_tools_stand_beside_our_numbers(score):
    _, record = score({"x": (MASK, TRUTH)}, "--as", "micronet", "--as", "smp")
    assert {*record["as"]} == {"micronet", "smp"}
    # two classes: b alone is a channel, 12 of 16 pixels
    assert record["as"]["micronet"]["iou_score"] == pytest.approx(12 / 16, abs=1e-7)
    share = record["pooled"]["accuracy"]
    assert record["as"]["smp"]["iou_score"]["micro"] == pytest.approx(share / (2 - share))
    assert record["as"]["smp"]["iou_score"]["macro"] == pytest.approx(record["pooled"]["mean_iou"])
    assert "Ours:" in record["as"]["smp"]["convention"]


def test_every_tool_can_be_asked(score):
    flags = [word for tool in CONVENTIONS for word in ("--as", tool)]
    _, record = score({"x": (MASK, TRUTH)}, *flags)
    assert {name: entry["convention"] for name, entry in record["as"].items()} == CONVENTIONS


def test_table_shows_boundaries_and_objects(score):
    flags = ("--boundaries", "2px", "--objects", "b", "--pixel-size", 3, "--table", "-q")
    ended, _ = score({"x": (MASK, TRUTH)}, *flags)
    lines = ended.stderr.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines]
    assert ["b", "0.333", "1.000", "1.000", "1.000", "3.000", "3.000"] in rows
    assert ["b", "1", "1", "1", "1.000", "1.000", "1.000", "0.750"] in rows
    assert any("95 % HD, um" in line for line in lines)


def test_record_of_other_questions_is_not_replaced_unasked(score, tmp_path):
    out = ("-o", tmp_path / "s.json")
    assert score({"x": (MASK, TRUTH)}, "--boundaries", "2px", "--objects", "b", *out)[0].code == 0
    assert score({"x": (MASK, TRUTH)}, "--boundaries", "2px", "--objects", "b", *out)[0].code == 0
    assert score({"x": (MASK, TRUTH)}, "--boundaries", "3px", "--objects", "b", *out)[0].code == 73
