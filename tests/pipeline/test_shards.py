"""Work divided, and what keeps shards from being joined."""

import json
import os

import pytest

from mstool.errors import InputError, MissingInputError, OutputExistsError, UsageError
from mstool.io.lock import LOCK, hold_file
from mstool.io.outputs import OutputFolder
from mstool.pipeline import shards
from mstool.pipeline.shards import Shard, disagreement, open_parts, parse_shard


def array(task, first, last, step=1):
    values = task, first, last, step, (last - first) // step + 1
    names = ("ID", "MIN", "MAX", "STEP", "COUNT")
    return {
        f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in zip(names, values, strict=True)
    }


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_each_item_is_in_one_shard_and_shares_are_alike(count):
    parts = [Shard(index, count).share(range(7), "tiles") for index in range(count)]
    assert sorted(item for part in parts for item in part) == list(range(7))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_shards_without_work_are_refused():
    with pytest.raises(UsageError, match=r"--shard 0/4: there are no more than 3 micrographs"):
        Shard(0, 4).share("abc", "micrographs")


@pytest.mark.parametrize("text", ["3/3", "1", "-1/3", "a/b", "0/0", "", "1/3/4", "AUTO"])
def test_what_names_no_shard_is_refused(text):
    with pytest.raises(UsageError, match="--shard"):
        parse_shard(text, {"RANK": "0", "WORLD_SIZE": "2"})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (array(0, 0, 2), Shard(0, 3)),
        (array(3, 1, 3), Shard(2, 3)),
        (array(14, 10, 18, 4), Shard(1, 3)),
        ({"RANK": "1", "WORLD_SIZE": "4"}, Shard(1, 4)),
        (array(2, 1, 2) | {"RANK": "1", "WORLD_SIZE": "2"}, Shard(3, 4)),
    ],
)
def test_shards_are_told_by_the_environment(environment, expected):
    assert parse_shard("auto", environment) == expected


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "0"},
        {"SLURM_ARRAY_TASK_ID": "1"},
        array(1, 1, 7) | {"SLURM_ARRAY_TASK_COUNT": "3"},  # --array=1,5,7
        array(2, 1, 7, 2),
        {"RANK": "x", "WORLD_SIZE": "2"},
        {"RANK": "2", "WORLD_SIZE": "2"},
    ],
)
def test_an_environment_that_tells_no_shard_is_refused(environment):
    with pytest.raises(UsageError, match="--shard (auto|2/2):"):
        parse_shard("auto", environment)


def write_shard(out, index, count, settings=None):
    folder = Shard(index, count).folder(out)
    folder.mkdir(parents=True)
    run = {"device": "cpu", "threads": 1, "elapsed_s": 1.0}
    record = {"mstool": run, "settings": settings or {}, "inputs": {}, "n": index}
    (folder / "a.json").write_text(json.dumps(record))
    (folder / "probs").mkdir()
    (folder / "probs" / f"{index}.tif").write_text(str(index))
    return folder


def test_all_shards_are_joined_and_taken_away(tmp_path, monkeypatch):
    out = tmp_path / "out"
    for index in range(3):
        write_shard(out, index, 3)
    out.mkdir()
    found = open_parts(out, "a.json")
    found.check({"settings": {}, "inputs": {}}, out)
    assert (found.total("n"), found.elapsed_s(), found.device) == (3, 3.0, "cpu")
    found.gather(["probs"], out)
    assert os.stat(out / "probs/0.tif").st_nlink == 2
    (out / "probs/1.tif").unlink()
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError))
    found.gather(["probs"], out)
    found.remove(OutputFolder(out, "a.json", ("probs",)))
    assert sorted(path.read_text() for path in (out / "probs").iterdir()) == ["0", "1", "2"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_missing_shard_is_named(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(MissingInputError, match="holds no shards"):
        open_parts(out, "a.json")
    write_shard(out, 0, 3)
    (write_shard(out, 1, 3) / "a.json").unlink()
    with pytest.raises(MissingInputError, match=r"1-of-3: .*--shard 1/3"):
        open_parts(out, "a.json")
    write_shard(out, 0, 2)
    with pytest.raises(InputError, match="shards of 2 and of 3"):
        open_parts(out, "a.json")


def test_a_shard_at_work_is_told_as_such(tmp_path):
    folder = write_shard(tmp_path / "out", 0, 1)
    (folder / "a.json").unlink()
    with open(folder / LOCK, "w") as lock:
        hold_file(lock.fileno())
        with pytest.raises(OutputExistsError, match="0-of-1: another process is at work"):
            open_parts(tmp_path / "out", "a.json")


def test_what_a_killed_shard_left_is_not_gathered(tmp_path):
    out = tmp_path / "out"
    (write_shard(out, 0, 1) / "probs" / ".mstool-0.ab12_9zz.tif").touch()
    open_parts(out, "a.json").gather(["probs"], out)
    assert os.listdir(out / "probs") == ["0.tif"]


def test_shards_of_other_settings_are_named(tmp_path):
    out = tmp_path / "out"
    write_shard(out, 0, 2, {"tta": "none"})
    write_shard(out, 1, 2, {"tta": "d4"})
    with pytest.raises(InputError, match=r'1-of-2: .*tta \("d4", now "none"\)'):
        open_parts(out, "a.json").check({"settings": {"tta": "none"}, "inputs": {}}, out)


def test_a_shard_reads_no_more_than_the_whole(tmp_path):
    out, part = tmp_path / "out", tmp_path / "out.shards" / "0-of-2"
    whole = {"settings": {"size": (1, 2)}, "inputs": {"../a": "1", "../b": "2"}}
    assert disagreement({"settings": {"size": [1, 2]}, "inputs": {}}, part, whole, out) is None
    own = {"settings": {"size": [1, 2]}, "inputs": {"../../b": "2"}}
    assert disagreement(own, part, whole, out) is None
    assert disagreement(own | {"inputs": {"../../b": None}}, part, whole, out) is None  # left out
    for inputs in ({"../../b": "3"}, {"../../c": "2"}):
        assert "another" in disagreement(own | {"inputs": inputs}, part, whole, out)


def test_settings_of_hardware_are_those_of_the_shards(tmp_path):
    out = tmp_path / "out"
    assert shards.find_setting(out, "a.json", "precision") is None
    write_shard(out, 1, 2, {"precision": "bf16"})
    assert shards.find_setting(out, "a.json", "precision") == "bf16"
