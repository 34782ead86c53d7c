import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.io.images import open_micrograph
from mstool.nn.augment import load_augmentation
from mstool.nn.checkpoint import load_checkpoint
from mstool.shift.choice import LEAST_GAIN

FAST = ("--device", "cpu", "-q", "--permutations", 499, "--simulated-images", 2)
FEW = ("--simulate", "gamma=-0.5,1", "--simulate", "noise=0.04,0.1", "--simulate", "blur=1,2")
DOSED = ("gamma", "noise", "blur")
MODEL = ("--model", "model", "--source-labels", "labels")


@pytest.fixture
def batches(study):
    """The study, and in ``new`` the same micrographs darker and noisier."""
    (study / "new").mkdir()
    rng = np.random.default_rng(0)
    for path in sorted((study / "raw").iterdir()):
        grey = tifffile.imread(path) / 255.0
        dark = np.clip(grey**2.2 + rng.normal(0, 0.06, grey.shape), 0, 1)
        tifffile.imwrite(study / "new" / path.name, np.rint(dark * 255).astype(np.uint8))
    return study


def record_of(folder="shift"):
    return json.loads((Path(folder) / "shift.json").read_text())


def test_images_alone_are_compared(run_mstool, batches):
    ended = run_mstool("domain-shift", "raw", "new", *FAST)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    record = record_of()
    assert record["verdict"]["shift_detected"]
    assert record["verdict"]["harmful"] == "unknown"
    assert record["n"] == {
        "source": 6, "target": 6, "unit": "image", "source_units": 6, "target_units": 6,
        "smallest_p": pytest.approx(2 / 924),
    }  # fmt: skip
    assert record["performance"] is None
    for name in ("histograms", "spectra", "embedding"):
        assert (batches / "shift" / f"{name}.png").stat().st_size > 10_000
        assert (batches / "shift" / f"{name}.csv").read_text().count("\n") > 10
    assert not (batches / "shift" / ".parts").exists()


def test_a_file_that_is_gone_is_made_again(run_mstool, batches):
    call = ("domain-shift", "raw", "new", *FAST, *MODEL, "--simulate", "gamma=1")
    call += ("--mitigate", "histogram", "--save-simulated")
    assert run_mstool(*call).code == 0
    made = {p.relative_to("shift").as_posix() for p in Path("shift").rglob("*") if p.is_file()}
    assert record_of()["files"] == sorted(made - {"shift.json"})
    name = record_of()["mitigation"]["files"][0]
    (batches / "shift" / name).unlink()
    assert run_mstool(*call).code == 0
    assert (batches / "shift" / name).is_file()


def test_label_maps_through_another_legend_are_another_question(run_mstool, batches):
    call = ("domain-shift", "raw", "new", *FAST, *MODEL, "--simulate", "none")
    assert run_mstool(*call).code == 0
    ended = run_mstool(*call, "--classes", "0=1,1=0")
    assert (ended.code, "legend" in ended.stderr) == (73, True)
    assert run_mstool(*call).code == 0


def test_everything_at_once(run_mstool, batches):
    source_hash = load_checkpoint(batches / "model").sha256
    ended = run_mstool(
        *("domain-shift", "raw", "new", *FAST, *FEW, *MODEL, "--target-labels", "labels"),
        *("--mitigate", "auto", "--derive-augmentation", "new.toml", "--retrain-advice", 2),
        "--save-simulated",
    )
    assert (ended.code, ended.stderr) == (0, "")
    record = record_of()
    drop = record["performance"]["drop"]
    shares = record["phase_fraction"]
    assert sum(shares["source"].values()) == pytest.approx(1)
    for name, (low, high) in shares["target_interval"].items():
        assert low <= shares["target"][name] <= high
    total = drop["by_phase_fraction"] + drop["by_appearance"]
    assert drop["mean_iou"] == pytest.approx(total)
    assert set(record["robustness"]["families"]) == {"gamma", "noise", "blur"}
    assert len(record["estimates"]["ranking"]) == 6
    estimate = record["estimates"]["mean_iou"]
    assert 0 <= estimate["low"] <= estimate["mean_iou"] <= estimate["high"] <= 1
    names = [row["name"] for row in record["mitigation"]["repairs"]]
    assert {"none", "histogram", "reinhard", "fourier", "adabn", "tent"} <= set(names)
    scores = {row["name"]: row["mean_iou"] for row in record["mitigation"]["repairs"]}
    assert scores[record["chosen"]] >= scores["none"] - 0.01
    assert len(record["advice"]["annotate_next"]) == 2
    assert load_checkpoint(batches / "model").sha256 == source_hash
    ranges = load_augmentation(str(batches / "new.toml"))
    assert ranges.gamma[1] > 1.5 or ranges.brightness > 0.3
    assert len(list((batches / "shift/simulated/gamma/1").iterdir())) == 2
    for name in ("robustness", "estimates", "mitigation", "examples"):
        assert (batches / "shift" / f"{name}.png").stat().st_size > 10_000


