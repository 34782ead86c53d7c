import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mstool.nn.checkpoint import load_checkpoint, save_checkpoint
from mstool.nn.model import build_segmenter
from mstool.pictures.stamp import stamp_picture
from mstool.pipeline import kept_parts
from mstool.pipeline.explain import explanation, stamping
from mstool.pipeline.explain.maps import FieldMaps, MapFacts, warn_of_map

COMMON = ("--model", "model", "--class", "1", "--device", "cpu", "-q")
SMALL = ("--window", 64, "--regions", 6)
ALL_CHECKS = ("sanity", "faithfulness", "patch", "labels")


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
    assert record["checks"] == {"made": [], "left_out": []}
    for row in record["images"]:
        arrays = np.load(study / "explain" / row["arrays"])
        assert {*labels, "region"} <= set(arrays.files)
        assert arrays["integrated-gradients"].shape == arrays["region"].shape == (80, 96)
        error = row["methods"]["integrated-gradients"]["completeness_error"]
        assert error < 0.05 or any(row["image"] in line for line in record["warnings"])
        assert len(row["pictures"]) == 2
        assert all((study / "explain" / name).stat().st_size > 10_000 for name in row["pictures"])
    assert not list((study / "explain").glob(".*"))


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
    found = record["faithfulness"]
    assert (found["n_units"], found["n_regions"], found["least_units"]) == (6, 6, 6)
    assert record["units"]["n_micrographs"] == 6
    assert (record["is_checked"], record["checks"]["left_out"]) == (True, [])
    assert record["boundary"]["source"] == "labels"
    assert record["boundary"]["counterfactual"]["verdict"] == "grey level"  # the study is so made
    assert verdict["claim_boundary"] == "not_supported"
    assert record["receptive_field"]["theoretical_px"] == 44
    assert record["receptive_field"]["advice"]
    assert record["features"]["encoder.0"]["n_channels"] == 4
    assert record["left_out"] == []


def test_same_seed_same_numbers_and_done_work_is_not_done_again(run_mstool, study):
    call = ("explain", "raw/img0.tif", *COMMON, "--window", 64, "--regions", 2)
    call += ("--methods", "smoothgrad", "--checks", "sanity")
    for out in ("a", "b"):
        run_mstool(*call, "-o", out)
    first, second = record_of("a"), record_of("b")
    assert first["sanity"] == second["sanity"]
    assert (study / "a/sanity.png").read_bytes() == (study / "b/sanity.png").read_bytes()
    before = (study / "a/sanity.png").stat().st_mtime_ns
    assert run_mstool(*call, "-o", "a").code == 0
    assert (study / "a/sanity.png").stat().st_mtime_ns == before
    other = run_mstool(*call, "-o", "a", "--seed", 9)
    assert (other.code, "seed" in other.stderr) == (73, True)


def test_a_file_that_is_gone_is_made_again(run_mstool, study):
    call = ("explain", "raw/img0.tif", *COMMON, "--quick", "--methods", "saliency")
    call += ("--dump-features", "encoder.0")
    assert run_mstool(*call).code == 0
    made = {p.relative_to("explain").as_posix() for p in Path("explain").rglob("*") if p.is_file()}
    assert record_of()["files"] == sorted(made - {"explain.json"})
    name = record_of()["images"][0]["arrays"]
    (study / "explain" / name).unlink()
    assert run_mstool(*call).code == 0
    assert (study / "explain" / name).is_file()


def test_no_record_while_a_map_is_missing(run_mstool, study, monkeypatch):
    call = ("explain", "raw/img0.tif", *COMMON, "--quick", "--methods", "saliency")
    whole = explanation.place_pictures

    def lose_a_map(out, stamp):
        whole(out, stamp)
        (out / "maps/img0_1.npz").unlink()

    with monkeypatch.context() as patched:
        patched.setattr(explanation, "place_pictures", lose_a_map)
        ended = run_mstool(*call)
    assert (ended.code, "img0_1.npz: was removed while" in ended.stderr) == (74, True)
    assert not (study / "explain/explain.json").exists()
    assert run_mstool(*call).code == 0
    assert (study / "explain/maps/img0_1.npz").is_file()


