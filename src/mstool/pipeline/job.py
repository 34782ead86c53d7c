"""One run of a verb that fills a folder: how it begins, and what its record says of it."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from mstool.errors import InputError
from mstool.io.lock import refuse_locked
from mstool.io.outputs import OutputFolder
from mstool.io.records import Run, hash_inputs, read_record, relative_to
from mstool.pipeline.shards import Parts, Shard, disagreement, open_parts
from mstool.reporting import Reporter
from mstool.stopping import raise_if_stopped

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """Where a verb writes, and whom it tells."""

    out: Path
    overwrite: bool
    report: Reporter
    run: Run = field(default_factory=Run)
    is_merge: bool = False  # whether to join shards, and do nothing else
    shard: Shard | None = None  # what is done of the work; None for all of it
    whole: Path | None = None  # for a shard, the record of all of the work, in the end

    def divided(self, shard: Shard | None, whole: Path) -> "Job":
        """Job of a shard, which has a folder of its own; this one for None.

        `whole` is where the record of all of the work is to be in the end.
        """
        if shard is None:
            return self
        return replace(self, out=shard.folder(self.out), shard=shard, whole=whole)

    def share(self, items: Sequence[Item], what: str) -> list[Item]:
        """Items that this job works on; see `Shard.share`."""
        return list(items) if self.shard is None else self.shard.share(items, what)

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
        if self._is_merged({"settings": settings, "inputs": hashes}):
            self.report.note(f"{self.whole}: nothing left to do; its shards are merged")
            return None
        state = folder.claim(settings, hashes, self.overwrite, pieces)
        if state == "done":
            self.report.note(f"{self.out}: nothing left to do")
            return None
        return Work(self.run, folder, state, hashes, settings, pieces, self.shard)

    def _is_merged(self, claim: dict[str, Any]) -> bool:
        if self.whole is None or self.overwrite or not self.whole.is_file():
            return False
        whole, place = read_record(self.whole), self.whole.parent
        return not whole.get("left_out") and not disagreement(claim, self.out, whole, place)

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
    inputs: dict[str, str | None]  # hash of each by path relative to the folder; None if left out
    settings: dict[str, Any]
    pieces: Callable[[], Iterable[Path]]  # files without which the folder is not whole
    shard: Shard | None = None  # what is done of the work; None for all of it

    def filling(self) -> AbstractContextManager[None]:
        """Take the folder back if an input is unusable; see `OutputFolder.filling`."""
        return self.folder.filling(self.state)

    def describe(self, device: str = "cpu", threads: int = 1) -> dict[str, Any]:
        """Give the keys that every record begins with; the time in them ends now."""
        shard = {} if self.shard is None else {"shard": str(self.shard)}
        return {
            "mstool": self.run.facts(Path(self.folder.record).stem, device, threads),
            "status": "done",
            "inputs": self.inputs,
            "settings": self.settings,
            **shard,
        }

    def leave_out(self, paths: Iterable[Path]) -> None:
        """Say that inputs are not used: the same command may find others in their place."""
        self.inputs.update((relative_to(path, self.folder.path), None) for path in paths)
        self.folder.write_claim(self.settings, self.inputs)

    def open_parts(self, record: str = "") -> Parts:
        """Open the shards of this work, and see that they belong together.

        Their records are named as that of the whole, or by `record`.

        Raises
        ------
        MissingInputError, InputError, OutputExistsError
            If one is missing, still at work, or of other settings or inputs.
        """
        parts = open_parts(self.folder.path, record or self.folder.record)
        parts.check({"settings": self.settings, "inputs": self.inputs}, self.folder.path)
        return parts

    def gather(self, parts: Parts, names: Iterable[str]) -> None:
        """Put what the shards have made, of these names, into the folder.

        Raises
        ------
        InputError
            If something is missing then, as where inputs came to be in between.
        """
        parts.gather(names, self.folder.path)
        if lost := next((path for path in self.pieces() if not path.is_file()), None):
            raise InputError(f"{lost}: no shard has made it; run the shards again, and merge then")

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

    def finish_merge(self, record: dict[str, Any], parts: Parts) -> None:
        """Write the record of work that is joined of shards.

        They are then taken away, unless something is left out, which they can still make.
        """
        run = record["mstool"] | {"device": parts.device, "threads": parts.threads}
        self.finish(record | {"mstool": run, "shards": parts.describe()})
        if not record.get("left_out"):
            parts.remove(self.folder)
