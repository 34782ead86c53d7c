"""Shards of score that are merged make the score that one process makes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mstool.errors import CheckFailed
from mstool.io.records import sha256_of_input
from mstool.pipeline.score.score import check_min_iou

AB = ("--classes", "a=0,b=1", "-q")
OF_THE_RUN = ("argv", "started", "elapsed_s", "core_s", "peak_rss_mb")


def lasting(path):
    """A record as text, without what its run measured, and its shards."""
    record = json.loads(Path(path).read_text())
    shards = record.pop("shards", [])
    for key in OF_THE_RUN:
        del record["mstool"][key]
    return json.dumps(record, indent=2), [row["shard"] for row in shards]


def run_shards(run_mstool, call, count):
    for index in range(count):
        ended = run_mstool(*call, "--shard", f"{index}/{count}")
        assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


def assert_same_as_in_one_go(run_mstool, call, count):
    assert run_mstool(*call, "-o", "alone.json").code == 0
    run_shards(run_mstool, (*call, "-o", "joined.json"), count)
    assert not Path("joined.json").exists()
    ended = run_mstool(*call, "-o", "joined.json", "--merge")
    assert (ended.code, ended.stderr) == (0, "")
    text, shards = lasting("joined.json")
    assert shards == [f"{index}/{count}" for index in range(count)]
    assert (text, []) == lasting("alone.json")
    assert sha256_of_input(Path("joined.json")) == sha256_of_input(Path("alone.json"))
    assert not Path("joined.json.shards").exists()


@pytest.fixture
def masks(tmp_path, monkeypatch):
    """Folders m0, m1 and l with masks of two runs and label maps, five micrographs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in ("m0", "m1", "l"):
        Path(folder).mkdir()
        for name in "edcba":
            values = rng.integers(0, 2, (9, 12), np.uint8)
            Image.fromarray(values).save(f"{folder}/{name}.png")
    return tmp_path


def test_all_that_is_counted_comes_through_shards(run_mstool, study):
    for line in ("predict tiles --device cpu -q", "stitch probs -q"):
        assert run_mstool(*line.split()).code == 0
    call = ("score", "masks", "labels", "--probs", "probs", "--versus", "labels2", "-q")
    call += ("--boundaries", "2px", "--objects", 1, "--min-detectable", "--as", "nnunet")
    Path("labels2").mkdir()
    for path in Path("labels").iterdir():
        Image.fromarray(np.asarray(Image.open(path))[::-1]).save(f"labels2/{path.name}")
    assert_same_as_in_one_go(run_mstool, call, 4)
    record = json.loads(Path("joined.json").read_text())
    assert record["baselines"]["otsu"] and record["calibration"] and record["versus"]
    assert record["boundaries"] and record["objects"]


def test_runs_of_one_study_are_shared_by_micrograph(run_mstool, masks):
    call = ("score", "m0", "m1", "l", *AB, "--ignore-border", 1, "--boundaries", "1px")
    assert_same_as_in_one_go(run_mstool, call, 3)
    assert len(json.loads(Path("joined.json").read_text())["runs"]) == 2


def test_tables_and_checks_are_of_the_merged_score(run_mstool, masks):
    call = ("score", "m0", "l", *AB, "--min-iou", 0.99, "--table", "-o", "s.json")
    run_shards(run_mstool, call, 2)
    ended = run_mstool(*call, "--merge")
    assert (ended.code, "pooled over 5 micrographs" in ended.stderr) == (1, True)
    again = run_mstool(*call[:-3], "-o", "s.json", "--merge")
    assert (again.code, "below --min-iou 0.99" in again.stderr) == (1, True)
    done = run_mstool(*call, "--shard", "1/2")
    assert (done.code, Path("s.json.shards").exists()) == (0, False)


def test_a_score_that_is_merged_prints_what_the_merge_printed(run_mstool, masks):
    Image.fromarray(np.full((9, 12), 9, np.uint8)).save("l/a.png")
    Path("n0").mkdir()
    for path in Path("m0").iterdir():
        Image.fromarray(np.asarray(Image.open(path))[::-1]).save(f"n0/{path.name}")
    # scores of a class that is nowhere are undefined
    call = ("score", "m0", "l", "--classes", "a=0,b=1,c=2,ignore=9", "--objects", "c")
    call += ("--boundaries", "1px", "--versus", "n0", "--as", "nnunet", "--as", "matseg")
    call += ("--min-detectable", "--table", "-q", "-o", "s.json")
    run_shards(run_mstool, call, 2)
    first, again = (run_mstool(*call, "--merge") for _ in range(2))
    alone = run_mstool(*call[:-1], "alone.json")
    assert "pooled over 5 micrographs" in again.stderr
    assert (first, alone) == (again, again)