def test_label_maps_through_another_legend_are_another_question(run_mstool, study):
    call = ("explain", "raw/img0.tif", *COMMON, "--quick", "--methods", "saliency")
    call += ("--labels", "labels")
    assert run_mstool(*call).code == 0
    ended = run_mstool(*call, "--classes", "0=1,1=0")
    assert (ended.code, "legend" in ended.stderr) == (73, True)
    assert run_mstool(*call).code == 0


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
    cut = ("--size", 80, "--overlap", 64, "-o", "large", "-q")
    assert run_mstool("tile", "raw", "--labels", "labels", *cut).code == 0
    arguments = ("--regions", 8, "--window", 64, "--checks", "patch", "--methods", "saliency")
    assert run_mstool("explain", "large", *COMMON, *arguments).code == 0
    assert len(record_of()["images"]) > 6
    assert record_of()["units"] == {
        "n_micrographs": 6,
        "n_units": 6,
        "n_regions": 8,
        "n_overlapping": 0,
        "margin_px": 8,
    }
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


def test_a_point_is_asked_about_in_the_field_in_whose_middle_it_lies(run_mstool, study):
    asked = ("--quick", "--methods", "saliency", "--region", "point:40,50", "--size", 64)
    assert run_mstool("explain", "raw/img0.tif", *COMMON, *asked).code == 0
    assert record_of()["images"][0]["window"] == [16, 32, 64, 64]  # all four fields show it


def test_tiles_of_a_name_with_a_dot_have_a_file_each(run_mstool, study):
    (study / "dotted").mkdir()
    (study / "raw/img0.tif").rename(study / "dotted/a.b.tif")
    assert run_mstool("tile", "dotted", "--size", 48, "--overlap", 0, "-o", "cut", "-q").code == 0
    assert run_mstool("explain", "cut", *COMMON, "--quick", "--methods", "saliency").code == 0
    images = record_of()["images"]
    assert len({row["arrays"] for row in images}) == len(images) > 1


def test_layers_are_listed_as_csv(run_mstool, study):
    ended = run_mstool("explain", "--model", "model", "--list-layers")
    lines = ended.stdout.splitlines()
    assert lines[0] == "layer,stride,channels,height,width"
    assert "encoder.0,1,4,64,64" in lines


def test_regions_of_one_micrograph_cannot_make_a_map_trustworthy(run_mstool, study):
    checks = ("--checks", "faithfulness")
    assert run_mstool("explain", "raw/img0.tif", *COMMON, *SMALL, *checks).code == 0
    record = record_of()
    found = record["faithfulness"]
    assert (found["n_units"], found["n_regions"] >= 5) == (1, True)
    for name, row in found["methods"].items():
        assert row["verdict"] == "inconclusive"
        assert any("6 are needed" in reason for reason in record["verdict"]["reasons"][name])


CHECKED = ("raw/img0.tif", "raw/img1.tif", *COMMON[:-1], "--window", 64, "--regions", 2)
CHECKED += ("--methods", "saliency", "--receptive-field")


@pytest.fixture
def clock(monkeypatch):
    """Clock of the budget: time is up once a part is finished; "" for at once, None for never."""

    def set_end(part):
        class Clock:
            @staticmethod
            def monotonic():
                is_up = part == "" or Path(f"explain/.parts/{part}.json").exists()
                return float("inf") if is_up else 0.0

        monkeypatch.setattr(kept_parts, "time", Clock)

    return set_end


@pytest.fixture
def stamps(monkeypatch):
    """Words that were stamped on pictures."""
    words = []

    def stamp(pixels, text):
        words.append(text)
        return stamp_picture(pixels, text)

    monkeypatch.setattr(stamping, "stamp_picture", stamp)
    return words


def test_budget_that_is_spent_at_once_leaves_all_checks_out_and_pictures_say_so(
    run_mstool, study, clock, stamps
):
    clock("")
    ended = run_mstool("explain", *CHECKED, "--max-time", "9s")
    assert (ended.code, "left out" in ended.stderr) == (0, True)
    record = record_of()
    missing = ["sanity", "faithfulness", "patch"]
    assert record["left_out"] == [*missing, "receptive_field", "maps of 1 images"]
    assert (record["is_checked"], record["sanity"]) == (False, None)
    assert record["checks"] == {"made": [], "left_out": missing}
    assert set(record["verdict"]["methods"].values()) == {"not_checked"}
    assert set(stamps) == {"not checked"}
    assert len(stamps) == len(record["images"]) == 1


