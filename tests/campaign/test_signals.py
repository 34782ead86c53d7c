"""Signals while a freshly started verb loads its libraries, and soon after."""

import functools
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mstool.stopping import EXIT_CODES

SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGQUIT"]
DEAF_STARTS = 5  # of a Python that does nothing: until a verb hears of signals, at the latest
LIMIT_S = 60.0


def start(argv, cwd):
    """A verb in a new Python, with signals as a shell gives them to what runs before it."""

    def prepare():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for name in SIGNALS:  # ignored by what runs in the background
            signal.signal(getattr(signal, name), signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "mstool", *argv],
        cwd=cwd,
        preexec_fn=prepare,  # noqa: PLW1509 - it takes no lock
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@functools.cache
def start_s():
    """Time on a CPU that a Python takes which does nothing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def hears(process):
    """Whether a process has a handler for the signal that means the end, or should have."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    on_cpu_s = int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9
    return bool(caught >> (signal.SIGTERM - 1) & 1) or on_cpu_s > DEAF_STARTS * start_s()


def name_fault(code, said, number, heard, is_over):
    """What is wrong with how a verb ended that was signalled; empty if nothing is.

    What Python itself says of an interrupt, before it has begun with mstool, is its own.
    """
    if "KeyboardInterrupt" in said and not heard and "mstool/__main__.py" not in said:
        return ""
    if "Traceback" in said:
        return "a traceback"
    if code == EXIT_CODES[number]:
        return "" if said.count("\n") <= 1 else f"{said.count(chr(10))} lines"
    if code == 0:
        return "" if is_over else "a lost signal"
    if code == -number:
        return "" if is_over or not heard else "dead by the signal"
    return f"exit code {code}"


def try_signals(bench, n_signals, seed, table):
    """Signal a verb that has just been started; give the faults."""
    faults = []
    for case in range(n_signals):
        draw = random.Random(f"{seed} {bench.verb} {case}")
        name, moment = draw.choice(SIGNALS), draw.uniform(0, 1)
        number = getattr(signal, name)
        bench.empty()
        with start([*bench.argv, "-q"], bench.cwd) as process:
            time.sleep(moment)
            heard = hears(process)
            is_over = all((bench.out / name).exists() for name in bench.made)
            process.send_signal(number)
            try:
                said = process.communicate(timeout=LIMIT_S)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                said = "does not end"
        fault = name_fault(process.returncode, said, number, heard, is_over)
        ending = "done" if process.returncode == 0 else "refused"
        what = f"{bench.verb}, {name} after {moment:.3f} s"
        table.count("signals in the first second", fault or ending, f"{what}: {said[-400:]}")
        if fault:
            faults.append(f"{what}: {fault}: {said[-1500:].strip()}")
    return faults


needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/schedstat"), reason="no /proc that tells who hears of signals"
)


@needs_proc
@pytest.mark.parametrize("verb", ["tile", "predict"], indirect=True)
def test_a_signal_at_the_start_ends_a_verb(bench, table):
    assert not try_signals(bench, 1, 0, table)


@needs_proc
@pytest.mark.slow
def test_signals_in_the_first_second_end_a_verb(bench, table):
    assert not try_signals(bench, 12, 1, table)
