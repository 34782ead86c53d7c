"""Masks in one stream are those of tile, predict and stitch."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mstool.io import conversions
from mstool.nn.checkpoint import load_checkpoint
from mstool.nn.engines import OTHERS, installed_engines
from mstool.pipeline import segment as pipeline
from mstool.pipeline import segment_estimate as estimating
from mstool.pipeline.memory_bound import MemoryNeeds, blending_bytes

CUT = ("--size", 48, "--overlap", 16)
CPU = ("--device", "cpu", "-q")


@pytest.fixture
def new(study):
    """The study, with two micrographs in ``new``, one of them smaller than a tile."""
    (study / "new").mkdir()
    tifffile.imwrite("new/a.tif", tifffile.imread("raw/img0.tif")[::-1])
    tifffile.imwrite("new/b.tif", tifffile.imread("raw/img1.tif")[:40, :70])
    return study


def step_by_step(run_mstool, *, cut=(), tta="none", stitch=()):
    """Masks of the three verbs, in ``apart``."""
    for call in (
        ("tile", "new", *CUT, *cut, "-o", "new-tiles", "-q"),
        ("predict", "new-tiles", "--tta", tta, *CPU),
        ("stitch", "probs", *stitch, "-o", "apart", "-q"),
    ):
        assert run_mstool(*call).code == 0


def files_in(folder):
    """Bytes by name, without records and pictures, which name their folders."""
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path.suffix in (".tif", ".toml")
    }


def record_of(folder="masks"):
    return json.loads(Path(folder, "stitch.json").read_text())


@pytest.mark.parametrize("blend", ["crop", "flat", "hann", "gaussian"])
@pytest.mark.parametrize("tta", ["none", "flips", "d4"])
def test_masks_are_those_of_three_verbs(run_mstool, new, blend, tta):
    stitch = ("--blend", blend, "--confidence", "--abstain", 0.6)
    step_by_step(run_mstool, tta=tta, stitch=stitch)
    ended = run_mstool("segment", "new", *CUT, "--tta", tta, *stitch, *CPU)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    found = files_in("masks")
    assert set(found) == {"a.tif", "b.tif", "confidence/a.tif", "confidence/b.tif", "legend.toml"}
    assert found == files_in("apart")
    one, other = record_of(), record_of("apart")
    for key in ("classes", "models", "trained_on", "doubt", "mask_sha256", "made_with", "n_masks"):
        assert one[key] == other[key], key
    assert [row["sha256"] for row in one["sources"]] == [row["sha256"] for row in other["sources"]]


def test_scaled_micrographs_come_back_in_their_own_size(run_mstool, new):
    step_by_step(run_mstool, cut=("--scale", 1.5))
    assert run_mstool("segment", "new", *CUT, "--scale", 1.5, *CPU).code == 0
    assert files_in("masks") == files_in("apart")
    assert tifffile.imread("masks/b.tif").shape == (40, 70)


def test_micrographs_are_magnified_as_the_tiles_of_the_model_were(run_mstool, new):
    model = load_checkpoint(new / "model")
    object.__setattr__(model.checkpoint, "tile_scale", 2.0)
    assert pipeline.scale_of([model]) == 2.0
    with pytest.raises(pipeline.UsageError, match="--scale 1 and 2"):
        pipeline.scale_of([model, load_checkpoint(new / "model")])


def test_greys_are_each_micrographs_own_where_those_of_training_were(
    run_mstool, study, monkeypatch
):
    looks, look = [], conversions.mean_and_std
    monkeypatch.setattr(conversions, "mean_and_std", lambda parts: looks.append(1) or look(parts))
    own = ("tile", "raw", "--labels", "labels", "--rescale-greys", "each", *CUT)
    assert run_mstool(*own, "-o", "own-tiles", "-q").code == 0
    network = ("--arch", "unet-plain", "--depth", 2, "--width", 4, "--epochs", 1, "--lr", 0.02)
    split = ("--split", "split.csv", "--test-fold", 0, "-o", "own", *CPU)
    assert run_mstool("train", "own-tiles", *split, *network).code == 0
    n_looks = len(looks)
    named = ("--engine", "torch", "--model", "own", *CPU)
    assert run_mstool("segment", "raw", *CUT, *named, "-o", "masks").code == 0
    assert len(looks) - n_looks == n_looks == len(list(Path("raw").iterdir()))  # one a micrograph
    assert record_of()["settings"]["greys"] == "each"
    assert run_mstool("predict", "own-tiles", "--model", "own", *CPU).code == 0
    assert run_mstool("stitch", "probs", "-o", "apart", "-q").code == 0
    assert {k: v for k, v in files_in("masks").items() if k.startswith("img")} == {
        k: v for k, v in files_in("apart").items() if k.startswith("img")
    }
    told = run_mstool("predict", "tiles", "--model", "own", "-o", "p")
    assert (told.code, "mstool tile --rescale-greys each makes them fit" in told.stderr) == (
        65,
        True,
    )
    told = run_mstool("segment", "raw", "--model", "own", "--model", "model", "-o", "m")
    assert (told.code, "own/model.safetensors was trained with --resc" in told.stderr) == (65, True)


def test_masks_can_be_scored_and_pictures_drawn(run_mstool, study):
    ended = run_mstool("segment", "raw", *CUT, "--overlay", *CPU)
    assert (ended.code, ended.stderr) == (0, "")
    assert (study / "masks/overlays/img0.png").stat().st_size > 10_000
    assert not list((study / "masks").glob(".*"))
    scores = json.loads(run_mstool("score", "masks", "labels").stdout)
    assert scores["n_images"] == 6
    assert scores["leak"]["trained_on"]


def test_done_masks_are_not_made_again_and_lost_ones_are(run_mstool, new):
    call = ("segment", "new", *CUT, "--device", "cpu")
    assert run_mstool(*call).code == 0
    before = record_of()
    times = [Path("masks", name).stat().st_mtime_ns for name in ("a.tif", "b.tif")]
    assert "nothing left to do" in run_mstool(*call).stderr
    Path("masks/b.tif").unlink()
    assert run_mstool(*call).code == 0
    assert record_of()["mask_sha256"] == before["mask_sha256"]
    assert Path("masks/a.tif").stat().st_mtime_ns == times[0]
    assert run_mstool(*call, "--blend", "crop").code == 73


@pytest.mark.parametrize("lost", ["confidence", "confidence/a.tif", "overlays", "legend.toml"])
@pytest.mark.parametrize("verb", ["segment", "stitch"])
def test_lost_files_beside_the_masks_are_made_again(run_mstool, new, verb, lost):
    step_by_step(run_mstool)
    call = {"segment": ("segment", "new", *CUT, *CPU), "stitch": ("stitch", "probs", "-q")}[verb]
    call = (*call, "--confidence", "--overlay")
    assert run_mstool(*call).code == 0
    before = {path: path.read_bytes() for path in Path("masks").rglob("*.[tp]*")}
    assert len(before) == 7
    shutil.rmtree(Path("masks", lost)) if Path("masks", lost).is_dir() else Path(
        "masks", lost
    ).unlink()
    assert run_mstool(*call).code == 0
    assert {path: path.read_bytes() for path in Path("masks").rglob("*.[tp]*")} == before


def test_what_an_interruption_left_is_used(run_mstool, new, monkeypatch):
    segment, done = pipeline.Stream.segment, []

    def stop(self, member, *arguments):
        if done:
            raise KeyboardInterrupt
        done.append(member.name)
        return segment(self, member, *arguments)

    call = ("segment", "new", *CUT, *CPU)
    with monkeypatch.context() as patched:
        patched.setattr(pipeline.Stream, "segment", stop)
        assert run_mstool(*call).code == 130
    assert not Path("masks/stitch.json").exists()
    time = Path("masks/a.tif").stat().st_mtime_ns
    part = Path("masks/.parts/a.tif.json")
    kept = json.loads(part.read_text())
    kept["part"]["elapsed_s"] = 1000.0
    part.write_text(json.dumps(kept))
    assert run_mstool(*call).code == 0
    assert Path("masks/a.tif").stat().st_mtime_ns == time
    found = record_of()
    assert [row["image"] for row in found["doubt"]] == ["a.tif", "b.tif"]
    assert found["s_per_megapixel"] * found["megapixels"] > 1000
    assert not list((new / "masks").glob(".*"))


def test_a_failing_micrograph_ends_the_run_or_is_left_out(run_mstool, new):
    whole = Path("new/b.tif").read_bytes()
    Path("new/b.tif").write_bytes(whole[:200])
    Path("new/b.txt").write_text("$$SM_MICRON_BAR 200\n$$SM_MICRON_MARKER 10um\n")
    call = ("segment", "new", *CUT, "--device", "cpu")
    ended = run_mstool(*call)
    assert (ended.code, "new/b.tif" in ended.stderr, Path("masks").exists()) == (65, True, False)
    ended = run_mstool(*call, "--keep-going")
    assert ended.code == 1
    assert "new/b.tif" in ended.stderr
    assert "1 of 2 micrographs have no mask: b.tif" in ended.stderr
    assert record_of()["left_out"] == ["b.tif"]
    assert record_of()["inputs"]["../new/b.tif"] is None
    assert record_of()["inputs"]["../new/b.txt"] is None
    assert run_mstool(*call, "--keep-going").code == 1


def segmented_by(run_mstool, monkeypatch, *call):
    """How a call ended, and the micrographs that it segmented."""
    segment, names = pipeline.Stream.segment, []

    def note(self, member, *arguments):
        names.append(member.name)
        return segment(self, member, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.Stream, "segment", note)
        return run_mstool(*call), names


@pytest.mark.parametrize("n_bytes", [200, 2000], ids=["no header", "torn"])
@pytest.mark.parametrize("keep_going", [(), ("--keep-going",)])
def test_once_a_micrograph_is_mended_the_same_command_makes_that_one_alone(
    run_mstool, new, monkeypatch, n_bytes, keep_going
):
    call = ("segment", "new", *CUT, "--confidence", "--device", "cpu")
    assert run_mstool(*call, "-o", "fresh").code == 0
    whole = Path("new/b.tif").read_bytes()
    Path("new/b.tif").write_bytes(whole[:n_bytes])
    ended = run_mstool(*call, "--keep-going")
    assert (ended.code, "b.tif; once they are mended, run the" in ended.stderr) == (1, True)
    Path("new/b.tif").write_bytes(whole)
    ended, names = segmented_by(run_mstool, monkeypatch, *call, *keep_going)
    assert (ended.code, names) == (0, ["b.tif"])
    assert files_in("masks") == files_in("fresh")
    found, fresh = record_of(), record_of("fresh")
    for key in ("inputs", "left_out", "n_masks", "n_tiles", "doubt", "mask_sha256"):
        assert found[key] == fresh[key], key


def test_other_micrographs_than_those_left_out_may_not_change(run_mstool, new):
    whole = Path("new/b.tif").read_bytes()
    Path("new/b.tif").write_bytes(whole[:200])
    call = ("segment", "new", *CUT, *CPU, "--keep-going")
    assert run_mstool(*call).code == 1
    Path("new/b.tif").write_bytes(whole)
    Path("new/c.tif").write_bytes(whole)
    assert run_mstool(*call).code == 73
    Path("new/c.tif").unlink()
    Path("new/a.tif").write_bytes(whole)
    assert run_mstool(*call).code == 73


def test_what_is_left_out_leaves_no_file_of_the_one_that_failed(run_mstool, new, monkeypatch):
    def fail(*_):
        raise pipeline.InputError("new/b.tif: torn")

    call = ("segment", "new", *CUT, "--overlay", *CPU, "--keep-going")
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "write_overlay", fail)
        assert run_mstool(*call).code == 65
    assert not Path("masks").exists()
    draw = pipeline.write_overlay
    with monkeypatch.context() as patched:
        patched.setattr(
            pipeline,
            "write_overlay",
            lambda s, *more: (fail if s.name[0] == "b" else draw)(s, *more),
        )
        assert run_mstool(*call).code == 1
    assert not Path("masks/b.tif").exists()
    image = tifffile.imread("new/b.tif")
    tifffile.imwrite("new/b.tif", image[::-1])
    assert run_mstool(*call).code == 0
    assert run_mstool(*call, "-o", "fresh").code == 0
    assert files_in("masks") == files_in("fresh")


def test_micrographs_that_fail_half_way_are_left_out_and_tried_again(run_mstool, new, monkeypatch):
    read = pipeline.ScaledMicrograph.read

    def fail(self, window):
        if self.micrograph.path.name == "a.tif" and window.row:
            raise pipeline.InputError("new/a.tif: torn")
        return read(self, window)

    call = ("segment", "new", *CUT, "--device", "cpu", "--keep-going")
    with monkeypatch.context() as patched:
        patched.setattr(pipeline.ScaledMicrograph, "read", fail)
        ended = run_mstool(*call)
    assert (ended.code, "new/a.tif: torn; left out" in ended.stderr) == (1, True)
    assert [path.name for path in Path("masks").glob("*.tif")] == ["b.tif"]
    assert run_mstool(*call).code == 0
    assert record_of()["n_masks"] == 2
    assert record_of()["left_out"] == []


def test_known_micrographs_at_another_scale_are_refused(run_mstool, study):
    ended = run_mstool("segment", "raw", *CUT, "--scale", 2, *CPU)
    assert (ended.code, "mstool segment --scale 1" in ended.stderr) == (65, True)


def test_a_bound_of_memory_takes_fewer_tiles_at_a_time(run_mstool, new, monkeypatch):
    call = ("segment", "new", *CUT, *CPU)
    assert run_mstool(*call, "-o", "free").code == 0
    assert record_of("free")["batch_size"] == 4
    needs, blending = MemoryNeeds(100 * 2**20, 50 * 2**20, 2**20), []
    monkeypatch.setattr(
        pipeline, "measure_needs", lambda *given: blending.append(given[2]) or needs
    )
    assert run_mstool(*call, "--max-mem", "200M").code == 0
    assert record_of()["batch_size"] == 2
    assert blending == [blending_bytes((80, 96), 96, 48, 2, False)]  # of the wider one
    assert files_in("masks") == files_in("free")
    ended = run_mstool(*call, "--max-mem", "120M", "-o", "small")
    assert (ended.code, "the least possible here is 133M" in ended.stderr) == (2, True)
    assert not Path("small").exists()


def test_what_a_process_takes_is_measured(run_mstool, new):
    call = ("segment", "new", *CUT, *CPU, "--max-mem")
    ended = run_mstool(*call, "50M")
    assert (ended.code, "the least possible" in ended.stderr) == (2, True)
    assert run_mstool(*call, "100G").code == 0
    assert record_of()["batch_size"] == 4


def test_other_paths_come_from_a_list(run_mstool, new):
    Path("list").write_text("new/a.tif\nnew/b.tif\n")
    assert run_mstool("segment", "--files-from", "list", *CUT, *CPU).code == 0
    assert record_of()["n_masks"] == 2


def test_what_does_not_fit_the_model_is_refused_with_the_flag_that_mends_it(run_mstool, new):
    for path in Path("new").iterdir():
        tifffile.imwrite(path, tifffile.imread(path).astype(np.uint16) * 257)
    ended = run_mstool("segment", "new", *CUT, *CPU)
    assert (ended.code, "mstool segment --bits 8" in ended.stderr) == (65, True)
    assert not Path("masks").exists()
    assert run_mstool("segment", "new", *CUT, "--bits", 8, *CPU).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "no input is named"),
        (("tiles",), 2, "is a tile folder"),
        (("nowhere",), 66, "nowhere"),
        (("raw", "--model", "none"), 66, "no such model"),
        (("raw", "--overlap", 512), 2, "--overlap 512"),
        (("raw", "--scale", 0), 2, "--scale 0"),
        (("raw", "--abstain", 1), 2, "--abstain 1"),
        (("raw", "--max-mem", "much"), 2, "--max-mem much"),
        (("raw", "--max-mem", "0M"), 2, "--max-mem 0M"),
        (("raw", "--model", "model", "--model", "model"), 2, "is the same model"),
        (("raw", "--estimate", "--merge"), 2, "--estimate: tries what --merge"),
        (("raw", "--estimate", "--dry-run"), 2, "--estimate: tries what --merge and --dry-run"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(run_mstool, study, arguments, code, words):
    ended = run_mstool("segment", *arguments, *CPU)
    assert (ended.code, len(ended.stderr.splitlines())) == (code, 1)
    assert words in ended.stderr
    assert not Path("masks").exists()


def test_dry_run_prints_the_settings(run_mstool, study):
    ended = run_mstool("segment", "raw", "--dry-run")
    assert json.loads(ended.stdout)["settings"]["scale"] == 1.0


@pytest.mark.parametrize("engine", OTHERS)
def test_another_engine_gives_the_same_masks_in_both_ways(run_mstool, new, monkeypatch, engine):
    if engine not in installed_engines():
        pytest.skip(f"{engine} is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(new / "cache"))
    asked = ("--engine", engine, "--precision", "fp32", *CPU)
    assert run_mstool("tile", "new", *CUT, "-o", "new-tiles", "-q").code == 0
    assert run_mstool("predict", "new-tiles", *asked).code == 0
    assert run_mstool("stitch", "probs", "-o", "apart", "-q").code == 0
    assert run_mstool("segment", "new", *CUT, *asked).code == 0
    assert files_in("masks") == files_in("apart")
    predicted = json.loads(Path("probs/predict.json").read_text())
    assert record_of()["engine"] == predicted["engine"]
    assert record_of()["engine"]["name"] == predicted["settings"]["engine"] == engine
    assert record_of()["engine"]["agreement"] >= 0.9999
    assert len(list(Path("cache/mstool/graphs").glob("graph-*"))) == 1
    # what is left to the tool goes on with what has begun
    assert run_mstool("segment", "new", *CUT, "--precision", "fp32", "--device", "cpu").code == 0
    refused = run_mstool("segment", "new", *CUT, *asked, "--engine", "torch")
    assert refused.code != 0
    assert "engine" in refused.stderr


def test_few_tiles_are_left_to_torch(run_mstool, new):
    assert run_mstool("segment", "new", *CUT, *CPU).code == 0
    found = record_of()
    assert found["settings"]["engine"] == found["engine"]["name"] == "torch"
    assert found["engine"]["speedup"] is None


def test_an_estimate_counts_what_will_be_done_and_writes_nothing(run_mstool, new):
    ended = run_mstool("segment", "new", *CUT, *CPU, "--estimate")
    assert ended.code == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert not Path("masks").exists()
    assert run_mstool("segment", "new", *CUT, *CPU).code == 0
    known = record_of()
    for key in ("n_tiles", "megapixels", "batch_size"):
        assert found[key] == known[key], key
    assert (found["n_micrographs"], found["engine"]) == (2, known["engine"]["name"])
    assert found["elapsed_s"] > 0
    assert found["core_s"] > 0
    assert found["peak_rss_mb"] is None or found["peak_rss_mb"] > 0


def test_an_estimate_of_a_shard_counts_its_share(run_mstool, new):
    call = ("segment", "new", *CUT, *CPU, "--keep-going", "--estimate", "--shard")
    found = json.loads(run_mstool(*call, "0/2").stdout)
    assert found["n_micrographs"] == 1
    Path("new/b.tif").write_bytes(Path("new/b.tif").read_bytes()[:200])
    ended = run_mstool(*call, "1/2")
    assert (ended.code, "new/b.tif: none of these micrographs" in ended.stderr) == (65, True)


def test_an_estimate_grows_with_tiles_and_pixels(run_mstool, new, monkeypatch):
    """With a clock that each tile and each megapixel moves by a known time."""
    one = estimating.Cost(3.0, 2.0)
    monkeypatch.setattr(estimating, "_try_tiles", lambda stream: one)
    monkeypatch.setattr(estimating, "_try_masks", lambda stream: one.times(1000))
    monkeypatch.setattr(estimating.time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(estimating.Run, "core_s", lambda run: 5.0)
    found = json.loads(run_mstool("segment", "new", *CUT, *CPU, "--estimate").stdout)
    counted = found["n_tiles"] + 1000 * found["megapixels"]
    assert found["core_s"] == pytest.approx(5 + 2 * counted, abs=2)