def test_a_named_repair_writes_images_or_a_model(run_mstool, batches):
    quick = ("domain-shift", "raw", "new", *FAST, *MODEL, "--simulate", "none")
    assert run_mstool(*quick, "--mitigate", "histogram", "-o", "a").code == 0
    repaired = tifffile.imread(batches / "a/repaired/img0.tif")
    assert (repaired.dtype, repaired.shape) == (np.uint8, (80, 96))
    raw = tifffile.imread(batches / "raw/img0.tif")
    new = tifffile.imread(batches / "new/img0.tif")
    assert abs(repaired.mean() - raw.mean()) < abs(new.mean() - raw.mean())
    assert run_mstool(*quick, "--mitigate", "adabn", "-o", "b").code == 0
    training = load_checkpoint(batches / "b/model").checkpoint.training
    assert training["repair"] == "adabn"
    assert training["repaired_from"] == load_checkpoint(batches / "model").sha256


def test_the_verdict_can_be_an_exit_code_and_done_work_stays(run_mstool, batches):
    call = ("domain-shift", "raw", "new", *FAST)
    ended = run_mstool(*call, "--fail-above", 0.05)
    assert (ended.code, "a shift is detected" in ended.stderr) == (1, True)
    before = (batches / "shift/histograms.png").stat().st_mtime_ns
    assert run_mstool(*call).code == 0
    assert (batches / "shift/histograms.png").stat().st_mtime_ns == before
    assert run_mstool(*call, "--seed", 4).code == 73
    swapped = run_mstool("domain-shift", "new", "raw", *FAST)
    assert (swapped.code, "other source" in swapped.stderr) == (73, True)


def test_a_single_new_micrograph_has_a_loss_without_an_interval(run_mstool, batches):
    for path in sorted(Path("new").iterdir())[1:]:
        path.unlink()
    quick = (*FAST, *MODEL, "--simulate", "none")
    ended = run_mstool("domain-shift", "raw", "new", *quick, "--target-labels", "labels")
    assert ended.code == 0
    drop = record_of()["performance"]["drop"]
    assert drop["mean_iou"] is not None
    assert drop["interval"] == [None, None]
    assert not record_of()["verdict"]["shift_detected"]


def test_a_repair_that_labels_show_to_be_worse_is_not_recommended(run_mstool, batches):
    quick = (*FAST, *MODEL, "--target-labels", "labels", "--simulate", "none")
    for path in sorted(Path("new").iterdir()):  # unchanged: nothing to repair
        path.write_bytes((Path("raw") / path.name).read_bytes())
    ended = run_mstool("domain-shift", "raw", "new", *quick, "--mitigate", "fourier,adabn,tent")
    assert ended.code == 0
    record = record_of()
    scores = {row["name"]: row["mean_iou"] for row in record["mitigation"]["repairs"]}
    assert scores[record["chosen"]] >= scores["none"]
    assert "6 micrographs are in both sets" in record["warnings"][0]
    run_mstool("domain-shift", "raw", "new", *quick, "--mitigate", "adabn", "-o", "b")
    record = record_of("b")
    scores = {row["name"]: row["mean_iou"] for row in record["mitigation"]["repairs"]}
    advice = record["verdict"]["recommendation"]
    is_clear = scores["adabn"] < scores["none"] - LEAST_GAIN
    assert ("do not use the repair adabn" in advice) == is_clear


def test_true_fractions_are_compared_where_both_sets_have_labels(run_mstool, batches):
    call = ("domain-shift", "raw", "new", *FAST, "--source-labels", "labels")
    assert run_mstool(*call, "--target-labels", "labels").code == 0
    shares = record_of()["phase_fraction"]
    assert shares["from"] == "labels"
    assert shares["source"] == shares["target"]
    assert record_of()["verdict"]["label_shift_suspected"] is False