def test_budget_that_ends_between_checks_is_told_on_pictures_and_goes_on_where_it_ended(
    run_mstool, study, clock, stamps
):
    clock("sanity")
    run_mstool("explain", *CHECKED, "--max-time", "9s")
    record = record_of()
    assert record["is_checked"] is False
    assert record["checks"] == {"made": ["sanity"], "left_out": ["faithfulness", "patch"]}
    assert set(stamps) == {"not checked: faithfulness, patch"}
    assert set(record["verdict"]["methods"].values()) == {"inconclusive"}
    picture, kept = study / "explain/sanity.png", study / "explain/.parts/sanity.json"
    stamped, made = picture.read_bytes(), kept.stat().st_mtime_ns

    clock("faithfulness")
    run_mstool("explain", *CHECKED, "--max-time", "30s")  # the budget is no part of the claim
    assert record_of()["checks"]["made"] == ["sanity", "faithfulness"]
    assert kept.stat().st_mtime_ns == made
    stamps.clear()

    clock(None)
    assert run_mstool("explain", *CHECKED).code == 0
    record = record_of()
    assert (record["left_out"], record["is_checked"]) == ([], True)
    assert record["checks"]["made"] == ["sanity", "faithfulness", "patch"]
    assert len(record["images"]) == 2
    assert not stamps
    assert picture.read_bytes() != stamped
    assert not list((study / "explain").glob(".*"))

    assert run_mstool("explain", *CHECKED, "-o", "whole").code == 0
    whole = record_of("whole")
    for key in ("sanity", "faithfulness", "patch", "receptive_field", "images", "verdict"):
        assert record[key] == whole[key]
    assert picture.read_bytes() == (study / "whole/sanity.png").read_bytes()
    assert "nothing left to do" in run_mstool("explain", *CHECKED, "--max-time", "1s").stderr


def test_parts_that_an_older_version_left_are_made_anew(run_mstool, study, clock):
    clock("sanity")
    run_mstool("explain", *CHECKED, "--checks", "sanity", "--max-time", "9s")
    path = Path("explain/.parts/sanity.json")
    kept = json.loads(path.read_text())
    kept["part"]["gone"] = 1
    path.write_text(json.dumps(kept))
    clock(None)
    ended = run_mstool("explain", *CHECKED, "--checks", "sanity")
    assert (ended.code, "sanity.json: was left by another version" in ended.stderr) == (0, True)
    assert record_of()["checks"]["made"] == ["sanity"]


def test_a_check_that_was_made_in_part_is_named_and_trusts_nothing(
    run_mstool, study, clock, stamps
):
    clock("sanity")
    run_mstool("explain", *CHECKED, "--max-time", "9s")
    part = json.loads(Path("explain/.parts/sanity.json").read_text())
    part["part"]["left_out"] = ["a second seed of the sanity check"]
    for row in part["part"]["methods"].values():
        row["verdict"] = "pass"
    Path("explain/.parts/sanity.json").write_text(json.dumps(part))
    stamps.clear()
    run_mstool("explain", *CHECKED, "--max-time", "9s")
    record = record_of()
    assert record["checks"]["made"] == []
    assert "a second seed of the sanity check" in record["left_out"]
    assert set(stamps) == {"not checked: faithfulness, patch; checked in part: sanity"}
    reasons = record["verdict"]["reasons"]["saliency"]
    assert "sanity is inconclusive: it was made in part" in reasons


def test_a_check_that_fits_in_part_is_made_with_fewer_regions_and_draws(
    run_mstool, study, monkeypatch, stamps
):
    monkeypatch.setattr(kept_parts.Budget, "fits", lambda self, seconds: False)
    call = [*CHECKED[:-3], "--methods", "integrated-gradients,hirescam", "--boundary"]
    ended = run_mstool(
        "explain", *call, "--checks", "sanity,faithfulness,patch", "--max-time", "9h"
    )
    assert ended.code == 0
    record = record_of()
    assert (record["sanity"]["n_regions"], record["sanity"]["n_seeds"]) == (1, 1)
    assert record["faithfulness"]["n_regions"] == record["boundary"]["n_regions"] == 1
    assert all(
        row["independent"] is None and len(row["cascading"]) == 8
        for row in record["sanity"]["methods"].values()
    )
    words = ["sanity on 1 of 2 regions", "a second seed of the sanity check"]
    words += ["independent randomisation of the sanity check", "faithfulness on 1 of 2 regions"]
    words += ["sensitivity on 1 of 2 regions", "known cause on 1 of 2 regions"]
    words += ["boundary on 1 of 2 regions", "causes in 1 images"]
    assert set(words) <= set(record["left_out"])
    assert record["checks"] == {"made": [], "left_out": ["sanity", "faithfulness", "patch"]}
    assert set(stamps) == {"checked in part: sanity, faithfulness, patch"}
    assert record["is_checked"] is False
    steps = record["images"][0]["methods"]["integrated-gradients"]
    cut = steps["completeness_error"] > 0.05
    assert steps["n_steps"] == 16
    assert bool(record["images"][0]["left_out"]) == cut


