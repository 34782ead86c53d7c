"""Threads of the CPU: how many to use, and whether more than one help."""

import statistics
from dataclasses import dataclass, field
from typing import Any

import torch

from mstool.io.plain import check_values
from mstool.nn.cores import available_cores
from mstool.reporting import Reporter

_OWN_CHOICE = torch.get_num_threads()  # physical cores, or what OMP_NUM_THREADS says
_N_PAIRS = 4  # of steps, one with many threads and one with a single one; the first warms up
_WORTH_IT = 0.9  # share of the time with one thread that many may take, at most
_CLEARLY = 0.5  # share with which no further pair is needed
_MOST_THREADS = 1024  # as of --threads


def use_threads(asked: str, report: Reporter) -> int:
    """Compute with as many threads as ``--threads`` says.

    Parameters
    ----------
    asked : str
        ``auto`` (what torch takes itself, but no more than cores and quota allow), or a number.
    report : Reporter
        Hears of more threads than cores.

    Returns
    -------
    int
        Threads.
    """
    n_cores = available_cores()
    n = min(_OWN_CHOICE, n_cores) if asked == "auto" else int(asked)
    _set_threads(n, n_cores, report)
    return n


def _set_threads(n: int, n_cores: int, report: Reporter) -> None:
    if n > n_cores:
        report.note(f"{n} threads share {n_cores} available cores, which is slower than one each")
    torch.set_num_threads(n)


@dataclass
class ThreadTrial:
    """Whether many threads help, measured in steps of training that are done anyway.

    Attributes
    ----------
    n : int
        Threads to use from now on.
    is_over : bool
        Whether `n` is final; until then steps with `n` threads and with one take turns.
    many_s, one_s : list of float
        Times of steps with many threads, and with one [s].
    """

    n: int
    is_over: bool = True
    many_s: list[float] = field(default_factory=list)
    one_s: list[float] = field(default_factory=list)

    def begin_step(self) -> None:
        """Set the threads whose turn it is."""
        if not self.is_over and len(self.one_s) < len(self.many_s):
            torch.set_num_threads(1)

    def end_step(self, seconds: float) -> str:
        """Take note of the time of a step [s]; give the decision in words once there is one."""
        if self.is_over:
            return ""
        is_one = len(self.one_s) < len(self.many_s)
        (self.one_s if is_one else self.many_s).append(seconds)
        n_many, self.is_over = self.n, is_one and self._is_decided()
        if self.is_over and not self._is_worth_it():
            self.n = 1
        torch.set_num_threads(self.n)
        if not self.is_over:
            return ""
        many_s, one_s = self.medians()
        return (
            f"a step takes {many_s:.3g} s with {n_many} threads and {one_s:.3g} s with one; going "
            f"on with {self.n}"
        )

    def medians(self) -> tuple[float | None, float | None]:
        """Median time of a step with many threads, and with one [s]; None where not measured."""
        many_s, one_s = (_without_first(times) for times in (self.many_s, self.one_s))
        return (
            statistics.median(many_s) if many_s else None,
            statistics.median(one_s) if one_s else None,
        )

    def describe(self, asked: str) -> dict[str, Any]:
        """Give what ``--threads`` asked for and what came of it, for records."""
        many_s, one_s = self.medians()
        return {"asked": asked, "used": self.n, "many_s": many_s, "one_s": one_s}

    def _is_decided(self) -> bool:
        many_s, one_s = self.medians()
        return len(self.one_s) >= _N_PAIRS or many_s <= _CLEARLY * one_s

    def _is_worth_it(self) -> bool:
        many_s, one_s = self.medians()
        return many_s <= _WORTH_IT * one_s


def _without_first(times: list[float]) -> list[float]:
    """Times without the first, in which memory is laid out, if there are others."""
    return times[1:] or times


def begin_trial(
    asked: str, kept: dict[str, Any] | None, may_try: bool, report: Reporter
) -> ThreadTrial:
    """Set the threads with which a training begins, or goes on.

    Parameters
    ----------
    asked : str
        As for `use_threads`. The threads of an unfinished training are kept with ``auto``, since
        others would change the rounding of its weights; a number wins over them.
    kept : dict or None
        Trial of the unfinished training, as ``dataclasses.asdict`` gave it.
    may_try : bool
        Whether ``auto`` may find out if many threads help.
    report : Reporter
        Hears of a number that changes, or exceeds the cores.

    Returns
    -------
    ThreadTrial
        For `Fit`.

    Raises
    ------
    TypeError, KeyError, ValueError
        If `kept` is no trial.
    """
    if kept:
        check_values(ThreadTrial, kept)
        if not 1 <= kept["n"] <= _MOST_THREADS:
            raise ValueError(f"{kept['n']} threads")
    if asked == "auto" and kept:
        trial = ThreadTrial(**kept)
        _set_threads(trial.n, available_cores(), report)
        return trial
    n = use_threads(asked, report)
    if kept and kept["n"] != n:
        report.note(
            f"going on with {n} threads after {kept['n']}: the weights will differ, in rounding, "
            "from those of a training in one go; --threads auto keeps the number"
        )
    return ThreadTrial(n, is_over=asked != "auto" or not may_try or n == 1)