def test_one_hot_pixel_moves_no_grey_level(run_mstool, study):
    (study / "new").mkdir()
    for path in sorted((study / "raw").iterdir()):
        grey = tifffile.imread(path).astype(np.uint16) * 16
        tifffile.imwrite(path, grey)
        grey[3, 3] = 60000
        tifffile.imwrite(study / "new" / path.name, grey)
    assert run_mstool("domain-shift", "raw", "new", *FAST).code == 0
    assert record_of()["fit"]["moved"] == []
    assert record_of()["intensity"]["w1"] < 1e-3


def test_a_run_short_of_time_is_completed_by_the_same_command(run_mstool, batches):
    call = ("domain-shift", "raw", "new", *FAST, *MODEL, *FEW, "--mitigate", "adabn")
    call = (*call, "--retrain-advice", 2)
    ended = run_mstool(*call, "--max-time", "0.01s", "-o", "a")
    assert ended.code == 0
    short = record_of("a")
    doses = ["simulated gamma", "simulated noise", "simulated blur"]
    assert short["left_out"] == ["repair adabn", *doses]
    assert f"left out for lack of time: {', '.join(short['left_out'])}" in short["warnings"]
    assert short["performance"]["source"]["mean_iou"] > 0  # costs no time
    assert len(short["advice"]["annotate_next"]) == 2
    assert short["chosen"] == "none"
    (batches / "a/repaired").mkdir()
    (batches / "a/repaired/img0.tif").write_text("of a repair that is not taken any more")
    assert run_mstool(*call, "--max-time", "1h", "-o", "a").code == 0
    assert run_mstool(*call, "-o", "b").code == 0
    whole, again = record_of("a"), record_of("b")
    assert whole["left_out"] == []
    assert {**whole, "mstool": None} == {**again, "mstool": None}
    names = [sorted(str(f.relative_to(out)) for f in Path(out).rglob("*")) for out in "ab"]
    assert names[0] == names[1]
    before = (batches / "a/robustness.png").stat().st_mtime_ns
    assert run_mstool(*call, "-o", "a").code == 0
    assert (batches / "a/robustness.png").stat().st_mtime_ns == before


def test_nothing_is_begun_that_would_not_end_in_time(run_mstool, batches, monkeypatch):
    from mstool.pipeline.kept_parts import Budget

    call = ("domain-shift", "raw", "new", *FAST, *MODEL, *FEW, "--mitigate", "reinhard,adabn")
    call = (*call, "--retrain-advice", 1, "--save-simulated")
    with monkeypatch.context() as patched:
        patched.setattr(Budget, "left_s", property(lambda _: 1e-6))
        assert run_mstool(*call).code == 0
    record = record_of()
    left_out = ["repair reinhard", "repair adabn", *map("simulated {}".format, DOSED)]
    assert record["left_out"] == [*left_out, "files of 5 simulated doses"]
    assert record["mitigation"]["left_out"] == left_out[:2]
    assert "--mitigate auto" not in record["verdict"]["recommendation"]
    assert run_mstool(*call).code == 0
    assert record_of()["left_out"] == []
    assert len(list((batches / "shift/simulated").glob("*/*"))) == 6


def test_a_start_that_contradicts_the_score_promises_nothing(run_mstool, batches, monkeypatch):
    from mstool.pipeline.shift import compare, steps

    everything = set(range(6))  # where the model has seen all, all are imitated
    monkeypatch.setattr(steps, "trained_on", lambda *_: everything)
    call = ("domain-shift", "raw", "new", *FAST, *FEW, *MODEL, "--simulated-images", 6)
    call = (*call, "--retrain-advice", 1)
    monkeypatch.setattr(compare, "known_score", lambda *_: (0.0, 1.0))
    with monkeypatch.context() as patched:
        patched.setattr(steps, "_GAIN_READINGS", 1e9)
        assert run_mstool(*call, "-o", "a", "--max-time", "1h").code == 0
    assert record_of("a")["left_out"] == ["gain of annotation"]
    assert record_of("a")["advice"]["reason"] == "there was no time"
    assert run_mstool(*call, "-o", "a").code == 0
    told = record_of("a")["advice"]
    assert told["reason"] is None
    assert set(told["expected"]["after"]) == {"1", "2"}
    monkeypatch.setattr(compare, "known_score", lambda *_: (1.5, 1.6))
    assert run_mstool(*call, "-o", "b").code == 0
    untold = record_of("b")["advice"]
    assert untold["expected"] is None
    assert f"score {told['expected']['before']:.2f}, and the target itself 1.50" in untold["reason"]