def test_a_check_of_which_the_least_would_not_end_in_time_is_not_begun(
    run_mstool, study, monkeypatch
):
    monkeypatch.setattr(explanation, "_time_map", lambda *_: 3600.0)
    assert run_mstool("explain", *CHECKED[1:-1], "--max-time", "2h").code == 0
    missing = ["sanity", "faithfulness", "patch"]
    assert record_of()["checks"] == {"made": [], "left_out": missing}
    assert record_of()["left_out"] == missing


def test_what_was_not_begun_comes_before_what_was_made_in_part(
    run_mstool, study, clock, monkeypatch
):
    order, shares = [], []

    def watched(name):
        made = getattr(explanation, name)

        def watch(asking, *arguments):
            order.append(name)
            shares.append(asking.budget.deadline / 100.0)  # the clock stands at 0
            return made(asking, *arguments)

        monkeypatch.setattr(explanation, name, watch)

    for name in ("check_sanity", "check_faithfulness", "check_patch", "check_context"):
        watched(name)
    start = explanation.start_budget
    monkeypatch.setattr(explanation, "start_budget", lambda *_: kept_parts.Budget(100.0))
    clock("sanity")
    run_mstool("explain", *CHECKED)
    assert (order, shares) == (["check_sanity"], [pytest.approx(3 / 17)])
    path = Path("explain/.parts/sanity.json")
    path.write_text(path.read_text().replace('"left_out": []', '"left_out": ["a seed"]'))
    order.clear()
    clock(None)
    monkeypatch.setattr(explanation, "start_budget", start)
    run_mstool("explain", *CHECKED)
    assert order == ["check_faithfulness", "check_patch", "check_context", "check_sanity"]


def test_pictures_of_one_check_alone_say_which_were_not_made(run_mstool, study, stamps):
    run_mstool("explain", *CHECKED, "--checks", "patch")
    record = record_of()
    assert (record["is_checked"], record["checks"]["made"]) == (False, ["patch"])
    assert set(stamps) == {"not checked: sanity, faithfulness"}


@pytest.mark.parametrize(
    ("left_out", "stamp"),
    [
        ({}, ""),
        ({"sanity": None}, "not checked: sanity"),
        ({"labels": None}, "not checked: labels"),
        ({"patch": ("a seed",)}, "checked in part: patch"),
        (dict.fromkeys(ALL_CHECKS), "not checked"),
    ],
    ids=["all", "one decisive", "one asked for", "in part", "none"],
)
def test_the_record_calls_checked_what_pictures_do_not_stamp(left_out, stamp):
    lacks = dict.fromkeys(ALL_CHECKS, ()) | left_out
    parts = {
        name: lack if lack is None else SimpleNamespace(left_out=lack)
        for name, lack in lacks.items()
    }
    done = stamping.list_done(ALL_CHECKS, parts)
    assert (done.stamp, done.is_checked) == (stamp, not stamp)
    assert done.made == tuple(name for name in ALL_CHECKS if name not in left_out)


@pytest.mark.parametrize("asked", [(), ("sanity",), ("sanity", "faithfulness", "labels")])
def test_nothing_is_checked_by_some_decisive_checks_alone(asked):
    whole = SimpleNamespace(left_out=())
    done = stamping.list_done(asked, dict.fromkeys(asked, whole))
    assert (done.made, done.is_checked) == (asked, False)


def test_class_with_a_slash_in_its_name_is_explained(run_mstool, study):
    model = load_checkpoint(study / "model")
    renamed = replace(model.checkpoint, classes=("matrix", "M/A island"))
    save_checkpoint(study / "renamed.safetensors", model.segmenter, renamed)
    ended = run_mstool(
        *("explain", "raw/img0.tif", "--model", "renamed.safetensors", "--class", "M/A island"),
        *("--device", "cpu", "-q", "--quick", "--methods", "saliency"),
    )
    assert (ended.code, ended.stderr) == (0, "")
    (row,) = record_of()["images"]
    assert all((study / "explain" / name).is_file() for name in (row["arrays"], *row["pictures"]))


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
        (("--thresholds", "alpha=0"), 2, "alpha=0"),
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
        "fine": MapFacts(0.01, 16, (64, 64), 1.0, False),
        "cam": MapFacts(float("nan"), None, (4, 4), 16.0, False),
        "ig": MapFacts(0.4, 64, (64, 64), 1.0, False),
    }
    field = FieldMaps("a.tif", (0, 0, 64, 64), 9, 5.0, 1.0, "a.npz", (), facts)
    assert warn_of_map(field, "fine") == []
    (coarse,) = warn_of_map(field, "cam")
    assert "cam has a network stride of 16 px" in coarse
    (incomplete,) = warn_of_map(field, "ig")
    assert "ig misses 40%" in incomplete
