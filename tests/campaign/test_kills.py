"""Verbs that are killed at any moment, and the same command once more."""

import os
import random
import signal

import pytest

N_MOMENTS = int(os.environ.get("CAMPAIGN_KILLS", "25"))


def try_kills(bench, n_moments, seed, table):
    """Kill a verb at moments of its run, and go on; give the faults."""
    faults = []
    for number in range(n_moments):
        draw = random.Random(f"{seed} {bench.verb} {number}")
        moment = draw.uniform(0, bench.took_s)
        bench.empty()
        killed, ended = bench.run(limit_s=moment), bench.run()
        fault = bench.name_fault(ended)
        if killed["code"] not in (-signal.SIGKILL, 0):
            fault = f"exit code {killed['code']} before the kill"
        what = f"{bench.verb}, killed after {moment:.3f} of {bench.took_s:.3f} s"
        table.count("kill -9, and again", fault or "done", f"{what}: {ended['stderr'][-400:]}")
        if fault:
            faults.append(f"{what}: {fault}: {ended['stderr'][-400:].strip()}")
    return faults


@pytest.mark.parametrize("verb", ["tile", "split", "stitch"], indirect=True)
def test_a_killed_verb_goes_on(bench, table):
    assert not try_kills(bench, 1, 0, table)


@pytest.mark.slow
def test_verbs_that_are_killed_at_any_moment_go_on(bench, table):
    assert not try_kills(bench, N_MOMENTS, 1, table)