def test_families_that_had_time_are_not_made_again(run_mstool, batches, monkeypatch):
    from mstool.pipeline.kept_parts import Budget
    from mstool.pipeline.shift import steps

    made = []

    def count(family, *arguments, dose_family=steps.dose_family):
        made.append(family)
        return dose_family(family, *arguments)

    monkeypatch.setattr(steps, "dose_family", count)
    call = ("domain-shift", "raw", "new", *FAST, *MODEL, *FEW)
    with monkeypatch.context() as patched:
        patched.setattr(Budget, "is_spent", property(lambda _: len(made) >= 2))
        assert run_mstool(*call).code == 0
    assert made == ["gamma", "noise"]
    assert record_of()["left_out"] == record_of()["robustness"]["left_out"] == ["simulated blur"]
    assert set(record_of()["robustness"]["families"]) == {"gamma", "noise"}
    assert run_mstool(*call).code == 0
    assert made == ["gamma", "noise", "blur"]
    assert set(record_of()["robustness"]["families"]) == {"gamma", "noise", "blur"}
    assert record_of()["left_out"] == []
    assert not (batches / "shift/.parts").exists()


def test_what_was_made_before_an_interruption_is_kept(run_mstool, batches, monkeypatch):
    from mstool.pipeline.shift import steps

    def stop(*_):
        raise KeyboardInterrupt

    call = ("domain-shift", "raw", "new", *FAST, *MODEL, *FEW)
    with monkeypatch.context() as patched:
        patched.setattr(steps, "estimate_loss", stop)
        assert run_mstool(*call).code == 130
    assert (batches / "shift/.parts/simulated blur.json").is_file()
    monkeypatch.setattr(steps, "dose_family", stop)
    assert run_mstool(*call).code == 0
    assert record_of()["estimates"]["mean_iou"]


def test_labels_that_leave_all_out_are_refused(run_mstool, batches):
    for path in Path("labels").iterdir():
        path.unlink()
        np.save(path.with_suffix(".npy"), np.full((80, 96), 255, np.uint8))
    ended = run_mstool("domain-shift", "raw", "new", *FAST, *MODEL)
    assert (ended.code, "leave every pixel out" in ended.stderr) == (65, True)


def test_without_a_labelled_piece_nothing_is_simulated(run_mstool, batches):
    unseen = load_checkpoint(batches / "model").checkpoint.sources["test"]
    for path in (Path("labels") / row["name"] for row in unseen):
        ignored = Image.fromarray(np.full((80, 96), 255, np.uint8))
        ignored.save(path.with_suffix(".png"))
    legend = ("--classes", "0=0,1=1,ignore=255")
    call = ("domain-shift", "raw", "new", *FAST, *MODEL, *legend, *FEW, "--retrain-advice", 1)
    ended = run_mstool(*call)
    assert (ended.code, ended.stderr) == (0, "")
    assert record_of()["robustness"] is None
    assert record_of()["performance"]["source"]["mean_iou"] is None
    assert "too few labelled micrographs" in record_of()["advice"]["reason"]
    assert record_of()["left_out"] == []


def test_what_cannot_be_judged_fails_the_check(run_mstool, batches):
    for path in sorted(Path("new").iterdir())[3:]:
        path.unlink()
    ended = run_mstool("domain-shift", "raw", "new", *FAST, "--fail-above", 0.05)
    assert (ended.code, "cannot show a shift" in ended.stderr) == (1, True)
    with_model = (*FAST, *MODEL, "--simulate", "none", "--fail-above", 0.05, "-o", "b")
    ended = run_mstool("domain-shift", "raw", "new", *with_model)
    assert (ended.code, "cannot be told" in ended.stderr) == (1, True)


