"""Parts of long work: made within a budget, and kept on disk so that the same command goes on."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from mstool.io.plain import from_plain, to_plain
from mstool.io.records import Run, read_record, write_record
from mstool.nn.outlook import in_words
from mstool.reporting import Reporter

PARTS = ".parts"

_CLEARLY = 1.2  # times a budget, from which on it is said that it was too small

Part = TypeVar("Part")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Budget:
    """Time that a run may take. It decides what is done now, and never what the result means."""

    deadline: float = float("inf")  # monotonic clock from which on nothing is begun [s]
    began: float = 0.0  # when the run was started, by the same clock [s]

    @property
    def is_spent(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() > self.deadline

    @property
    def left_s(self) -> float:
        """Time until the deadline [s], at least 0; infinite without one."""
        return max(0.0, self.deadline - time.monotonic())

    def fits(self, seconds: float) -> bool:
        """Whether work of so many seconds would end in time."""
        return not self.is_spent and seconds <= self.left_s

    def share(self, share: float) -> "Budget":
        """Budget of one piece of the work: a share of the time that is left, from 0 to 1."""
        if self.deadline == float("inf"):
            return self
        return replace(self, deadline=self.deadline - (1 - share) * self.left_s)

    @property
    def excess_s(self) -> float | None:
        """Seconds that the run has taken, where that is clearly more than the budget; else None."""
        took_s = time.monotonic() - self.began
        return took_s if took_s > _CLEARLY * (self.deadline - self.began) else None

    def paced(self, items: Sequence[Item]) -> Iterator[Item]:
        """Items while one more would end in time, at the pace so far; the first in any case."""
        began = time.monotonic()
        for number, item in enumerate(items):
            if number and not self.fits((time.monotonic() - began) / number):
                return
            yield item


def start_budget(run: Run, max_time_s: float | None) -> Budget:
    """Budget of ``--max-time``, counted from the start of the run; without end for None."""
    return Budget() if max_time_s is None else Budget(run.clock + max_time_s, run.clock)


@dataclass(frozen=True)
class KeptParts:
    """Parts of one output folder, a file each.

    A part is a frozen dataclass, or a tuple of them. One that lacks something for want of time says
    so in a field ``left_out``, a tuple of str; it is used as it is while the budget is spent, and
    made anew when there is time. All that there was no time for, whole parts and pieces of them, is
    in `left_out`, which grows as parts are made.
    """

    folder: Path  # the output folder, which has been claimed
    budget: Budget
    report: Reporter
    left_out: list[str] = field(default_factory=list)

    def make(
        self,
        name: str,
        kind: type[Part],
        make: Callable[[], Part],
        is_quick: bool = False,
        needs_s: float = 0.0,
    ) -> Part | None:
        """Part of a `kind` as an earlier run has left it, or made now; a quick one in any case.

        None if there was neither a part nor the time that it needs at least [s]; `left_out` then
        has the name.
        """
        part = self._read(name, kind)
        is_whole = part is not None and not getattr(part, "left_out", ())
        may_begin = is_quick or not (self.budget.is_spent or needs_s > self.budget.left_s)
        if not is_whole and may_begin:
            part = self._make_now(name, kind, make)
        if part is None:
            self.left_out.append(name)
        else:
            self.left_out.extend(getattr(part, "left_out", ()))
        return part

    def has(self, name: str) -> bool:
        """Whether an earlier run has left a part, whole or not."""
        return self._path(name).is_file()

    def forget(self, name: str) -> None:
        """Drop a part, since what it speaks of is gone."""
        self._path(name).unlink(missing_ok=True)

    def say_excess(self) -> None:
        """Say how long it took, where that is more than the budget."""
        took_s = self.budget.excess_s
        if took_s is not None:
            self.report.note(
                f"--max-time: took {in_words(took_s)}, since the least that is made takes so long "
                "here; give at least that"
            )

    def _read(self, name: str, kind: type[Part]) -> Part | None:
        """Part on disk, if this version made it: another may have meant other numbers by it."""
        path = self._path(name)
        if not path.is_file():
            return None
        kept = read_record(path)
        try:
            if kept["version"] == version("mstool"):
                return from_plain(kind, kept["part"])
        except (KeyError, TypeError, ValueError):
            pass
        self.report.note(f"{path}: was left by another version of mstool, and is not used")
        return None

    def _make_now(self, name: str, kind: type[Part], make: Callable[[], Part]) -> Part:
        began = time.monotonic()
        self.report.note(f"{name} ...")
        plain = to_plain(make())
        self._path(name).parent.mkdir(parents=True, exist_ok=True)
        write_record(self._path(name), {"version": version("mstool"), "part": plain})
        self.report.detail(f"{name}: {time.monotonic() - began:.0f} s")
        return from_plain(kind, plain)  # as a later run would find it

    def _path(self, name: str) -> Path:
        return self.folder / PARTS / f"{name}.json"
