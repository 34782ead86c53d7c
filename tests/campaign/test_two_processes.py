"""Two processes that fill the same folder at the same time."""

import random

import pytest

FOLDERS = ["phantom", "tile", "pretrain", "train", "predict", "stitch"]
FOLDERS += ["segment", "explain", "domain-shift"]


def name_fault(bench, first, second, overwrites):
    """What is wrong with how two runs of a verb ended; empty if nothing is."""
    worked = [ended for ended in (first, second) if ended["code"] == 0]
    refused = [ended for ended in (first, second) if ended["code"] == 73]
    if len(worked) == len(refused) == 1:
        if f"process {worked[0]['pid']} is at work" not in refused[0]["stderr"]:
            return "does not name the process"
    elif len(worked) < 2:
        return f"exit codes {first['code']} and {second['code']}"
    elif not overwrites and sum("nothing left to do" in each["stderr"] for each in worked) != 1:
        return "both worked"
    return bench.name_difference()


def try_pairs(bench, n_pairs, seed, table):
    """Start a verb twice, at moments of its run; give the faults."""
    faults = []
    for number in range(n_pairs):
        draw = random.Random(f"{seed} {bench.verb} {number}")
        at_s, overwrites = draw.uniform(0, 1.2 * bench.took_s), bool(number % 2)
        bench.empty()
        first, second = bench.run_twice(at_s, *["--overwrite"] * overwrites)
        fault = name_fault(bench, first, second, overwrites)
        said = f"{first['stderr'][-300:]} / {second['stderr'][-300:]}"
        what = f"{bench.verb}{' --overwrite' * overwrites}, again after {at_s:.3f} s"
        is_done = first["code"] == second["code"] == 0
        table.count("two processes", fault or ("done" if is_done else "refused"), f"{what}: {said}")
        if fault:
            faults.append(f"{what}: {fault}: {said}")
    return faults


@pytest.mark.parametrize("verb", ["tile"], indirect=True)
def test_one_of_two_processes_works(bench, table):
    assert not try_pairs(bench, 2, 0, table)


@pytest.mark.slow
@pytest.mark.parametrize("verb", FOLDERS, indirect=True)
def test_of_two_processes_at_any_moment_one_works(bench, table):
    assert not try_pairs(bench, 4, 1, table)
