import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from mstool.errors import OutputError, OutputExistsError
from mstool.io import lock
from mstool.io.lock import LOCK, is_held, lock_folder, refuse_locked, unlock_folder
from mstool.io.outputs import OutputFolder

HOLD = """
import sys, time
from pathlib import Path
from mstool.io.lock import lock_folder
lock_folder(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""
SETTINGS, INPUTS = {"size": 512}, {"a.tif": "00ff"}


@contextmanager
def held_by_another(path):
    """A process that has locked a folder, and is killed at the end."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path):
    folder = OutputFolder(tmp_path / "tiles", "tiles.json", ("images",))
    folder.claim(SETTINGS, INPUTS)
    (folder.path / "images").mkdir()
    (folder.path / "images" / "a.tif").touch()
    yield folder
    unlock_folder(folder.path)


@pytest.mark.parametrize("overwrite", [False, True])
def test_second_run_is_refused_and_touches_nothing(folder, overwrite):
    unlock_folder(folder.path)
    with held_by_another(folder.path) as process:
        before = sorted(os.listdir(folder.path))
        with pytest.raises(OutputExistsError, match=rf"tiles: process {process.pid} is at work"):
            folder.claim({"size": 1}, INPUTS, overwrite)
        assert sorted(os.listdir(folder.path)) == before
        assert (folder.path / "images" / "a.tif").exists()


def test_folder_is_locked_from_claim_to_record(folder):
    assert is_held(folder.path / LOCK)
    folder.finish({})
    assert not (folder.path / LOCK).exists()


def test_killed_run_keeps_nobody_out(folder):
    unlock_folder(folder.path)
    with held_by_another(folder.path):
        pass
    assert (folder.path / LOCK).exists()  # nobody was there to take it away
    assert folder.claim(SETTINGS, INPUTS) == "unfinished"


def test_folder_with_nothing_but_leftovers_is_free(tmp_path):
    folder = OutputFolder(tmp_path, "tiles.json", ())
    for name in (LOCK, ".mstool-.tiles.unfinished.ab12_9zz.json"):  # killed before its claim
        (tmp_path / name).touch()
    assert folder.claim(SETTINGS, INPUTS) == "new"
    folder.finish({})
    assert os.listdir(tmp_path) == ["tiles.json"]


def test_lock_leaves_nothing_when_work_ends_or_is_refused(folder):
    with pytest.raises(OutputExistsError, match="size"):
        folder.claim({"size": 1}, INPUTS)
    assert LOCK not in os.listdir(folder.path)
    folder.claim(SETTINGS, INPUTS)
    folder.finish({"settings": SETTINGS, "inputs": INPUTS})
    folder.claim(SETTINGS, INPUTS)
    assert sorted(os.listdir(folder.path)) == ["images", "tiles.json"]


def test_fork_does_not_keep_the_lock_of_a_dead_parent(tmp_path):
    lock_folder(tmp_path)
    if (child := os.fork()) == 0:  # as the workers of a training
        signal.pause()
    try:
        os.close(lock._held.pop(os.path.realpath(tmp_path)))  # as if this process had died
        with held_by_another(tmp_path) as process:
            assert (tmp_path / LOCK).read_text().startswith(f"{process.pid} ")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("fails", ["open", "flock", "fcntl"])
def test_work_goes_on_where_there_are_no_locks(folder, monkeypatch, fails):
    def refuse(*arguments):
        raise OSError(37, "No locks available")

    unlock_folder(folder.path)
    if fails == "open":
        monkeypatch.setattr(lock, "_open", refuse)
    elif fails == "flock":
        monkeypatch.setattr(lock.fcntl, "flock", refuse)
    else:
        monkeypatch.setattr(lock, "fcntl", None)
    assert not lock_folder(folder.path)
    assert folder.claim(SETTINGS, INPUTS) == "unfinished"
    folder.finish({})
    assert sorted(os.listdir(folder.path)) == ["images", "tiles.json"]


def test_link_in_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "thesis.doc").write_text("years")
    (tmp_path / LOCK).symlink_to(tmp_path / "thesis.doc")
    assert not lock_folder(tmp_path)
    assert (tmp_path / "thesis.doc").read_text() == "years"


def test_lock_that_was_removed_in_between_is_taken_anew(tmp_path):
    lock_folder(tmp_path)
    (tmp_path / LOCK).unlink()
    assert lock_folder(tmp_path)
    assert (tmp_path / LOCK).exists()
    unlock_folder(tmp_path)


def test_lock_whose_holder_ends_while_it_is_opened_is_taken_anew(tmp_path, monkeypatch):
    whole = lock._open

    def open_what_is_removed(path):
        monkeypatch.setattr(lock, "_open", whole)
        handle = whole(path)
        path.unlink()
        return handle

    monkeypatch.setattr(lock, "_open", open_what_is_removed)
    assert lock_folder(tmp_path)
    assert is_held(tmp_path / LOCK)
    unlock_folder(tmp_path)


def test_lock_that_another_took_in_between_is_left(tmp_path):
    lock_folder(tmp_path)
    (tmp_path / LOCK).unlink()
    with held_by_another(tmp_path):
        unlock_folder(tmp_path)
        assert is_held(tmp_path / LOCK)


def test_a_look_takes_nothing(tmp_path):
    refuse_locked(tmp_path)
    assert os.listdir(tmp_path) == []
    with held_by_another(tmp_path), pytest.raises(OutputExistsError, match="at work"):
        refuse_locked(tmp_path)
    refuse_locked(tmp_path)  # the file of the killed process is still there
    assert os.listdir(tmp_path) == []


def test_a_look_at_a_folder_of_this_run_does_not_let_go_of_it(tmp_path):
    lock_folder(tmp_path)
    refuse_locked(tmp_path)
    assert is_held(tmp_path / LOCK)
    unlock_folder(tmp_path)


def test_holder_is_named_though_a_killed_one_had_a_longer_name(tmp_path):
    (tmp_path / LOCK).write_text(f"1234567 {'a' * 200}\n")
    with (
        held_by_another(tmp_path) as process,
        pytest.raises(OutputExistsError, match=rf": process {process.pid} is at work"),
    ):
        refuse_locked(tmp_path)


def test_no_record_without_its_pieces(folder):
    pieces = [folder.path / "images" / name for name in ("a.tif", "b.tif")]
    with pytest.raises(OutputError, match=r"b\.tif: was removed while"):
        folder.finish({}, lambda: pieces)
    assert not (folder.path / "tiles.json").exists()
    assert folder.claim(SETTINGS, INPUTS) == "unfinished"
