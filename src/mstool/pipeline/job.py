"""One run of a verb that fills a folder: how it begins, and what its record says of it."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mstool.io.lock import refuse_locked
from mstool.io.outputs import OutputFolder
from mstool.io.records import Run, hash_inputs
from mstool.reporting import Reporter
from mstool.stopping import raise_if_stopped


@dataclass(frozen=True)
class Job:
    """Where a verb writes, and whom it tells."""

    out: Path
    overwrite: bool
    report: Reporter
    run: Run = field(default_factory=Run)

    def claim(
        self,
        record: str,
        contents: tuple[str, ...],
        settings: dict[str, Any],
        inputs: Iterable[Path],
        pieces: Callable[[], Iterable[Path]] = tuple,
        scratch: tuple[str, ...] = (),
    ) -> "Work | None":
        """Take the folder for work on these files; None, with a note, if all is there already.

        The arguments, and what is raised, are those of `OutputFolder` and its `claim`.
        """
        raise_if_stopped()
        folder = OutputFolder(self.out, record, contents, scratch)
        hashes = hash_inputs(inputs, self.out)
        state = folder.claim(settings, hashes, self.overwrite, pieces)
        if state == "done":
            self.report.note(f"{self.out}: nothing left to do")
            return None
        return Work(self.run, folder, state, hashes, settings, pieces)

    def refuse_busy(self) -> None:
        """See that no other process is at work in the folder, before anything takes time.

        Raises
        ------
        OutputExistsError
            If one is; `claim` looks again.
        """
        refuse_locked(self.out)


@dataclass(frozen=True)
class Work:
    """A folder that a job has claimed, and has to fill."""

    run: Run
    folder: OutputFolder
    state: str  # "new", or "unfinished" where some pieces are there
    inputs: dict[str, str]  # hash of each input by path relative to the folder
    settings: dict[str, Any]
    pieces: Callable[[], Iterable[Path]]  # files without which the folder is not whole

    def filling(self) -> AbstractContextManager[None]:
        """Take the folder back if an input is unusable; see `OutputFolder.filling`."""
        return self.folder.filling(self.state)

    def describe(self, device: str = "cpu", threads: int = 1) -> dict[str, Any]:
        """Give the keys that every record begins with; the time in them ends now."""
        return {
            "mstool": self.run.facts(Path(self.folder.record).stem, device, threads),
            "status": "done",
            "inputs": self.inputs,
            "settings": self.settings,
        }

    def list_files(self) -> list[str]:
        """Names of all that has been made; see `OutputFolder.list_files`."""
        return self.folder.list_files()

    def finish(
        self, record: dict[str, Any], pieces: Callable[[], Iterable[Path]] | None = None
    ) -> None:
        """Write the record, which makes the folder complete; see `OutputFolder.finish`.

        `pieces` are those of the claim, unless the work knows them without reading.
        """
        self.folder.finish(record, self.pieces if pieces is None else pieces)
