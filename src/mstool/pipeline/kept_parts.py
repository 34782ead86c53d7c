"""Parts of long work, kept on disk so that an interrupted run goes on from them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstool.io.records import read_record, to_plain, write_record
from mstool.reporting import Reporter

PARTS = ".parts"


@dataclass(frozen=True)
class KeptParts:
    """Results of parts, a file each, in an output folder that has been claimed.

    Attributes
    ----------
    folder : Path
        The output folder.
    report : Reporter
        Told when a part begins and ends, with ``-v``.
    """

    folder: Path
    report: Reporter

    def has(self, name: str) -> bool:
        """Whether an earlier run has finished a part."""
        return self._path(name).is_file()

    def make(self, name: str, make: Callable[[], Any]) -> Any:
        """Result of a part as plain JSON values, made now or by an earlier run."""
        if self.has(name):
            return read_record(self._path(name))["part"]
        began = time.monotonic()
        self.report.detail(f"{name} ...")
        part = to_plain(make())
        self._path(name).parent.mkdir(parents=True, exist_ok=True)
        write_record(self._path(name), {"part": part})
        self.report.detail(f"{name}: {time.monotonic() - began:.0f} s")
        return part

    def make_in_time(
        self, name: str, make: Callable[[], Any], is_late: bool, left_out: list[str]
    ) -> Any:
        """Like `make`; if time is up and there is no result yet, None, and the name is noted."""
        if is_late and not self.has(name):
            left_out.append(name)
            return None
        return self.make(name, make)

    def sweep(self) -> None:
        """Remove all parts, once the record holds them."""
        for path in sorted((self.folder / PARTS).glob("*.json")):
            path.unlink()
        if (self.folder / PARTS).is_dir():
            (self.folder / PARTS).rmdir()

    def _path(self, name: str) -> Path:
        return self.folder / PARTS / f"{name}.json"