def test_blank_micrographs_and_letters_of_any_script_are_taken(run_mstool, batches):
    first, second = sorted(Path("new").iterdir())[:2]
    tifffile.imwrite(first, np.full((80, 96), 7, np.uint8))
    second.rename(second.with_name("ü 相.tif"))
    ended = run_mstool("domain-shift", "raw", "new", *FAST, "--derive-augmentation", "a.toml")
    assert (ended.code, ended.stderr) == (0, "")
    assert "1 micrographs of the target are blank" in record_of()["warnings"][0]


def test_ranges_are_written_again_from_a_record_but_over_no_other_file(run_mstool, batches):
    call = ("domain-shift", "raw", "new", *FAST)
    assert run_mstool(*call).code == 0
    assert run_mstool(*call, "--derive-augmentation", "deep/a.toml").code == 0
    ranges = load_augmentation("deep/a.toml")
    assert ranges.gamma[1] > 2
    assert "moved: " in Path("deep/a.toml").read_text()
    assert run_mstool(*call, "--derive-augmentation", "deep/a.toml").code == 0
    Path("deep/a.toml").write_text("mine")
    ended = run_mstool(*call, "--derive-augmentation", "deep/a.toml")
    assert (ended.code, "deep/a.toml" in ended.stderr) == (73, True)
    assert Path("deep/a.toml").read_text() == "mine"


@pytest.mark.parametrize("place", ["notes.txt", "labels"])
def test_a_place_for_ranges_that_is_taken_is_refused_before_the_work(run_mstool, batches, place):
    (batches / "notes.txt").write_text("mine")
    ended = run_mstool("domain-shift", "raw", "new", *FAST, "--derive-augmentation", place)
    assert (ended.code, f"{place}: " in ended.stderr) == (73, True)
    assert not (batches / "shift").exists()


def test_whole_micrographs_and_tile_folders_are_repaired(run_mstool, batches):
    for path in sorted(Path("new").iterdir()):
        tifffile.imwrite(
            path, tifffile.imread(path), resolution=(5e4, 5e4), resolutionunit="CENTIMETER"
        )
    quick = (*FAST, *MODEL[:2], "--simulate", "none", "--mitigate", "reinhard")
    assert run_mstool("domain-shift", "raw", "new", *quick, "--size", 64, "-o", "a").code == 0
    repaired = open_micrograph(Path("a/repaired/img0.tif"))
    assert repaired.shape == tifffile.imread("new/img0.tif").shape
    assert repaired.pixel_size_um == pytest.approx(0.2)


def test_masks_of_repaired_tiles_find_their_micrographs(run_mstool, batches):
    run_mstool("tile", "new", "--size", 48, "--overlap", 16, "-o", "made/new-tiles", "-q")
    quick = (*FAST, *MODEL[:2], "--simulate", "none", "--mitigate", "reinhard")
    assert run_mstool("domain-shift", "tiles", "made/new-tiles", *quick, "-o", "a/b/c").code == 0
    tiles = json.loads(Path("a/b/c/repaired/tiles.json").read_text())
    paths = [source["path"] for source in tiles["sources"]] + list(tiles["inputs"])
    assert all((Path("a/b/c/repaired") / path).is_file() for path in paths)
    assert tiles["repair"] == "reinhard"
    predict = ("predict", "a/b/c/repaired", "--model", "model", "-q", "-o", "probs")
    assert run_mstool(*predict).code == 0
    ended = run_mstool("stitch", "probs", "--overlay", "-q", "-o", "masks")
    assert (ended.code, ended.stderr) == (0, "")
    assert len(list(Path("masks/overlays").glob("img*.png"))) == 6
    scores = json.loads(run_mstool("score", "masks", "labels").stdout)
    assert scores["n_images"] == 6
    assert scores["baselines"]["otsu"]["mean_iou"] > 0.3


def test_same_seed_same_numbers(run_mstool, batches):
    for out in ("a", "b"):
        run_mstool("domain-shift", "raw", "new", *FAST, *MODEL, "--simulate", "noise", "-o", out)
    first, second = record_of("a"), record_of("b")
    for key in ("tests", "fit", "robustness", "estimates"):
        assert first[key] == second[key]
    assert (batches / "a/robustness.png").read_bytes() == (
        batches / "b/robustness.png"
    ).read_bytes()


