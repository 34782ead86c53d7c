"""Shards of explain that are merged make the explanation that one process makes."""

import json
import shutil
from pathlib import Path

import numpy as np
import tifffile

from mstool.io.records import sha256_of_input

CALL = ("explain", "raw/img0.tif", "raw/img1.tif", "--model", "model", "--class", "1", "-q")
CALL += ("--device", "cpu", "--methods", "saliency", "--window", 64, "--regions", 1)


def contents(folder):
    """Bytes by name; of a record, what it says whenever it is made."""
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): sha256_of_input(path)
        if path.suffix == ".json"
        else path.read_bytes()
        for path in paths
    }


def run_shards(run_mstool, call, count):
    for index in range(count):
        ended = run_mstool(*call, "--shard", f"{index}/{count}")
        assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


def test_shards_are_the_whole_byte_for_byte(run_mstool, study):
    call = (*CALL, "--dump-features", "encoder.0", "--checks", "patch")
    run_shards(run_mstool, (*call, "-o", "joined"), 2)
    assert not Path("joined").exists()
    dealt = [
        json.loads(Path(f"joined.shards/{index}-of-2/explain-shard.json").read_text())["parts"]
        for index in (0, 1)
    ]
    assert [[*parts] for parts in dealt] == [["patch", "maps-0"], ["features", "maps-1"]]
    ended = run_mstool(*call, "-o", "joined", "--merge", "--fail-on", "inconclusive")
    assert (ended.code, "saliency is inconclusive" in ended.stderr) == (1, True)
    assert run_mstool(*call, "-o", "alone").code == 0
    assert contents("joined") == contents("alone")
    one, other = (json.loads(Path(out, "explain.json").read_text()) for out in ("joined", "alone"))
    assert [row["shard"] for row in one.pop("shards")] == ["0/2", "1/2"]
    assert list(one) == list(other)
    assert not Path("joined.shards").exists()
    for again in ("--merge", "--shard=0/2"):
        ended = run_mstool(*call[:7], *call[8:], "-o", "joined", again)
        assert (ended.code, "nothing left to do" in ended.stderr) == (0, True)


def test_shards_that_do_not_belong_together_are_refused(run_mstool, study):
    call = (*CALL, "--quick")
    run_shards(run_mstool, call, 2)
    second = Path("explain.shards/1-of-2")
    record = json.loads((second / "explain-shard.json").read_text())

    def merge(*options):
        ended = run_mstool(*call, "--merge", *options)
        assert (len(ended.stderr.splitlines()), Path("explain").exists()) == (1, False)
        return ended.code, ended.stderr

    def damage(**changed):
        (second / "explain-shard.json").write_text(json.dumps(record | changed))

    code, line = merge("--contrast", "none")
    assert (code, 'other contrast ("rest", now "none")' in line) == (65, True)
    for changed, words in (
        ({"fields": ["img0.tif"]}, "other fields of view or regions than the first shard"),
        ({"left_out": ["maps of 1 images"]}, "lacks maps of 1 images for want of time"),
        ({"parts": {}}, "maps-1: no shard has made it"),
        ({"parts": {"maps-1": {}}}, "damaged, or of another version"),
    ):
        damage(**changed)
        code, line = merge()
        assert (code, words in line) == (65, True)
    shutil.rmtree(second)
    code, line = merge()
    assert (code, "--shard 1/2 in place of --merge first" in line) == (66, True)
    tifffile.imwrite("raw/img0.tif", np.flip(tifffile.imread("raw/img0.tif")))
    run_shards(run_mstool, (*call, "-o", "other"), 1)
    shutil.copytree("other.shards/0-of-1", second)
    code, line = merge()
    assert (code, "0-of-2: this shard was made with another" in line) == (65, True)


def test_more_shards_than_parts_are_refused(run_mstool, study):
    ended = run_mstool(*CALL, "--quick", "--shard", "0/3")
    assert (ended.code, "no more than 2 checks and maps" in ended.stderr) == (2, True)
    assert not list(Path("explain.shards").iterdir())
