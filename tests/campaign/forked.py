"""Runs commands of mstool, each in a process forked from this one, which has loaded the libraries.

Reads a JSON object a line on standard input: ``argv``, ``cwd``, ``limit_s`` and ``limit_mb``, the
memory above that of the libraries; writes one a line: ``code`` (negative where a signal ended it),
``stdout``, ``stderr``, ``s`` and ``mb``, the peak above the libraries.
"""

import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import mstool.nn
import mstool.pipeline
from mstool.cli import main


def load_libraries() -> None:
    """Import all that a verb may import."""
    for package in (mstool.nn, mstool.pipeline):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    importlib.import_module("segmentation_models_pytorch")
    importlib.import_module("scipy.stats")


def run(case: dict) -> dict:
    """Run one command and say how it ended."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _become(case, out.fileno(), err.fileno())
        status, usage = _wait(pid, began + case["limit_s"])
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode(errors="backslashreplace"))
    return {
        "code": os.waitstatus_to_exitcode(status),
        "stdout": said[0],
        "stderr": said[1],
        "s": time.monotonic() - began,
        "mb": max(0.0, usage.ru_maxrss / 1024 - OWN_MB),
    }


def _become(case: dict, out: int, err: int) -> None:
    """Turn into the command; never returns."""
    code = 70
    try:
        os.chdir(case["cwd"])
        os.dup2(out, 1)
        os.dup2(err, 2)
        most = _address_space() + case["limit_mb"] * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        sys.argv = ["mstool", *case["argv"]]
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException as error:  # what the command line let through
        os.write(2, f"Traceback: {type(error).__name__}: {error}\n".encode())
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)


def _wait(pid: int, deadline: float) -> tuple:
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    load_libraries()
    OWN_MB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
