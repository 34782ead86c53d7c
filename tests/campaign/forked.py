"""Runs commands of mstool, each in a process forked from this one, which has loaded the libraries.

Reads a JSON list of cases a line on standard input, which run beside each other: ``argv``, ``cwd``,
``limit_s``, after which it is killed, ``limit_mb``, the memory above that of the libraries, and
``after_s``, when it begins. Writes a list a line: ``pid``, ``code`` (negative where a signal ended
it), ``stdout``, ``stderr``, ``s`` and ``mb``, the peak above the libraries.
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


class Command:
    """A command that runs in a process of its own."""

    def __init__(self, case: dict):
        self.streams = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - until it ends
        self.began = time.monotonic()
        self.deadline = self.began + case["limit_s"]
        self.pid = os.fork()
        if self.pid == 0:
            _become(case, *(stream.fileno() for stream in self.streams))

    def look(self) -> dict | None:
        """Say how it ended; None while it runs. Kill it at its limit."""
        if time.monotonic() > self.deadline:
            os.kill(self.pid, signal.SIGKILL)
        ended, status, usage = os.wait4(self.pid, os.WNOHANG)
        if not ended:
            return None
        took_s = time.monotonic() - self.began
        said = []
        for stream in self.streams:
            stream.seek(0)
            said.append(stream.read().decode(errors="backslashreplace"))
            stream.close()
        return {
            "pid": self.pid,
            "code": os.waitstatus_to_exitcode(status),
            "stdout": said[0],
            "stderr": said[1],
            "s": took_s,
            "mb": max(0.0, usage.ru_maxrss / 1024 - OWN_MB),
        }


def run(cases: list[dict]) -> list[dict]:
    """Run commands beside each other and say how each ended."""
    began, running, ended = time.monotonic(), {}, {}
    while len(ended) < len(cases):
        for number, case in enumerate(cases):
            is_due = time.monotonic() - began >= case["after_s"]
            if number not in running and is_due:
                running[number] = Command(case)
            if number in running and number not in ended and (how := running[number].look()):
                ended[number] = how
        time.sleep(0.002)
    return [ended[number] for number in range(len(cases))]


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


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    load_libraries()
    OWN_MB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
