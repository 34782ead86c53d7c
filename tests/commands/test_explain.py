import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mstool.nn.checkpoint import load_checkpoint, save_checkpoint
from mstool.nn.model import build_segmenter
from mstool.pipeline.explain.maps import FieldMaps, MapFacts, warn_of_map

COMMON = ("--model", "model", "--class", "1", "--device", "cpu", "-q")
SMALL = ("--window", 64, "--regions", 6)


def record_of(folder="explain"):
    return json.loads((Path(folder) / "explain.json").read_text())


def test_quick_maps_are_stamped_and_written(run_mstool, study):
    ended = run_mstool("explain", "raw/img0.tif", "raw/img1.tif", *COMMON, "--quick")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    record = record_of()
    labels = ["integrated-gradients", "hirescam@encoder.0"]
    assert [row["name"] for row in record["methods"]] == labels
    assert record["verdict"]["methods"] == dict.fromkeys(labels, "not_checked")
    assert (record["is_checked"], record["sanity"], record["patch"]) == (False, None, None)
    for row in record["images"]:
        arrays = np.load(study / "explain" / row["arrays"])
        assert {*labels, "region"} <= set(arrays.files)
        assert arrays["integrated-gradients"].shape == arrays["region"].shape == (80, 96)
        error = row["methods"]["integrated-gradients"]["completeness_error"]
        assert error < 0.05 or any(row["image"] in line for line in record["warnings"])
        assert len(row["pictures"]) == 2
        assert all((study / "explain" / name).stat().st_size > 10_000 for name in row["pictures"])
    assert not (study / "explain" / ".parts").exists()


def test_all_checks_end_in_verdicts_with_reasons(run_mstool, study):
    ended = run_mstool(
        *("explain", "raw", *COMMON, *SMALL, "--boundary", "--receptive-field"),
        *("--labels", "labels", "--dump-features", "encoder.0"),
    )
    assert (ended.code, ended.stderr) == (0, "")
    record = record_of()
    pictures = ("sanity", "faithfulness", "boundary", "counterfactual", "receptive_field")
    assert all((study / "explain" / f"{name}.png").is_file() for name in pictures)
    verdict = record["verdict"]
    assert set(verdict["methods"]) == {"integrated-gradients", "hirescam@encoder.0"}
    assert verdict["controls"]["control: edge detector"] == "not_supported"
    assert all(verdict["reasons"][name] for name in verdict["methods"])
    assert len(record["sanity"]["methods"]["integrated-gradients"]["cascading"]) == 8
    assert record["faithfulness"]["n_units"] == 6
    assert record["boundary"]["source"] == "labels"
    assert record["boundary"]["counterfactual"]["verdict"] == "grey level"  # the study is so made
    assert verdict["claim_boundary"] == "not_supported"
    assert record["receptive_field"]["theoretical_px"] == 44
    assert record["receptive_field"]["advice"]
    assert record["features"]["encoder.0"]["n_channels"] == 4
    assert record["left_out"] == []


def test_same_seed_same_numbers_and_done_work_is_not_done_again(run_mstool, study):
    for out in ("a", "b"):
        run_mstool("explain", "raw/img0.tif", *COMMON, *SMALL, "--checks", "sanity", "-o", out)
    first, second = record_of("a"), record_of("b")
    assert first["sanity"] == second["sanity"]
    assert (study / "a/sanity.png").read_bytes() == (study / "b/sanity.png").read_bytes()
    before = (study / "a/sanity.png").stat().st_mtime_ns
    again = ("explain", "raw/img0.tif", *COMMON, *SMALL, "--checks", "sanity", "-o", "a")
    assert run_mstool(*again).code == 0
    assert (study / "a/sanity.png").stat().st_mtime_ns == before
    other = run_mstool(*again, "--seed", 9)
    assert (other.code, "seed" in other.stderr) == (73, True)


def test_label_randomisation_compares_networks_that_learnt(run_mstool, study):
    ended = run_mstool(
        *("explain", "raw", *COMMON, *SMALL, "--labels", "labels", "--checks", "labels")
    )
    assert (ended.code, ended.stderr) == (0, "")
    record = record_of()
    found = record["label_randomisation"]
    assert (found["source"], found["n_units"], found["n_windows"]) == ("labels", 3, 6)
    assert found["accuracy"]["retrained"] > 0.9
    assert 0.1 < found["changed_share"] < 0.9
    for row in found["methods"].values():
        assert row["verdict"] in ("pass", "inconclusive")
        assert row["gap"] == pytest.approx(row["retrained"] - row["permuted"])
    assert "trustworthy" not in record["verdict"]["methods"].values()


