"""Fixtures that several folders use."""

import signal
import sys
from typing import NamedTuple

import pytest


class Ended(NamedTuple):
    """How a call of mstool ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def run_mstool(monkeypatch, capsys):
    """Call ``mstool`` in this process; give its exit code, standard output and standard error."""

    def run(*arguments):
        from mstool.cli import main
        from mstool.commands.stopping import EXIT_CODES

        before = {number: signal.getsignal(number) for number in EXIT_CODES}
        monkeypatch.setattr(sys, "argv", ["mstool", *map(str, arguments)])
        capsys.readouterr()
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return run
