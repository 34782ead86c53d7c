"""Shards that are merged make what one process makes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tifffile

from mstool.io.records import sha256_of_input
from mstool.pipeline import engine_choice
from mstool.pipeline.engine_choice import choose_engine

CPU = ("--device", "cpu", "-q")
CUT = ("--size", 48, "--overlap", 16, "--confidence", "--overlay")


def files_in(folder):
    """Bytes by name, without the record."""
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path.suffix != ".json"
    }


def run_shards(run_mstool, call, count, out):
    for index in range(count):
        ended = run_mstool(*call, "--shard", f"{index}/{count}", *CPU, "-o", out)
        assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


def assert_same_as_in_one_go(run_mstool, call, record, count):
    assert run_mstool(*call, *CPU, "-o", "alone").code == 0
    run_shards(run_mstool, call, count, "joined")
    assert not Path("joined").exists()
    ended = run_mstool(*call, "--merge", *CPU, "-o", "joined")
    assert (ended.code, ended.stderr) == (0, "")
    assert files_in("joined") == files_in("alone")
    assert not Path("joined.shards").exists()
    one, other = (json.loads(Path(out, record).read_text()) for out in ("joined", "alone"))
    assert [row["shard"] for row in one.pop("shards")] == [f"{i}/{count}" for i in range(count)]
    assert one.keys() == other.keys()
    assert sha256_of_input(Path("joined", record)) == sha256_of_input(Path("alone", record))


@pytest.mark.parametrize("probs", ["uint8", "float16"])
@pytest.mark.parametrize("select", ["all", "test"])
def test_shards_of_predict_are_the_whole_byte_for_byte(run_mstool, study, probs, select):
    call = ("predict", "tiles", "--probs", probs, "--select", select, "--batch-size", 3)
    assert_same_as_in_one_go(run_mstool, call, "predict.json", 3)
    assert run_mstool("stitch", "joined", "-q").code == 0


def test_shards_of_segment_are_the_whole_byte_for_byte(run_mstool, study):
    Path("raw/img1.tif").unlink()
    assert_same_as_in_one_go(run_mstool, ("segment", "raw", *CUT), "stitch.json", 3)
    scores = json.loads(run_mstool("score", "joined", "labels").stdout)
    assert scores["n_images"] == 5


def test_what_is_done_is_not_done_again(run_mstool, study):
    call = ("segment", "raw", *CUT, "--device", "cpu")
    first = (*call, "--shard", "0/2")
    assert run_mstool(*first).code == 0
    record = json.loads(Path("masks.shards/0-of-2/stitch.json").read_text())
    assert (record["shard"], record["n_masks"]) == ("0/2", 3)
    assert "nothing left to do" in run_mstool(*first).stderr
    ended = run_mstool(*call, "--merge")
    assert (ended.code, "--shard 1/2" in ended.stderr, Path("masks").exists()) == (66, True, False)
    assert run_mstool(*call, "--shard", "1/2").code == 0
    assert run_mstool(*call, "--merge").code == 0
    for again in (first, (*call, "--merge"), call):
        ended = run_mstool(*again)
        assert (ended.code, "nothing left to do" in ended.stderr) == (0, True)
    assert not list(Path("masks.shards").glob("*/*"))


def test_shards_of_other_settings_or_micrographs_are_not_merged(run_mstool, study):
    call = ("segment", "raw", "--size", 48, "--overlap", 16, *CPU)
    run_shards(run_mstool, call[:-3], 1, "masks")
    ended = run_mstool(*call, "--merge", "--tta", "flips")
    assert (ended.code, 'other tta ("none", now "flips")' in ended.stderr) == (65, True)
    assert not Path("masks").exists()
    image = tifffile.imread("raw/img0.tif")
    tifffile.imwrite("raw/img9.tif", image[::-1])
    ended = run_mstool(*call, "--merge")
    assert (ended.code, "img9.tif: no shard has made it" in ended.stderr) == (65, True)
    Path("raw/img9.tif").unlink()
    tifffile.imwrite("raw/img0.tif", image[::-1])
    ended = run_mstool(*call, "--merge")
    assert (ended.code, "another " in ended.stderr) == (65, True)
    assert len(files_in("masks.shards")) == 7


def test_shards_of_other_batches_are_not_merged(run_mstool, study):
    for index, size in enumerate((2, 3)):
        call = ("predict", "tiles", "--shard", f"{index}/2", "--batch-size", size, *CPU)
        assert run_mstool(*call).code == 0
    ended = run_mstool("predict", "tiles", "--merge", "--batch-size", 2, *CPU)
    assert (ended.code, "--batch-size 3, the first with 2" in ended.stderr) == (65, True)


def test_precision_is_that_of_the_shards(run_mstool, study):
    call = ("predict", "tiles", "--precision", "bf16")
    run_shards(run_mstool, call, 2, "probs")
    assert run_mstool("predict", "tiles", "--merge", *CPU).code == 0
    assert json.loads(Path("probs/predict.json").read_text())["settings"]["precision"] == "bf16"


@pytest.mark.parametrize(
    "call", [("predict", "tiles"), ("segment", "raw", "--size", 48, "--overlap", 16)]
)
def test_the_engine_is_that_of_the_first_shard(run_mstool, study, monkeypatch, call):
    asked = []

    def choose(request):
        asked.append(request.asked)
        return choose_engine(replace(request, asked="torch"))

    monkeypatch.setattr(engine_choice, "choose_engine", choose)
    assert run_mstool(*call, "--shard", "0/2", *CPU).code == 0
    assert run_mstool(*call, "--shard", "1/2", *CPU).code == 0
    assert asked == ["auto", "torch"]


def test_micrographs_that_a_shard_left_out_are_told(run_mstool, study):
    whole = Path("raw/img2.tif").read_bytes()
    Path("raw/img2.tif").write_bytes(whole[:200])
    call = ("segment", "raw", "--size", 48, "--overlap", 16, "--keep-going", *CPU)
    for place, code in (("0/2", 1), ("1/2", 0)):
        assert run_mstool(*call, "--shard", place).code == code
    ended = run_mstool(*call, "--merge")
    assert (ended.code, "1 of 6 micrographs have no mask: img2.tif" in ended.stderr) == (1, True)
    record = json.loads(Path("masks/stitch.json").read_text())
    assert (record["n_masks"], record["left_out"]) == (5, ["img2.tif"])
    Path("raw/img2.tif").write_bytes(whole)
    assert run_mstool(*call, "--shard", "0/2").code == 0
    assert run_mstool(*call, "--merge").code == 0
    assert not Path("masks.shards").exists()
    assert run_mstool(*call, "-o", "alone").code == 0
    assert files_in("masks") == files_in("alone")
    one, other = (json.loads(Path(out, "stitch.json").read_text()) for out in ("masks", "alone"))
    assert one["inputs"] == other["inputs"]


@pytest.mark.parametrize("n_bytes", [200, 5000], ids=["no header", "torn"])
def test_a_shard_may_end_without_a_mask(run_mstool, study, n_bytes):
    """Where micrographs cannot be read, shards are as many as before, and can be merged."""
    for name in ("img1", "img4"):
        path = Path(f"raw/{name}.tif")
        path.write_bytes(path.read_bytes()[:n_bytes])
    call = ("segment", "raw", *CUT, "--keep-going", "--abstain", 0.6, "--device", "cpu")
    for index in range(3):
        ended = run_mstool(*call, "--shard", f"{index}/3")
        assert ended.code == (1 if index == 1 else 0), ended.stderr
    record = json.loads(Path("masks.shards/1-of-3/stitch.json").read_text())
    assert (record["n_masks"], record["s_per_megapixel"]) == (0, None)
    ended = run_mstool(*call, "--merge")
    assert (ended.code, "no mask: img1.tif, img4.tif" in ended.stderr) == (1, True)
    assert run_mstool(*call, "-o", "alone").code == 1
    assert files_in("masks") == files_in("alone")


def test_what_a_shard_has_lost_is_told_and_made_again(run_mstool, study):
    call = ("segment", "raw", *CUT)
    run_shards(run_mstool, call, 2, "masks")
    lost = Path("masks.shards/0-of-2/confidence")
    n_lost = len([path.unlink() for path in lost.iterdir()])
    ended = run_mstool(*call, *CPU, "--merge")
    assert (ended.code, "confidence/img0.tif: no shard has made it" in ended.stderr) == (65, True)
    assert run_mstool(*call, *CPU, "--shard", "0/2").code == 0
    assert len([*lost.iterdir()]) == n_lost
    assert run_mstool(*call, *CPU, "--merge").code == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record["doubt"][0].update(image="other.tif"),
        lambda record: record["doubt"][0].pop("abstained"),
        lambda record: record.update(s_per_megapixel=None),
    ],
)
def test_a_damaged_record_of_a_shard_is_one_line(run_mstool, study, damage):
    call = ("segment", "raw", "--size", 48, "--overlap", 16)
    run_shards(run_mstool, call, 2, "masks")
    path = Path("masks.shards/1-of-2/stitch.json")
    record = json.loads(path.read_text())
    damage(record)
    path.write_text(json.dumps(record))
    ended = run_mstool(*call, *CPU, "--merge")
    assert (ended.code, len(ended.stderr.splitlines())) == (65, 1)
    assert "1-of-2/stitch.json: damaged" in ended.stderr
    assert "--shard 1/2 again with --overwrite" in ended.stderr


def test_the_batch_size_is_that_of_the_shards(run_mstool, study):
    run_shards(run_mstool, ("predict", "tiles", "--batch-size", 8), 2, "probs")
    assert run_mstool("predict", "tiles", "--merge", *CPU).code == 0
    assert json.loads(Path("probs/predict.json").read_text())["batch_size"] == 8


def test_time_a_megapixel_is_that_of_all_shards(run_mstool, study):
    call = ("segment", "raw", "--size", 48, "--overlap", 16)
    run_shards(run_mstool, call, 2, "masks")
    for index in range(2):
        path = Path(f"masks.shards/{index}-of-2/stitch.json")
        record = json.loads(path.read_text()) | {"s_per_megapixel": 10.0 + index}
        path.write_text(json.dumps(record))
    assert run_mstool(*call, *CPU, "--merge").code == 0
    found = json.loads(Path("masks/stitch.json").read_text())
    assert found["s_per_megapixel"] == pytest.approx(10.5)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--shard", "2/2"), 2, "--shard 2/2"),
        (("--shard", "0/7"), 2, "no more than 6 micrographs"),
        (("--shard", "auto"), 2, "neither a task of a SLURM array"),
        (("--shard", "0/2", "--merge"), 2, "leave --shard out"),
        (("--merge",), 66, "holds no shards"),
    ],
)
def test_bad_shards_get_one_line(run_mstool, study, monkeypatch, arguments, code, words):
    monkeypatch.delenv("RANK", raising=False)
    ended = run_mstool("segment", "raw", *CUT, *CPU, *arguments)
    assert (ended.code, len(ended.stderr.splitlines()), words in ended.stderr) == (code, 1, True)
    assert not Path("masks").exists()
    assert not Path("masks.shards").exists()


def test_tasks_of_an_array_find_their_shard(run_mstool, study, monkeypatch):
    for name, value in (("ID", 2), ("MIN", 1), ("MAX", 2), ("STEP", 1), ("COUNT", 2)):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    assert run_mstool("segment", "raw", *CUT, *CPU, "--shard", "auto").code == 0
    assert Path("masks.shards/1-of-2/stitch.json").is_file()