def test_tiles_are_sets_too(run_mstool, batches):
    run_mstool("tile", "new", "--size", 48, "--overlap", 16, "-o", "new-tiles", "-q")
    assert run_mstool("domain-shift", "tiles", "new-tiles", *FAST).code == 0
    assert record_of()["n"]["source"] == 6
    ended = run_mstool("domain-shift", "tiles", "new-tiles", *FAST, "--scale", 2, "-o", "b")
    assert (ended.code, "tiles" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("raw",), 2, "name two folders"),
        (("raw", "raw"), 2, "is the source too"),
        (("raw", "nowhere"), 66, "nowhere"),
        (("raw", "new", "--mitigate", "auto"), 2, "--model"),
        (("raw", "new", "--mitigate", "magic", *MODEL), 2, "--mitigate magic"),
        (("raw", "new", "--mitigate", "auto,tent", *MODEL), 2, "stands alone"),
        (("raw", "new", "--mitigate", "", *MODEL), 2, "--mitigate"),
        (("raw", "new", "--simulate", "etch="), 2, "decimal numbers"),
        (("raw", "new", "--simulate", "smoke"), 2, "--simulate smoke"),
        (("raw", "new", "--simulate", "etch"), 2, "--model"),
        (("raw", "new", "--save-simulated", "--simulate", "none"), 2, "nothing to write"),
        (("raw", "new", "--alpha", 2), 2, "--alpha"),
        (("raw", "new", "--legend", "x.toml"), 2, "--source-labels"),
        (("raw", "new", "--group-by", "(", "--simulate", "none"), 2, "group pattern"),
        (("raw", "new", "--scale", 0), 2, "--scale"),
        (("raw", "new", "--pixel-size", 0), 2, "--pixel-size"),
        (("raw", "new", "--fail-above", "nan"), 2, "--fail-above"),
        (("raw", "new", "--derive-augmentation", "raw"), 73, "is a folder"),
        (("raw", "new", "--model", "raw"), 66, "no such model"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(run_mstool, batches, arguments, code, words):
    ended = run_mstool("domain-shift", *arguments, "-q")
    assert ended.code == code
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (batches / "shift").exists()


def test_colour_against_grey_is_refused_with_a_remedy(run_mstool, batches):
    (batches / "colour").mkdir()
    for path in sorted((batches / "new").iterdir()):
        rgb = np.repeat(tifffile.imread(path)[..., None], 3, axis=2)
        rgb[0, 0] = 9, 8, 7  # with equal channels it would be grey
        tifffile.imwrite(batches / "colour" / path.name, rgb, photometric="rgb")
    ended = run_mstool("domain-shift", "raw", "colour", *FAST)
    assert (ended.code, "--grey" in ended.stderr) == (65, True)
    assert run_mstool("domain-shift", "raw", "colour", "--grey", *FAST).code == 0


def numbers_in(value):
    """Every number in a record, whatever it lies in."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(item)
    elif isinstance(value, float):
        yield value


@pytest.mark.parametrize("kind", ["copies", "half copies", "one and its copy", "blank"])
def test_a_set_and_its_copy_show_no_shift(run_mstool, batches, kind):
    raw = [tifffile.imread(path) for path in sorted(Path("raw").iterdir())]
    others = [np.roll(image, 9, axis=0) for image in raw[:3]]
    blank = [np.full((80, 96), 90, np.uint8)] * 3
    source, target = {
        "copies": (raw, raw),
        "half copies": (raw, [*raw[:3], *others]),
        "one and its copy": (raw[:1], raw[:1]),
        "blank": (blank, blank),
    }[kind]
    for name, images in (("old", source), ("fresh", target)):
        (batches / name).mkdir()
        for number, image in enumerate(images):
            tifffile.imwrite(f"{name}/{name}{number}.tif", image)
    quick = (*FAST, *MODEL[:2], *FEW, "--mitigate", "auto", "--retrain-advice", 1)
    for call in (FAST, quick):
        ended = run_mstool("domain-shift", "old", "fresh", *call, "--overwrite")
        assert (ended.code, ended.stderr) == (0, "")
        record = record_of()
        assert record["verdict"]["shift_detected"] is False
        assert record["fit"]["moved"] == []
        assert np.isfinite(list(numbers_in(record))).all()
        assert any("in both sets" in warning for warning in record["warnings"])
        assert record["verdict"]["harmful"] != "yes"
