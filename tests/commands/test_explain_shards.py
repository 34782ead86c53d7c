"""Shards of explain that are merged make the explanation that one process makes."""

import json
from pathlib import Path

from mstool.io.records import sha256_of_input

COMMON = ("--model", "model", "--class", "1", "--device", "cpu", "-q")


def files_in(folder):
    """Bytes by name, without the record."""
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path.suffix != ".json"
    }


def run_shards(run_mstool, call, count):
    for index in range(count):
        ended = run_mstool(*call, "--shard", f"{index}/{count}")
        assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


def test_shards_are_the_whole_byte_for_byte(run_mstool, study):
    call = ("explain", "raw/img0.tif", "raw/img1.tif", "raw/img2.tif", *COMMON)
    call += ("--window", 64, "--regions", 2, "--methods", "saliency,hirescam")
    call += ("--dump-features", "encoder.0", "--boundary", "--checks", "sanity,patch")
    assert run_mstool(*call, "-o", "alone").code == 0
    run_shards(run_mstool, (*call, "-o", "joined"), 3)
    assert not Path("joined").exists()
    ended = run_mstool(*call, "--merge", "-o", "joined")
    assert (ended.code, ended.stderr) == (0, "")
    assert files_in("joined") == files_in("alone")
    one, other = (json.loads(Path(out, "explain.json").read_text()) for out in ("joined", "alone"))
    assert [row["shard"] for row in one.pop("shards")] == ["0/3", "1/3", "2/3"]
    assert list(one) == list(other)
    record = (sha256_of_input(Path(out, "explain.json")) for out in ("joined", "alone"))
    assert len(set(record)) == 1
    assert not Path("joined.shards").exists()
