"""The verb score: answers worked out by hand on a few pixels, and what it refuses."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mstool.chance.intervals import simulated_coverage
from mstool.commands.score_table import tabulate
from mstool.io.masks import write_indexed_tiff
from mstool.io.records import sha256_of_file, write_record
from mstool.labels.legend import index_legend, legend_to_toml, palette, parse_classes
from mstool.micrographs import label_maps as label_maps_module
from mstool.scores.contract import DEFINITIONS

AB = ("--classes", "a=0,b=1")

# Confusion [[1, 1], [1, 2]]: the last pixel is ignored.
TRUTH = [[0, 0, 1], [1, 1, 255]]
MASK = [[0, 1, 1], [1, 0, 0]]


def leak_of(checked, **found):
    """What the record tells of leaks."""
    kinds = ("trained_on", "named_alike", "same_group", "transductive", "allowed")
    return {"checked": checked, "searched": None} | {kind: [] for kind in kinds} | found


@pytest.fixture
def label_maps(tmp_path):
    """Folder of label maps made from lists of values or colours."""

    def make(folder, **maps):
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        for name, values in maps.items():
            Image.fromarray(np.array(values, np.uint8)).save(path / f"{name}.png")
        return path

    return make


@pytest.fixture
def stitched(tmp_path):
    """Folder as stitch writes it, and the micrographs in raw/."""

    def make(masks, trained_on=(), classes="a=#ff0000,b=#0000ff", groups=None):
        legend = parse_classes(classes)
        folder, raw = tmp_path / "masks", tmp_path / "raw"
        folder.mkdir()
        raw.mkdir()
        sources = []
        for name, values in masks.items():
            mask = np.array(values, np.uint8)
            write_indexed_tiff(folder / f"{name}.tif", [mask], mask.shape, palette(legend))
            Image.fromarray(mask * 100 + 3).save(raw / f"{name}.png")
            sources.append(
                {
                    "name": f"{name}.png",
                    "group": (groups or {}).get(name, f"{name}.png"),
                    "sha256": content_hash(name),
                    "path": f"../raw/{name}.png",
                    "file_sha256": sha256_of_file(raw / f"{name}.png"),
                    "shape": list(mask.shape),
                    "scaled_shape": list(mask.shape),
                }
            )
        (folder / "legend.toml").write_text(legend_to_toml(index_legend(legend)))
        record = {
            "classes": list(legend.names),
            "label_legend": legend_to_toml(legend),
            "sources": sources,
            "trained_on": list(trained_on),
        }
        write_record(folder / "stitch.json", record)
        return folder

    return make


def content_hash(name):
    return hashlib.sha256(name.encode()).hexdigest()


def in_colours(values):
    return np.array([[255, 0, 0], [0, 0, 255]], np.uint8)[np.array(values)]


def test_scores_of_five_pixels(run_mstool, label_maps):
    ended = run_mstool("score", label_maps("m", x=MASK), label_maps("l", x=TRUTH), *AB)
    record = json.loads(ended.stdout)
    pooled = record["pooled"]
    assert ended.code == 0
    assert record["status"] == "done"
    assert record["classes"] == ["a", "b"]
    assert pooled["confusion"] == [[1, 1], [1, 2]]
    assert pooled["iou"] == pytest.approx({"a": 1 / 3, "b": 1 / 2})
    assert pooled["mean_iou"] == pytest.approx(5 / 12)
    assert pooled["dice"] == pytest.approx({"a": 1 / 2, "b": 2 / 3})
    assert pooled["precision"] == pytest.approx({"a": 1 / 2, "b": 2 / 3})
    assert pooled["recall"] == pytest.approx({"a": 1 / 2, "b": 2 / 3})
    assert pooled["accuracy"] == pytest.approx(3 / 5)


def test_record_has_the_keys_of_the_design(run_mstool, label_maps):
    masks = label_maps("m", x=MASK, y=TRUTH[:1])
    labels = label_maps("l", x=TRUTH, y=TRUTH[:1])
    record = json.loads(run_mstool("score", masks, labels, *AB).stdout)
    metrics = {"mean_iou", "iou", "dice", "precision", "recall", "accuracy", "kappa", "mcc"}
    assert {"mstool", "status", "inputs", "settings", "n_images", "classes"} <= {*record}
    assert {*record["pooled"]} == metrics | {"confusion"}
    keys = {"confusion", "files", "group", "image", "phase_fraction"}
    assert {*record["per_image"][0]} == metrics | keys
    assert {*record["image_mean"]} == metrics
    assert record["interval"] is None and record["versus"] == []
    assert {*record["baselines"]} == {"majority", "otsu"}
    assert record["boundaries"] is record["objects"] is record["as"] is None
    assert record["definitions"] == DEFINITIONS
    assert record["leak"] == leak_of(False)
    assert [row["image"] for row in record["per_image"]] == ["x.png", "y.png"]


def test_record_leads_to_what_was_compared(run_mstool, label_maps, tmp_path):
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH)
    run_mstool("score", masks, labels, *AB, "-o", tmp_path / "scores" / "x.json")
    record = json.loads((tmp_path / "scores" / "x.json").read_text())
    files = {"mask": "../m/x.png", "labels": "../l/x.png", "micrograph": None}
    assert record["per_image"][0]["files"] == files
    assert {files["mask"], files["labels"]} == {*record["inputs"]}


def test_large_image_weighs_more_in_the_pool_than_in_the_mean(run_mstool, label_maps):
    masks = label_maps("m", big=[[0, 0, 0, 0, 1, 1, 1, 1]], small=[[0, 0]])
    labels = label_maps("l", big=[[0, 0, 0, 0, 1, 1, 1, 1]], small=[[0, 1]])
    record = json.loads(run_mstool("score", masks, labels, *AB).stdout)
    # small: a 1/2, b 0; pooled: a 5/6, b 4/5
    assert record["image_mean"]["mean_iou"] == pytest.approx((1 + 1 / 4) / 2)
    assert record["pooled"]["mean_iou"] == pytest.approx((5 / 6 + 4 / 5) / 2)


def test_absent_class_is_null_and_not_in_the_mean(run_mstool, label_maps):
    masks, labels = label_maps("m", x=[[0, 1]]), label_maps("l", x=[[0, 1]])
    record = json.loads(run_mstool("score", masks, labels, "--classes", "a=0,b=1,c=2").stdout)
    assert record["pooled"]["iou"] == {"a": 1, "b": 1, "c": None}
    assert record["pooled"]["mean_iou"] == 1


def test_everything_ignored_is_null_and_passes_no_check(run_mstool, label_maps):
    masks, labels = label_maps("m", x=[[0, 1]]), label_maps("l", x=[[255, 255]])
    ended = run_mstool("score", masks, labels, *AB, "--min-iou", 0)
    record = json.loads(ended.stdout)
    assert record["pooled"]["mean_iou"] is None
    assert record["phase_fraction"]["a"] == {"truth": None, "predicted": None, "error": None}
    assert ended.code == 1


def test_phase_fraction_is_signed_and_leaves_ignored_pixels_out(run_mstool, label_maps):
    masks, labels = label_maps("m", x=[[0, 1, 1, 1, 0]]), label_maps("l", x=[[0, 0, 1, 1, 255]])
    record = json.loads(run_mstool("score", masks, labels, *AB).stdout)
    assert record["phase_fraction"] == {
        "a": {"truth": 0.5, "predicted": 0.25, "error": -0.25},
        "b": {"truth": 0.5, "predicted": 0.75, "error": 0.25},
    }
    assert record["per_image"][0]["phase_fraction"] == record["phase_fraction"]


def test_truth_of_one_class_alone_is_said(run_mstool, label_maps):
    masks = label_maps("m", x=[[0, 0, 1]])
    words = "hold one class alone"
    assert words in run_mstool("score", masks, label_maps("l", x=[[0, 0, 0]]), *AB).stderr
    assert words not in run_mstool("score", masks, label_maps("k", x=[[0, 0, 1]]), *AB).stderr


def test_majority_baseline(run_mstool, label_maps):
    ended = run_mstool("score", label_maps("m", x=MASK), label_maps("l", x=TRUTH), *AB)
    majority = json.loads(ended.stdout)["baselines"]["majority"]
    assert majority["class"] == "b"
    assert majority["mean_iou"] == pytest.approx((0 + 3 / 5) / 2)


def test_majority_is_the_commonest_class_of_the_truth_and_not_of_the_masks(run_mstool, label_maps):
    masks, labels = label_maps("m", x=[[0, 0, 0, 1]]), label_maps("l", x=[[1, 1, 1, 0]])
    record = json.loads(run_mstool("score", masks, labels, *AB).stdout)
    assert record["baselines"]["majority"]["class"] == "b"


def test_interval_says_how_it_was_made_and_how_often_such_held(run_mstool, label_maps):
    rng = np.random.default_rng(0)
    maps = [{f"i{n}": rng.integers(0, 2, (4, 5)) for n in range(6)} for _ in range(2)]
    masks, labels = label_maps("m", **maps[0]), label_maps("l", **maps[1])
    interval = json.loads(run_mstool("score", masks, labels, *AB).stdout)["interval"]
    assert (interval["method"], interval["n_units"]) == ("jackknife t, logit scale", 6)
    assert {*interval["coverage"]} == {"mean_iou", "image_mean_iou", "accuracy", "iou"}
    low, high = interval["coverage"]["mean_iou"]
    assert 0.9 < low <= high < 1
    again = json.loads(run_mstool("score", masks, labels, *AB, "--seed", 2).stdout)["interval"]
    assert again == interval  # nothing is drawn


def test_coverage_of_a_class_is_that_of_the_units_that_have_it(run_mstool, label_maps):
    rng = np.random.default_rng(0)
    maps = [{f"i{n}": rng.integers(0, 2, (4, 5)) for n in range(20)} for _ in range(2)]
    for one in maps:
        one["i0"][0, 0] = 2
        one["i1"][0], one["i2"][0], one["i3"][0], one["i4"][0] = 3, 3, 3, 3
    masks, labels = label_maps("m", **maps[0]), label_maps("l", **maps[1])
    classes = ("--classes", "a=0,b=1,rare=2,rarish=3")
    ended = run_mstool("score", masks, labels, *classes, "--table")
    coverage = json.loads(ended.stdout)["interval"]["coverage"]["iou"]
    assert coverage["a"] == coverage["b"] == [*simulated_coverage("iou", 20)]
    assert coverage["rarish"] == [*simulated_coverage("iou", 4)] != coverage["a"]
    assert coverage["rare"] == [None, None]
    low = min(coverage["a"][0], coverage["rarish"][0])
    assert f"those of classes held in {100 * low:.0f} to" in ended.stderr


def test_one_image_has_no_interval(run_mstool, label_maps):
    ended = run_mstool("score", label_maps("m", x=MASK), label_maps("l", x=TRUTH), *AB)
    assert json.loads(ended.stdout)["interval"] is None
    assert "no interval" in ended.stderr


def test_three_images_have_no_interval_and_four_have_one(run_mstool, label_maps):
    rng = np.random.default_rng(1)
    maps = {f"i{n}": rng.integers(0, 2, (6, 6)) for n in range(4)}
    labels = label_maps("l", **{name: rng.integers(0, 2, (6, 6)) for name in maps})
    few = {name: maps[name] for name in ("i0", "i1", "i2")}
    ended = run_mstool("score", label_maps("few", **few), labels, *AB)
    assert json.loads(ended.stdout)["interval"] is None
    assert "no interval: 3 images cannot tell how images vary; score 4 or more" in ended.stderr
    interval = json.loads(run_mstool("score", label_maps("m", **maps), labels, *AB).stdout)
    interval = interval["interval"]
    assert (interval["unit"], interval["n_units"], interval["level"]) == ("image", 4, 0.95)
    low, high = interval["mean_iou"]
    assert 0 <= low < high <= 1


def test_images_that_do_not_differ_have_no_interval(run_mstool, label_maps):
    names = ("x", "y", "z", "w")
    masks = label_maps("m", **dict.fromkeys(names, MASK))
    labels = label_maps("l", **dict.fromkeys(names, TRUTH))
    assert json.loads(run_mstool("score", masks, labels, *AB).stdout)["interval"]["iou"] == {
        "a": None,
        "b": None,
    }


def test_interval_is_over_specimens_when_asked(run_mstool, label_maps):
    names = ("s1_a", "s1_b", "s2_a", "s2_b", "s3_a", "s4_a")
    masks = label_maps("m", **dict.fromkeys(names, MASK))
    labels = label_maps("l", **dict.fromkeys(names, TRUTH))
    ended = run_mstool("score", masks, labels, *AB, "--group-by", r"s\d")
    interval = json.loads(ended.stdout)["interval"]
    assert (interval["unit"], interval["n_units"]) == ("group", 4)


def test_bands_of_rows_add_up(run_mstool, label_maps, monkeypatch):
    rng = np.random.default_rng(0)
    masks = label_maps("m", x=rng.integers(0, 2, (7, 5)))
    labels = label_maps("l", x=rng.integers(0, 2, (7, 5)))
    whole = json.loads(run_mstool("score", masks, labels, *AB).stdout)
    monkeypatch.setattr(label_maps_module, "_BAND_PIXELS", 10)
    assert json.loads(run_mstool("score", masks, labels, *AB).stdout)["pooled"] == whole["pooled"]


def test_mask_without_a_label_map_is_named(run_mstool, label_maps):
    masks, labels = label_maps("m", x=MASK, y=MASK), label_maps("l", x=TRUTH)
    ended = run_mstool("score", masks, labels, *AB)
    assert ended.code == 65
    assert "y.png: no label map" in ended.stderr
    assert ended.stdout == ""


def test_label_map_without_a_mask_is_counted(run_mstool, label_maps):
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH, y=TRUTH, z=TRUTH)
    ended = run_mstool("score", masks, labels, *AB)
    assert ended.code == 0
    assert "2 label maps have no mask" in ended.stderr
    assert json.loads(ended.stdout)["n_images"] == 1


def test_label_map_without_a_mask_is_an_error_when_strict(run_mstool, label_maps):
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH, y=TRUTH, z=TRUTH)
    ended = run_mstool("score", masks, labels, *AB, "--strict")
    assert ended.code == 65
    assert "y.png (and 1 more): has no mask" in ended.stderr


def test_strict_asks_no_mask_for_files_that_are_no_label_maps(run_mstool, label_maps):
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH, x_mask=TRUTH, y=TRUTH)
    flags = ("--label-suffix", "_mask", "--strict")
    assert run_mstool("score", masks, labels, *flags, *AB).code == 0


def test_label_suffix_and_npy(run_mstool, label_maps, tmp_path):
    np.save(tmp_path / "x_mask.npy", np.array(TRUTH))
    masks = label_maps("m", x=MASK)
    ended = run_mstool(
        "score", masks / "x.png", tmp_path / "x_mask.npy", "--label-suffix", "_mask", *AB
    )
    assert json.loads(ended.stdout)["pooled"]["confusion"] == [[1, 1], [1, 2]]


def test_other_size_names_both_files_and_sizes(run_mstool, label_maps):
    masks, labels = label_maps("m", x=[[0, 1, 1]]), label_maps("l", x=TRUTH)
    ended = run_mstool("score", masks, labels, *AB)
    assert ended.code == 65
    assert all(
        part in ended.stderr
        for part in (str(masks / "x.png"), str(labels / "x.png"), "1 x 3", "2 x 3")
    )


def test_pixels_without_a_class_are_counted_over_bands(run_mstool, label_maps, monkeypatch):
    monkeypatch.setattr(label_maps_module, "_BAND_PIXELS", 2)
    masks = label_maps("m", x=[[0, 255], [1, 255], [255, 0]])
    labels = label_maps("l", x=[[0, 255], [0, 1], [1, 1]])
    ended = run_mstool("score", masks, labels, *AB)
    assert ended.code == 65
    assert "no class in 2 pixels, first at row 1, column 1" in ended.stderr
    assert str(masks / "x.png") in ended.stderr


def test_value_that_no_class_names_is_told(run_mstool, label_maps):
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=[[0, 7, 1], [1, 1, 1]])
    ended = run_mstool("score", masks, labels, *AB)
    assert ended.code == 65
    assert "label value 7 in 1 pixel, first at row 0, column 1" in ended.stderr
    assert str(labels / "x.png") in ended.stderr


def test_without_a_legend_values_are_classes(run_mstool, label_maps):
    ended = run_mstool("score", label_maps("m", x=MASK), label_maps("l", x=TRUTH))
    assert json.loads(ended.stdout)["classes"] == ["0", "1"]


def test_masks_of_other_tools_are_read_as_the_labels_are(run_mstool, label_maps):
    masks = label_maps("m", x=in_colours([[0, 1]]))
    labels = label_maps("l", x=in_colours([[0, 0]]))
    ended = run_mstool("score", masks, labels, "--classes", "a=*,b=#0000ff")
    assert json.loads(ended.stdout)["pooled"]["confusion"] == [[1, 1], [0, 0]]


def test_otsu_finds_classes_that_differ_in_brightness(run_mstool, label_maps):
    masks, labels = label_maps("m", x=[[0, 0, 0]]), label_maps("l", x=[[1, 1, 0]])
    images = label_maps("i", x=[[20, 22, 200]])
    otsu = json.loads(run_mstool("score", masks, labels, *AB, "--images", images).stdout)[
        "baselines"
    ]["otsu"]
    assert otsu["classes_dark_to_bright"] == ["b", "a"]
    assert otsu["mean_iou"] == 1
    assert "other thresholds may score more" in otsu["note"]


def test_otsu_is_null_without_images(run_mstool, label_maps):
    ended = run_mstool("score", label_maps("m", x=MASK), label_maps("l", x=TRUTH), *AB)
    assert json.loads(ended.stdout)["baselines"]["otsu"] is None
    assert "--images" in ended.stderr


def test_missing_image_is_named(run_mstool, label_maps):
    masks, labels = label_maps("m", x=MASK, y=MASK), label_maps("l", x=TRUTH, y=TRUTH)
    ended = run_mstool("score", masks, labels, *AB, "--images", label_maps("i", x=MASK))
    assert ended.code == 65
    assert "y.png: no micrograph" in ended.stderr


def test_masks_of_stitch_bring_their_legends(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1, 1]], "y": [[0, 1, 0]]})
    labels = label_maps("l", x=in_colours([[0, 1, 0]]), y=in_colours([[0, 1, 0]]))
    record = json.loads(run_mstool("score", masks, labels).stdout)
    assert record["pooled"]["confusion"] == [[3, 1], [0, 2]]
    assert [row["image"] for row in record["per_image"]] == ["x.png", "y.png"]
    assert record["leak"] == leak_of(True)


def test_flag_replaces_the_recorded_legend_of_label_maps_only(run_mstool, stitched, label_maps):
    labels = label_maps("l", x=[[10, 20, 20]])
    ended = run_mstool("score", stitched({"x": [[0, 1, 1]]}), labels, "--classes", "a=10,b=20")
    assert json.loads(ended.stdout)["pooled"]["mean_iou"] == 1


def test_other_class_names_are_refused(run_mstool, stitched, label_maps):
    labels = label_maps("l", x=[[1, 0, 0]])
    ended = run_mstool("score", stitched({"x": [[0, 1, 1]]}), labels, "--classes", "b=0,a=1")
    assert ended.code == 65
    assert "classes a, b, the label maps b, a" in ended.stderr


def test_one_mask_of_stitch_alone(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1, 1]], "y": [[0, 1, 0]]})
    labels = label_maps("l", x=in_colours([[0, 1, 0]]))
    record = json.loads(run_mstool("score", masks / "x.tif", labels / "x.png").stdout)
    assert record["n_images"] == 1


def test_recorded_micrograph_is_thresholded_if_unchanged(run_mstool, stitched, label_maps):
    masks, labels = stitched({"x": [[0, 1, 1]]}), label_maps("l", x=in_colours([[0, 1, 1]]))
    assert json.loads(run_mstool("score", masks, labels).stdout)["baselines"]["otsu"]
    Image.fromarray(np.full((1, 3), 9, np.uint8)).save(masks.parent / "raw" / "x.png")
    ended = run_mstool("score", masks, labels)
    assert json.loads(ended.stdout)["baselines"]["otsu"] is None
    assert "the micrograph of x.tif is not at hand, or has changed" in ended.stderr


def test_micrographs_that_were_trained_on_are_told(run_mstool, stitched, label_maps):
    trained_on = [
        {"name": "renamed.png", "group": "g", "sha256": content_hash("x")},
        {"name": "y.png", "group": "y.png", "sha256": "other pixels, say after a crop"},
        {"name": "z.png", "group": "another specimen", "sha256": "unlike"},
    ]
    maps = {name: [[0, 1]] for name in "xyz"}
    labels = label_maps("l", **{name: in_colours(values) for name, values in maps.items()})
    ended = run_mstool("score", stitched(maps, trained_on), labels)
    leak = json.loads(ended.stdout)["leak"]
    assert leak == leak_of(True, trained_on=["x.png"], named_alike=["y.png"])
    assert "1 of 3 scored micrographs were trained on: x.png; the score" in ended.stderr
    words = "1 of 3 scored micrographs are named alike with ones that were trained on, and of other"
    assert f"{words} content: y.png; if they are the same" in ended.stderr
    assert ended.code == 0


def test_new_fields_of_specimens_that_were_trained_on_are_told(run_mstool, stitched, label_maps):
    trained_on = [
        {"name": "old.png", "group": "s1", "sha256": "unlike"},
        {"name": "y.png", "group": "s1", "sha256": content_hash("y")},
        {"name": "u.png", "group": "u.png", "sha256": "unlike too"},
    ]
    maps = {name: [[0, 1]] for name in "xyzu"}
    labels = label_maps("l", **{name: in_colours(values) for name, values in maps.items()})
    masks = stitched(maps, trained_on, groups={"x": "s1", "y": "s1", "z": "s2"})
    ended = run_mstool("score", masks, labels)
    leak = json.loads(ended.stdout)["leak"]
    assert leak == leak_of(True, trained_on=["y.png"], named_alike=["u.png"], same_group=["x.png"])
    assert "1 of 4 scored micrographs are new, but of groups that were trained on: x.png" in (
        ended.stderr
    )
    assert ended.code == 0


def test_micrographs_that_were_seen_without_labels_are_told_apart(run_mstool, stitched, label_maps):
    trained_on = [
        {"name": "x.png", "group": "s1", "sha256": content_hash("x"), "part": "unlabelled"},
        {"name": "y.png", "group": "y.png", "sha256": content_hash("y"), "part": "train"},
        {"name": "y.png", "group": "y.png", "sha256": content_hash("y"), "part": "unlabelled"},
    ]
    maps = {name: [[0, 1]] for name in "xyz"}
    labels = label_maps("l", **{name: in_colours(values) for name, values in maps.items()})
    masks = stitched(maps, trained_on, groups={"x": "s1", "z": "s1"})
    ended = run_mstool("score", masks, labels)
    leak = json.loads(ended.stdout)["leak"]
    assert leak == leak_of(True, trained_on=["y.png"], transductive=["x.png"])
    assert "transductive: 1 of 3 scored micrographs were seen in pretraining, without labels" in (
        ended.stderr
    )
    assert ended.code == 0


def test_micrographs_that_are_not_recorded_are_not_checked(run_mstool, stitched, label_maps):
    masks, labels = stitched({"x": [[0, 1]]}), label_maps("l", x=in_colours([[0, 1]]))
    record = json.loads((masks / "stitch.json").read_text())
    del record["sources"]
    (masks / "stitch.json").write_text(json.dumps(record))
    ended = run_mstool("score", masks, labels)
    assert json.loads(ended.stdout)["leak"] == leak_of(False)
    assert "not checked whether the model was trained on these" in ended.stderr


def test_leak_that_training_let_pass_is_told(run_mstool, stitched, label_maps):
    masks, labels = stitched({"x": [[0, 1]]}), label_maps("l", x=in_colours([[0, 1]]))
    record = json.loads((masks / "stitch.json").read_text())
    (masks / "stitch.json").write_text(json.dumps(record | {"leaks": ["a and b are one"]}))
    ended = run_mstool("score", masks, labels)
    assert json.loads(ended.stdout)["leak"] == leak_of(True, allowed=["a and b are one"])
    assert "trained with --allow-leak, though a and b are one; the score says nothing" in (
        ended.stderr
    )


def test_mask_that_the_record_beside_it_does_not_name_is_refused(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1]], "y": [[0, 1]]})
    record = json.loads((masks / "stitch.json").read_text())
    record["sources"] = [one for one in record["sources"] if one["name"] == "x.png"]
    (masks / "stitch.json").write_text(json.dumps(record))
    labels = label_maps("l", y=in_colours([[0, 1]]))
    ended = run_mstool("score", masks / "y.tif", labels)
    assert (ended.code, "y.tif: " in ended.stderr) == (65, True)
    assert "stitch.json does not name it" in ended.stderr


@pytest.mark.parametrize(
    ("key", "value"), [("leaks", 3), ("mask_sha256", 3), ("settings", {"blend": "none"})]
)
def test_damaged_values_of_the_record_are_told(run_mstool, stitched, label_maps, key, value):
    masks = stitched({"x": [[0, 1]]})
    record = json.loads((masks / "stitch.json").read_text())
    (masks / "stitch.json").write_text(json.dumps(record | {key: value}))
    ended = run_mstool("score", masks, label_maps("l", x=in_colours([[0, 1]])))
    assert (ended.code, "masks/stitch.json: damaged" in ended.stderr) == (65, True)


def test_numbers_that_no_record_holds_are_told(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1]]})
    text = (masks / "stitch.json").read_text()
    for number in ("NaN", "Infinity", "1e400"):
        (masks / "stitch.json").write_text(text.replace("{", f'{{"elapsed_s": {number}, ', 1))
        ended = run_mstool("score", masks, label_maps(number, x=in_colours([[0, 1]])))
        assert (ended.code, "not a finite number" in ended.stderr) == (65, True)


def test_label_maps_that_ignore_all_are_told(run_mstool, label_maps):
    nothing = label_maps("l", x=np.full((4, 4), 255))
    masks, others = (label_maps(name, x=np.eye(4)) for name in ("m", "n"))
    call = ("score", masks, nothing, *AB[:1], f"{AB[1]},ignore=255", "--versus", others, "--table")
    ended = run_mstool(*call)
    assert ended.code == 0 and json.loads(ended.stdout)["pooled"]["mean_iou"] is None
    assert "warning: no pixel with a class" in ended.stderr
    assert "there is nothing to compare" in ended.stderr


def test_search_that_training_left_is_told(run_mstool, stitched, label_maps):
    masks, labels = stitched({"x": [[0, 1]]}), label_maps("l", x=in_colours([[0, 1]]))
    record = json.loads((masks / "stitch.json").read_text())
    words = "not checked whether micrographs of training and test share fields of view"
    for searched, is_told in ((False, True), (True, False), (None, False)):
        (masks / "stitch.json").write_text(json.dumps(record | {"searched": searched}))
        ended = run_mstool("score", masks, labels)
        assert json.loads(ended.stdout)["leak"]["searched"] is searched
        assert (words in ended.stderr) is is_told


def test_same_file_name_alone_is_no_specimen(run_mstool, stitched, label_maps):
    trained_on = [{"name": "other.png", "group": "x.png", "sha256": "unlike"}]
    labels = label_maps("l", x=in_colours([[0, 1]]))
    ended = run_mstool("score", stitched({"x": [[0, 1]]}, trained_on), labels)
    leak = json.loads(ended.stdout)["leak"]
    assert leak == leak_of(True)
    assert "trained on" not in ended.stderr


def test_recorded_specimens_are_the_unit(run_mstool, stitched, label_maps):
    maps = {name: [[0, 1]] for name in "vwxyz"}
    labels = label_maps("l", **{name: in_colours(values) for name, values in maps.items()})
    masks = stitched(maps, groups={"x": "s1", "y": "s1", "z": "s2"})
    interval = json.loads(run_mstool("score", masks, labels).stdout)["interval"]
    assert (interval["unit"], interval["n_units"]) == ("group", 4)


def name_specimens(masks, **specimens):
    record = json.loads((masks / "stitch.json").read_text())
    for source in record["sources"]:
        source["specimen"] = specimens[source["name"].removesuffix(".png")]
    (masks / "stitch.json").write_text(json.dumps(record))


def test_specimens_that_the_split_names_are_the_unit_and_said(run_mstool, stitched, label_maps):
    maps = {name: [[0, 1]] for name in "vwxyz"}
    labels = label_maps("l", **{name: in_colours(values) for name, values in maps.items()})
    masks = stitched(maps)
    name_specimens(masks, v="s1", w="s1", x="s2", y="s3", z="s4")
    ended = run_mstool("score", masks, labels)
    interval = json.loads(ended.stdout)["interval"]
    assert (interval["unit"], interval["n_units"]) == ("group", 4)
    assert "the split of the training makes 4 groups of the 5 of the tile folder" in ended.stderr
    ended = run_mstool("score", masks, labels, "--group-by", "(.)")
    assert json.loads(ended.stdout)["interval"]["n_units"] == 5
    assert "the split of the training" not in ended.stderr
    name_specimens(masks, v="a", w="b", x="c", y="d", z="e")
    ended = run_mstool("score", masks, labels)
    assert json.loads(ended.stdout)["interval"]["unit"] == "image"
    assert "the split of the training" not in ended.stderr


def test_specimens_of_the_split_that_were_trained_on_are_told(run_mstool, stitched, label_maps):
    row = {"name": "o.png", "group": "o.png", "sha256": "unlike", "specimen": "s1"}
    maps = {"x": [[0, 1]], "y": [[0, 1]]}
    labels = label_maps("l", **{name: in_colours(values) for name, values in maps.items()})
    masks = stitched(maps, [row])
    name_specimens(masks, x="s1", y="s2")
    leak = json.loads(run_mstool("score", masks, labels).stdout)["leak"]
    assert leak == leak_of(True, same_group=["x.png"])


def test_specimens_that_the_user_alone_names_and_were_trained_on_are_told(
    run_mstool, stitched, label_maps
):
    trained_on = [
        {"name": name, "group": name, "sha256": content_hash(name)}
        for name in ("heat1_a.png", "heat3_a.png", "unlike.png")
    ]
    maps = {name: [[0, 1]] for name in ("heat1_b", "heat2_b", "heat3_a")}
    labels = label_maps("l", **{name: in_colours(values) for name, values in maps.items()})
    masks = stitched(maps, trained_on)
    leak = json.loads(run_mstool("score", masks, labels).stdout)["leak"]
    assert leak == leak_of(True, named_alike=["heat3_a.png"])
    ended = run_mstool("score", masks, labels, "--group-by", r"(heat\d+)_")
    leak = json.loads(ended.stdout)["leak"]
    assert leak == leak_of(True, named_alike=["heat3_a.png"], same_group=["heat1_b.png"])


def test_pixels_alone_of_another_set_are_no_names_that_were_trained_on(
    run_mstool, stitched, label_maps
):
    seen = {"name": "x.png", "group": "x.png", "sha256": "unlike", "part": "unlabelled"}
    masks = stitched({"x": [[0, 1]]}, [seen])
    ended = run_mstool("score", masks, label_maps("l", x=in_colours([[0, 1]])))
    assert json.loads(ended.stdout)["leak"] == leak_of(True)
    assert "trained on" not in ended.stderr


def test_leak_of_a_second_run_is_told_where_it_calls_the_micrograph_otherwise(
    run_mstool, stitched, label_maps, tmp_path
):
    masks, labels = stitched({"x": [[0, 1]]}), label_maps("l", x=in_colours([[0, 1]]))
    shutil.copytree(masks, tmp_path / "second")  # the same pixels were tiled from a TIFF
    record = json.loads((masks / "stitch.json").read_text())
    record["sources"][0] |= {"name": "x.tif", "group": "x.tif", "file_sha256": "of a TIFF"}
    record["trained_on"] = [{"name": "x.tif", "group": "x.tif", "sha256": content_hash("x")}]
    write_record(tmp_path / "second" / "stitch.json", record)
    ended = run_mstool("score", masks, tmp_path / "second", labels)
    assert json.loads(ended.stdout)["leak"] == leak_of(True, trained_on=["x.png"])


def test_groups_in_the_record_are_those_that_any_run_knows(
    run_mstool, stitched, label_maps, tmp_path
):
    maps = {name: [[0, 1]] for name in "vwxyz"}
    labels = label_maps("l", **{name: in_colours(values) for name, values in maps.items()})
    masks = stitched(maps)
    second = shutil.copytree(masks, tmp_path / "second")
    name_specimens(second, v="s1", w="s1", x="s2", y="s3", z="s4")
    record = json.loads(run_mstool("score", masks, second, labels).stdout)
    assert (record["interval"]["unit"], record["interval"]["n_units"]) == ("group", 4)
    groups = [row["group"] for row in record["per_image"]]
    assert groups == ["v.png", "v.png", "x.png", "y.png", "z.png"]


@pytest.mark.parametrize(("key", "value"), [("searched", "no"), ("specimen", 3)])
def test_damaged_specimen_or_search_is_told(run_mstool, stitched, label_maps, key, value):
    masks, labels = stitched({"x": [[0, 1]]}), label_maps("l", x=in_colours([[0, 1]]))
    record = json.loads((masks / "stitch.json").read_text())
    (record if key == "searched" else record["sources"][0])[key] = value
    (masks / "stitch.json").write_text(json.dumps(record))
    ended = run_mstool("score", masks, labels)
    assert ended.code == 65 and key in ended.stderr and "again" in ended.stderr


def test_mask_that_the_record_names_must_be_there(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1]], "y": [[0, 1]]})
    (masks / "y.tif").unlink()
    ended = run_mstool("score", masks, label_maps("l", x=in_colours([[0, 1]])))
    assert ended.code == 66
    assert "y.tif" in ended.stderr


def test_masks_of_two_runs_are_told(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1]]})
    (masks / "z.tif").write_bytes((masks / "x.tif").read_bytes())
    ended = run_mstool("score", masks, label_maps("l", x=in_colours([[0, 1]])))
    assert (ended.code, ended.stdout) == (65, "")
    assert "z.tif" in ended.stderr and "masks of two runs are mixed" in ended.stderr


def test_mask_of_another_run_in_its_place_is_told(run_mstool, stitched, label_maps):
    masks, labels = stitched({"x": [[0, 1]]}), label_maps("l", x=in_colours([[0, 1]]))
    record = json.loads((masks / "stitch.json").read_text())
    record["mask_sha256"] = {"x.tif": sha256_of_file(masks / "x.tif")}
    (masks / "stitch.json").write_text(json.dumps(record))
    assert run_mstool("score", masks, labels).code == 0
    assert run_mstool("score", masks / "x.tif", labels).code == 0
    mask = np.array([[1, 1]], np.uint8)
    write_indexed_tiff(masks / "x.tif", [mask], mask.shape, palette(parse_classes("a=0,b=1")))
    for operand in (masks, masks / "x.tif"):
        ended = run_mstool("score", operand, labels)
        assert (ended.code, ended.stdout) == (65, "")
        assert "x.tif: is not the mask that stitch.json speaks of" in ended.stderr


@pytest.mark.parametrize("side", ["masks", "labels"])
def test_float_maps_with_nan_are_told(run_mstool, label_maps, tmp_path, side):
    values = np.array([[0, 1], [np.nan, 1]], np.float32)
    np.save(tmp_path / "x.npy", values)
    operands = {"masks": label_maps("m", x=[[0, 1], [0, 1]])}
    operands |= {"labels": label_maps("l", x=[[0, 1], [0, 1]]), side: tmp_path / "x.npy"}
    ended = run_mstool("score", *operands.values(), *AB)
    assert (ended.code, ended.stdout) == (65, "")
    assert "x.npy: not a number at row 1, column 0; replace such pixels first" in ended.stderr


def test_unfinished_stitch_is_told(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1]]})
    (masks / "stitch.json").rename(masks / ".stitch.unfinished.json")
    ended = run_mstool("score", masks, label_maps("l", x=in_colours([[0, 1]])))
    assert ended.code == 66
    assert "stitch has not ended" in ended.stderr


def test_micrographs_are_not_taken_for_label_maps(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1]]}, classes="a=*,b=#0000ff")
    label_maps("raw", x_mask=in_colours([[0, 1]]))
    ended = run_mstool("score", masks, masks.parent / "raw")
    assert ended.code == 65
    assert "but the micrograph itself; for x_mask.png, give --label-suffix _mask" in ended.stderr


def test_masks_in_the_place_of_label_maps_are_told(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1]]})
    ended = run_mstool("score", label_maps("l", x=in_colours([[0, 1]])), masks)
    assert ended.code == 2
    assert "masks: was written by mstool stitch" in ended.stderr
    ended = run_mstool("score", masks, masks)  # the label maps were forgotten
    assert (ended.code, "the label maps last" in ended.stderr) == (2, True)
    ended = run_mstool("score", masks, masks / "x.tif")
    assert (ended.code, "the label maps last" in ended.stderr) == (2, True)


def test_probabilities_in_the_place_of_masks_are_told(run_mstool, label_maps):
    probs = label_maps("probs", x=MASK)
    write_record(probs / "predict.json", {})
    ended = run_mstool("score", probs, label_maps("l", x=TRUTH), *AB)
    assert ended.code == 65
    assert "run mstool stitch" in ended.stderr


def test_class_of_a_flag_that_no_label_map_has_is_told(run_mstool, label_maps):
    masks, labels = label_maps("m", x=[[0, 1]]), label_maps("l", x=[[0, 1]])
    ended = run_mstool("score", masks, labels, "--classes", "a=0,b=1,c=7")
    assert "class 'c' is in no label map; is its value 7 right?" in ended.stderr


def test_damaged_list_of_training_is_told(run_mstool, stitched, label_maps):
    masks = stitched({"x": [[0, 1]]}, trained_on=["x.png"])
    ended = run_mstool("score", masks, label_maps("l", x=in_colours([[0, 1]])))
    assert ended.code == 65
    assert "stitch.json: damaged list trained_on" in ended.stderr


@pytest.mark.parametrize("which", ["masks", "labels"])
def test_missing_folder_is_named(run_mstool, label_maps, tmp_path, which):
    operands = {"masks": label_maps("m", x=MASK), "labels": label_maps("l", x=TRUTH)}
    operands[which] = tmp_path / "nowhere"
    ended = run_mstool("score", *operands.values(), *AB)
    assert ended.code == 66
    assert "nowhere: no such file or folder" in ended.stderr


def test_empty_folder_is_named(run_mstool, label_maps):
    ended = run_mstool("score", label_maps("m"), label_maps("l", x=TRUTH), *AB)
    assert ended.code == 66
    assert "no masks" in ended.stderr


def test_low_score_fails_the_check_after_the_record(run_mstool, label_maps):
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH)
    ended = run_mstool("score", masks, labels, *AB, "--min-iou", 0.42)
    assert ended.code == 1
    assert json.loads(ended.stdout)["status"] == "check failed"
    assert "0.4167, below --min-iou 0.42" in ended.stderr
    assert run_mstool("score", masks, labels, *AB, "--min-iou", 0.41).code == 0
    assert run_mstool("score", masks, labels, *AB, "--min-iou", 41).code == 2


def test_table_is_on_stderr_and_narrow(run_mstool, label_maps):
    names = "a=0,a-phase-with-a-very-long-name=1,c=2"
    masks, labels = label_maps("m", x=MASK, y=MASK), label_maps("l", x=TRUTH, y=TRUTH)
    ended = run_mstool("score", masks, labels, "--classes", names, "--table", "-q")
    assert json.loads(ended.stdout)["n_images"] == 2
    assert max(map(len, ended.stderr.splitlines())) <= 80
    assert "0.417" in ended.stderr
    assert ["mean,", "Otsu", "-"] in [line.split() for line in ended.stderr.splitlines()]


def test_table_shows_large_support_whole():
    record = {
        "n_images": 2,
        "classes": ["matrix"],
        "pooled": {
            "iou": {"matrix": 0.91234},
            "precision": {"matrix": None},
            "recall": {"matrix": 1.0},
            "mean_iou": 0.91234,
            "confusion": [[123_456_789]],
        },
        "interval": {
            "level": 0.95,
            "method": "jackknife t, logit scale",
            "unit": "image",
            "n_units": 4,
            "coverage": {"mean_iou": (0.95, 0.96), "iou": {"matrix": (0.9, 0.97)}},
            "mean_iou": [0.9, 0.95],
            "iou": {"matrix": None},
        },
        "baselines": {"majority": {"class": "matrix", "mean_iou": 1.0}, "otsu": None},
        "phase_fraction": {"matrix": {"truth": 1.0, "predicted": 1.0, "error": 0.0}},
        "abstention": None,
        "calibration": None,
    }
    console = Console(width=80)
    with console.capture() as captured:
        console.print(tabulate(record))
    row = next(line for line in captured.get().splitlines() if line.startswith(" matrix"))
    assert row.split() == ["matrix", "0.912", "-", "-", "1.000", "123.5", "M", "100.0", "100.0"]


def test_out_writes_a_file_and_nothing_on_stdout(run_mstool, label_maps, tmp_path):
    masks, labels, out = (
        label_maps("m", x=MASK),
        label_maps("l", x=TRUTH),
        tmp_path / "s" / "s.json",
    )
    ended = run_mstool("score", masks, labels, *AB, "-o", out)
    assert ended.stdout == ""
    assert "../m/x.png" in json.loads(out.read_text())["inputs"]


def test_record_of_another_score_is_not_replaced_unasked(run_mstool, label_maps, tmp_path):
    masks, labels, out = label_maps("m", x=MASK), label_maps("l", x=TRUTH), tmp_path / "s.json"
    assert run_mstool("score", masks, labels, *AB, "-o", out).code == 0
    assert run_mstool("score", masks, labels, *AB, "-o", out).code == 0
    label_maps("m", x=TRUTH)
    assert run_mstool("score", masks, labels, *AB, "-o", out).code == 73
    assert run_mstool("score", masks, labels, *AB, "--overwrite", "-o", out).code == 0
    assert json.loads(out.read_text())["pooled"]["mean_iou"] == 1


def test_dry_run_prints_settings_and_writes_nothing(run_mstool, label_maps, tmp_path):
    out = tmp_path / "s.json"
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH)
    ended = run_mstool("score", masks, labels, *AB, "--min-iou", 0.5, "--dry-run", "-o", out)
    assert json.loads(ended.stdout)["settings"]["min_iou"] == 0.5
    assert not out.exists()


def test_same_seed_same_numbers(run_mstool, label_maps):
    masks, labels = label_maps("m", x=MASK, y=TRUTH[:1]), label_maps("l", x=TRUTH, y=TRUTH[:1])
    first, second = (
        json.loads(run_mstool("score", masks, labels, *AB, "--seed", 3).stdout) for _ in range(2)
    )
    del first["mstool"], second["mstool"]
    assert first == second


@pytest.mark.parametrize(("out", "flags"), [("m", []), ("m", ["--overwrite"]), ("/dev/null", [])])
def test_out_that_is_no_file_is_refused(run_mstool, label_maps, tmp_path, out, flags):
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH)
    ended = run_mstool("score", masks, labels, *AB, "-o", tmp_path / out, *flags)
    assert (ended.code, ended.stdout) == (73, "")
    assert "is not a regular file; use > FILE or another --out" in ended.stderr


@pytest.mark.parametrize("name", ["m/x.png", "l/x.png", "l/../l/x.png"])
def test_out_is_no_input(run_mstool, label_maps, tmp_path, name):
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH)
    before = (tmp_path / name).read_bytes()
    ended = run_mstool("score", masks, labels, *AB, "-o", tmp_path / name, "--overwrite")
    assert ended.code == 2
    assert "is one of the inputs; name another file" in ended.stderr
    assert (tmp_path / name).read_bytes() == before


def test_one_label_map_without_a_mask_is_one(run_mstool, label_maps):
    ended = run_mstool("score", label_maps("m", x=MASK), label_maps("l", x=TRUTH, y=TRUTH), *AB)
    assert "1 label map has no mask and is left out" in ended.stderr


def test_legend_in_another_encoding_is_named(run_mstool, label_maps, tmp_path):
    legend = tmp_path / "legend.toml"
    legend.write_text('[[class]]\nname = "α"\nvalue = 0\n', encoding="utf-16")
    masks, labels = label_maps("m", x=MASK), label_maps("l", x=TRUTH)
    ended = run_mstool("score", masks, labels, "--legend", legend)
    assert ended.code == 65
    assert f"{legend}: is not UTF-8 text; save it as UTF-8" in ended.stderr


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("nnunet", ("mean 0 Dice", "foreground_mean Dice")),
        ("smp", ("iou_score micro", "macro-imagewise")),
        ("matseg", ("mIoU", "fraction_error")),
        ("micronet", ("iou_score", "channels")),
        ("torchmetrics", ("jaccard_index macro", "cohen_kappa")),
    ],
)
def test_table_prints_what_another_tool_would(run_mstool, label_maps, tool, words):
    masks, labels = label_maps("m", a=[[0, 1, 1, 1]]), label_maps("l", a=[[0, 0, 1, 1]])
    ended = run_mstool("score", masks, labels, "--as", tool, "--table", "-q")
    table = " ".join(ended.stderr.split())
    assert f"as {tool} would print it" in table
    assert all(each in table for each in words)
    assert max(map(len, ended.stderr.splitlines())) <= 80