def test_no_reliability_is_drawn_of_a_score_that_is_merged(run_mstool, study):
    for line in ("predict tiles --device cpu -q", "stitch probs -q"):
        assert run_mstool(*line.split()).code == 0
    call = ("score", "masks", "labels", "--probs", "probs", "-q", "-o", "s.json", "--reliability")
    run_shards(run_mstool, (*call, "a.png"), 2)
    assert run_mstool(*call, "a.png", "--merge").code == 0
    ended = run_mstool(*call, "b.png", "--merge")
    assert (ended.code, len(ended.stderr.splitlines())) == (66, 1)
    assert "b.png: cannot be drawn" in ended.stderr
    assert not Path("b.png").exists()
    assert run_mstool(*call, "b.png").code == 0  # as the line says
    assert Path("b.png").read_bytes() == Path("a.png").read_bytes()


def test_an_undefined_score_that_was_read_fails_its_check():
    with pytest.raises(CheckFailed, match="the pooled mean IoU is -, below --min-iou 0.5"):
        check_min_iou({"pooled": {"mean_iou": None}}, 0.5)


def test_what_is_counted_is_not_counted_again(run_mstool, masks):
    call = ("score", "m0", "l", *AB[:2], "-o", "s.json")
    for _ in range(2):
        ended = run_mstool(*call, "--shard", "0/2")
        assert ended.code == 0
    assert "nothing left to do" in ended.stderr
    record = json.loads(Path("s.json.shards/0-of-2/score-shard.json").read_text())
    assert (record["shard"], [row["image"] for row in record["images"]]) == (
        "0/2",
        ["a.png", "c.png", "e.png"],
    )


def test_shards_that_do_not_belong_together_are_refused(run_mstool, masks):
    call = ("score", "m0", "l", *AB, "-o", "s.json")
    run_shards(run_mstool, call, 2)

    def merge(*options):
        ended = run_mstool(*call, "--merge", *options)
        assert (len(ended.stderr.splitlines()), Path("s.json").exists()) == (1, False)
        return ended.code, ended.stderr

    code, line = merge("--ignore-border", 1)
    assert (code, "other ignore_border (0, now 1)" in line) == (65, True)
    for name in "l/f.png", "m0/f.png":
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(name)
    assert merge() == (65, "mstool score: f.png: no shard has counted it; run the shards again "
                       "with --overwrite\n")  # fmt: skip
    Path("m0/f.png").unlink()
    whole = Path("m0/b.png").read_bytes()
    Path("m0/b.png").write_bytes(Path("m0/a.png").read_bytes())
    code, line = merge()
    assert (code, "1-of-2: this shard was made with another" in line) == (65, True)
    Path("m0/b.png").write_bytes(whole)
    second = Path("s.json.shards/1-of-2/score-shard.json")
    kept = second.read_text()
    second.write_text(kept.replace('"regions": null', '"regions": [[1, 0], [0, 1]]'))
    code, line = merge()
    assert (code, "1-of-2: other micrographs were at hand for this shard" in line) == (65, True)
    second.write_text(kept.replace('"n_abstained"', '"n_others"'))
    code, line = merge()
    assert (code, "score-shard.json: damaged" in line) == (65, True)
    second.unlink()
    code, line = merge()
    assert (code, "--shard 1/2 in place of --merge first" in line) == (66, True)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--shard", "0/2"), 2, "--shard 0/2: shards lie beside the record; name that with --out"),
        (("--merge",), 2, "--merge: shards lie beside the record; name that with --out"),
        (("--shard", "0/2", "--merge", "-o", "s.json"), 2, "leave --shard out"),
        (("--shard", "0/6", "-o", "s.json"), 2, "no more than 5 micrographs"),
        (("--merge", "-o", "s.json"), 66, "holds no shards"),
    ],
)
def test_bad_shards_get_one_line(run_mstool, masks, options, code, words):
    ended = run_mstool("score", "m0", "l", *AB, *options)
    assert (ended.code, len(ended.stderr.splitlines()), words in ended.stderr) == (code, 1, True)
    assert not Path("s.json").exists()
    assert not Path("s.json.shards").exists()
