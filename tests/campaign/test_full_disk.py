"""Verbs whose disk is full, and the same command once there is room."""

import random
import subprocess
from contextlib import contextmanager

import pytest

from mstool.io.atomic import is_temporary
from mstool.io.lock import LOCK

FILLER = "filler"  # a page, so that a disk without room can be had: size=0 is one without end
PAGE = 4096


@contextmanager
def small_disk(folder, n_pages):
    """A file system of so many pages in place of a folder."""
    options = ["-t", "tmpfs", "-o", f"size={(n_pages + 1) * PAGE}", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no right to mount a small file system: {mounted.stderr.strip()}")
    try:
        (folder / FILLER).write_bytes(bytes(PAGE))
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_room(folder):
    """Give the file system all the room that a verb may want."""
    options = ["-o", "remount,size=1g", str(folder)]
    subprocess.run(["mount", *options], check=True)
    (folder / FILLER).unlink()


def name_fault(ended, out):
    """What is wrong with how a verb ended whose disk was full; empty if nothing is."""
    lines = ended["stderr"].splitlines()
    if ended["code"] != 74:
        return f"exit code {ended['code']}"
    if len(lines) != 1:
        return f"{len(lines)} lines"
    if f"{out.name}/" not in lines[0]:
        return "does not name the file"
    left = [path for path in out.rglob("*") if is_temporary(path) or path.name == LOCK]
    return f"stale files {' '.join(path.name for path in left)}" if left else ""


def try_disks(bench, n_disks, seed, table):
    """Let a verb run out of room, and go on with more; give the faults."""
    faults = []
    for number in range(n_disks):
        n_pages = random.Random(f"{seed} {bench.verb} {number}").randrange(bench.n_pages)
        with small_disk(bench.out, n_pages):
            full = bench.run()
            fault = name_fault(full, bench.out)
            make_room(bench.out)
            ended = bench.run()
            fault = fault or bench.name_fault(ended)
        what = f"{bench.verb} with room for {n_pages} of {bench.n_pages} pages"
        said = f"{full['stderr'][-300:]} / {ended['stderr'][-300:]}"
        table.count("full disk, and again", fault or "done", f"{what}: {said}")
        if fault:
            faults.append(f"{what}: {fault}: {said}")
    return faults


@pytest.mark.parametrize("verb", ["tile", "split"], indirect=True)
def test_a_full_disk_is_said_and_gone_on_from(bench, table):
    assert not try_disks(bench, 1, 0, table)


@pytest.mark.slow
def test_verbs_whose_disk_is_full_say_so_and_go_on(bench, table):
    assert not try_disks(bench, 4, 1, table)