def test_failing_a_check_exits_with_one_and_keeps_the_work(run_mstool, study):
    ended = run_mstool("explain", "raw/img0.tif", *COMMON, "--quick", "--fail-on", "not_checked")
    assert ended.code == 1
    assert "integrated-gradients is not_checked" in ended.stderr
    assert (study / "explain/explain.json").is_file()


def test_random_weights_are_never_trustworthy(run_mstool, study):
    model = load_checkpoint(study / "model")
    torch.manual_seed(3)
    random = build_segmenter(model.checkpoint.spec, [120.0], [50.0]).eval()
    save_checkpoint(study / "random.safetensors", random, model.checkpoint)
    for name in ("0", "1"):
        ended = run_mstool(
            *("explain", "raw", "--model", "random.safetensors", "--class", name, *SMALL),
            *("--device", "cpu", "-q", "-o", f"random{name}"),
        )
        if ended.code == 65:  # this class is nowhere predicted
            continue
        assert ended.code == 0
        assert "trustworthy" not in record_of(f"random{name}")["verdict"]["methods"].values()


def test_tiles_carry_their_own_labels(run_mstool, study):
    ended = run_mstool("explain", "tiles", *COMMON, "--quick", "--methods", "saliency")
    assert ended.code == 0
    assert len(record_of()["images"]) > 6
    ended = run_mstool("explain", "tiles", *COMMON, "--quick", "--labels", "labels", "-o", "b")
    assert (ended.code, "--labels" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("region", "n_px"),
    [("point:40,90", 1), ("box:40,80,10,12", 120), ("component:1", None), ("boundary", None)],
)
def test_region_decides_which_pixels_are_asked_about(run_mstool, study, region, n_px):
    arguments = ("explain", "raw/img0.tif", *COMMON, "--quick", "--methods", "saliency")
    assert run_mstool(*arguments, "--region", region).code == 0
    found = record_of()["images"][0]["region_px"]
    assert found == n_px or (n_px is None and found > 10)


def test_layers_are_listed_as_csv(run_mstool, study):
    ended = run_mstool("explain", "--model", "model", "--list-layers")
    lines = ended.stdout.splitlines()
    assert lines[0] == "layer,stride,channels,height,width"
    assert "encoder.0,1,4,64,64" in lines


def test_budget_leaves_out_and_says_so(run_mstool, study):
    ended = run_mstool("explain", "raw/img0.tif", *COMMON[:-1], *SMALL, "--max-time", "0.01s")
    assert ended.code == 0
    record = record_of()
    assert {"sanity", "faithfulness", "patch"} <= set(record["left_out"])
    assert set(record["verdict"]["methods"].values()) == {"not_checked"}
    assert "left out" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--class", "iron"), 2, "has 0, 1"),
        (("--region", "circle:3"), 2, "--region circle:3"),
        (("--region", "point:3"), 2, "point:ROW,COL"),
        (("--region", "errors"), 2, "--labels"),
        (("--region", "mask:none.png"), 66, "none.png"),
        (("--contrast", "1"), 2, "--contrast 1"),
        (("--methods", "magic"), 2, "--methods magic"),
        (("--layers", "nowhere", "--methods", "gradcam"), 2, "nowhere"),
        (("--checks", "luck"), 2, "--checks luck"),
        (("--thresholds", "alpha=x"), 2, "alpha=NUMBER"),
        (("--thresholds", "beta=1"), 2, "beta"),
        (("--fail-on", "trustworthy"), 2, "--fail-on trustworthy"),
        (("--max-time", "soon"), 2, "--max-time soon"),
        (("--model", "raw"), 66, "no such model"),
        (("--scale", "0"), 2, "--scale"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(run_mstool, study, arguments, code, words):
    ended = run_mstool("explain", "raw/img0.tif", *COMMON, "--quick", *arguments)
    assert ended.code == code
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (study / "explain").exists()


def test_maps_that_are_incomplete_or_too_coarse_are_warned_about():
    facts = {
        "fine": MapFacts(0.01, 16, (64, 64), False),
        "cam": MapFacts(float("nan"), None, (4, 4), False),
        "ig": MapFacts(0.4, 64, (64, 64), False),
    }
    field = FieldMaps("a.tif", (0, 0, 64, 64), 9, 5.0, 1.0, "a.npz", (), facts)
    assert warn_of_map(field, "fine") == []
    (coarse,) = warn_of_map(field, "cam")
    assert "cam has a network stride of 16 px" in coarse
    (incomplete,) = warn_of_map(field, "ig")
    assert "ig misses 40%" in incomplete
