"""Output folders that resume: claimed at the start, complete when their record exists."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mstool.errors import (
    InputError,
    MissingInputError,
    OutputError,
    OutputExistsError,
    UnavailableError,
    UsageError,
)
from mstool.io.atomic import TEMPORARY, is_temporary, sweep_beside
from mstool.io.lock import LOCK, lock_folder, refuse_locked, unlock_folder
from mstool.io.records import hash_inputs, read_record, says_the_same, to_json, write_record

_YOUNG_S = 600.0  # what a run beside this one may still be writing, where there are no locks


@dataclass(frozen=True)
class OutputFolder:
    """A folder that one verb fills."""

    path: Path
    record: str  # name of the record that is written last, such as tiles.json
    contents: tuple[str, ...]  # what the verb makes in it; `overwrite` removes this and no more
    scratch: tuple[str, ...] = ()  # and what only unfinished work needs, to go on from

    @property
    def claim_path(self) -> Path:
        """File that holds settings and inputs while the work is unfinished."""
        return name_claim(self.path, self.record)

    def claim(
        self,
        settings: dict[str, Any],
        inputs: Mapping[str, str | None],
        overwrite: bool = False,
        pieces: Callable[[], Iterable[Path]] = tuple,
    ) -> Literal["new", "unfinished", "done"]:
        """Take the folder for work with these settings and inputs, and lock it until that ends.

        Parameters
        ----------
        settings, inputs : dict
            What decides the result, and the hash of each input by path relative to the folder. One
            that an earlier run has left out, by `write_claim` or in its record, may be another.
        pieces : callable
            Gives the files without which finished work is not whole; asked only of such.

        Returns
        -------
        {"new", "unfinished", "done"}
            Whether nothing, some or all of this very work is there already. A record whose
            ``left_out`` names what there was no time for is not all.

        Raises
        ------
        OutputExistsError
            If the folder holds other work: made with other settings or inputs, or not by mstool;
            or if another process is at work in it.
        UsageError
            If an input lies in what this verb writes, and would be overwritten.
        """
        refuse_locked(self.path)
        self._refuse_own_inputs(inputs)
        self._refuse_foreign()
        self.path.mkdir(parents=True, exist_ok=True)
        is_alone = lock_folder(self.path)
        try:
            state = self._take({"settings": settings, "inputs": inputs}, overwrite, pieces)
            self._sweep(0.0 if is_alone else _YOUNG_S)
        except BaseException:
            unlock_folder(self.path)
            raise
        if state == "done":
            unlock_folder(self.path)
        return state

    def write_claim(self, settings: dict[str, Any], inputs: Mapping[str, str | None]) -> None:
        """Say what is made here until the record does; None for an input that is left out.

        It names the contents too, since other work may begin where this one has ended half-way.
        """
        claim = {"settings": settings, "inputs": inputs, "contents": self.contents}
        write_record(self.claim_path, claim)

    @contextmanager
    def filling(self, state: str) -> Iterator[None]:
        """Take a new folder back if an input turns out to be unusable.

        Finished pieces are kept after an interruption or a full disk, and whatever an earlier run
        has finished is kept in any case, since the same command can go on from it. `state` is what
        `claim` gave.
        """
        try:
            yield
        except (InputError, MissingInputError, UnavailableError, UsageError, MemoryError):
            if state != "new":
                raise
            self.remove()
            raise

    def remove(self) -> None:
        """Take away all that the verb makes, and the folder too if nothing else lies in it."""
        self._clear()
        unlock_folder(self.path)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def finish(self, record: dict[str, Any], pieces: Callable[[], Iterable[Path]] = tuple) -> None:
        """Write the record, which makes the folder complete, and let go of the folder.

        Raises
        ------
        OutputError
            If one of the `pieces`, which are those of `claim`, or of the ``files`` that the record
            names, is not there any more.
        """
        files = self._files_of(record)
        if lost := next((path for path in (*pieces(), *files) if not path.is_file()), None):
            if lost in files:
                self._tidy()  # unfinished work that takes it for made
            raise OutputError(
                f"{lost}: was removed while this run went on; run the same command again"
            )
        write_record(self.path / self.record, record)
        if not record.get("left_out"):
            self._tidy()
        self.claim_path.unlink(missing_ok=True)
        unlock_folder(self.path)

    def list_files(self) -> list[str]:
        """Names of all files that the verb has made here, relative to the folder."""
        found: list[Path] = []
        for path in (self.path / name for name in self.contents):
            found += path.rglob("*") if path.is_dir() else [path]
        made = (path for path in found if path.is_file() and not is_temporary(path))
        return sorted(path.relative_to(self.path).as_posix() for path in made)

    def _take(
        self,
        claim: dict[str, Any],
        overwrite: bool,
        pieces: Callable[[], Iterable[Path]],
    ) -> Literal["new", "unfinished", "done"]:
        state = self._compare(json.loads(to_json(claim)), overwrite)
        if state == "done" and self._is_whole(pieces):
            os.utime(self.path / self.record)  # make compares times
            self._tidy()  # a run may have been killed after its record
            self.claim_path.unlink(missing_ok=True)
            return "done"
        self.write_claim(**claim)
        if state == "new":
            return "new"
        (self.path / self.record).unlink(missing_ok=True)  # not whole, or not any more
        return "unfinished"

    def _compare(
        self, claim: dict[str, Any], overwrite: bool
    ) -> Literal["new", "unfinished", "done"]:
        for path, state in ((self.path / self.record, "done"), (self.claim_path, "unfinished")):
            if not path.is_file():
                continue
            if overwrite:
                self._clear()
                return "new"
            if differences := _differences(read_record(path), claim):
                raise OutputExistsError(
                    f"{self.path}: already there, with other {', '.join(differences)}; choose "
                    "another --out, or start afresh with --overwrite"
                )
            return state  # type: ignore[return-value]
        return "new"

    def _refuse_foreign(self) -> None:
        if any(path.is_file() for path in (self.path / self.record, self.claim_path)):
            return
        if self.path.is_dir():
            is_free = all(path.name == LOCK or is_temporary(path) for path in self.path.iterdir())
        else:
            is_free = not self.path.exists()
        if not is_free:
            raise OutputExistsError(
                f"{self.path}: already there and not made by this verb; choose another --out"
            )

    def _is_whole(self, pieces: Callable[[], Iterable[Path]]) -> bool:
        record = read_record(self.path / self.record)
        if record.get("left_out"):
            return False
        return all(path.is_file() for path in (*pieces(), *self._files_of(record)))

    def _files_of(self, record: dict[str, Any]) -> list[Path]:
        """What a record names as made: a list of names, or a table by name."""
        names = record.get("files", [])
        if not isinstance(names, list | dict) or not all(isinstance(n, str) for n in names):
            path = self.path / self.record
            raise InputError(f"{path}: damaged, files: is no list of names; use --overwrite")
        return [self.path / name for name in names]

    def _refuse_own_inputs(self, inputs: Iterable[str]) -> None:
        made = (self.record, *self.contents, *self.scratch, *_contents_of(self.claim_path))
        for name in inputs:
            if name.split("/")[0] in made:
                raise UsageError(
                    f"{self.path / name}: is an input and lies where the output goes; choose "
                    "another --out"
                )

    def _sweep(self, least_age_s: float) -> None:
        """Remove temporary files of runs that were killed, from what the verb makes alone."""
        found, now = [*self.path.glob(TEMPORARY)], time.time()
        for folder in (self.path / name for name in (*self.contents, *self.scratch)):
            if folder.is_dir() and not folder.is_symlink():
                found += folder.rglob(TEMPORARY)
        for path in filter(is_temporary, found):
            with suppress(OSError):  # gone already, or in a folder that is only to be read
                if now - path.stat().st_mtime >= least_age_s:
                    path.unlink()

    def _clear(self) -> None:
        """Remove all that the verb makes; what is left by a kill on the way is unfinished work."""
        record = self.path / self.record
        made = list(dict.fromkeys([*_contents_of(self.claim_path), *self.contents]))
        if record.is_file():
            write_record(self.claim_path, _read_if_whole(record) | {"contents": made})
            record.unlink()
        for name in (*made, *self.scratch, self.claim_path.name):
            _remove(self.path / name)

    def _tidy(self) -> None:
        """Remove what finished work does not need; what stays harms nobody."""
        for name in self.scratch:
            with suppress(OSError):
                _remove(self.path / name)


def claim_files(
    files: Iterable[Path],
    record: Path,
    settings: Mapping[str, Any],
    inputs: Iterable[Path],
    overwrite: bool = False,
) -> dict[str, str]:
    """SHA-256 of each input by its path relative to a record, if that may be written, and `files`.

    For what fills no folder of its own; see `OutputFolder` for what does.

    Raises
    ------
    OutputExistsError
        If one is there, unless it is to be overwritten, or the record, or the claim that a killed
        run has left in its place, is of the same inputs and settings.
    """
    hashes = hash_inputs(inputs, record.parent)
    files, known = (*files, record), (record, name_claim(record.parent, record.name))
    for path in {*files, *known}:
        sweep_beside(path)
    there = [path for path in files if path.exists()]
    is_mine = any(says_the_same(path, settings, hashes) for path in known)
    if there and not overwrite and not is_mine:
        raise OutputExistsError(
            f"{there[0]}: already there, with other inputs or settings; choose another --out, or "
            "replace it with --overwrite"
        )
    return hashes


def is_unfinished(folder: Path, record: str) -> bool:
    """Whether a verb that writes this record last began to fill a folder and has not ended."""
    return name_claim(folder, record).is_file() and not (folder / record).is_file()


def differing_settings(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Settings that differ, each with its value in both, as JSON has them.

    Examples
    --------
    >>> differing_settings({"tta": "none", "size": 48}, {"tta": "d4", "size": 48})
    ['tta ("none", now "d4")']
    """
    return [
        f"{key} ({_short(before.get(key))}, now {_short(after.get(key))})"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def settings_in(folder: Path, record: str) -> dict[str, Any]:
    """Settings with which work in a folder was begun or done; empty where there is none."""
    # in this order, since a run that ends beside this one writes its record, then removes its claim
    for path in (name_claim(folder, record), folder / record):
        if path.is_file():
            with suppress(MissingInputError):
                settings = read_record(path).get("settings")
                return settings if isinstance(settings, dict) else {}
    return {}


def name_claim(folder: Path, record: str) -> Path:
    """File that says what is being made in a folder until its record does."""
    return folder / f".{Path(record).stem}.unfinished.json"


def _contents_of(claim: Path) -> list[str]:
    """What unfinished work says that it makes; nothing but what lies in its folder."""
    names = _read_if_whole(claim).get("contents")
    names = names if isinstance(names, list) else ()
    texts = [name for name in names if isinstance(name, str)]
    return [text for text in texts if text not in ("", "..") and Path(text).name == text]


def _read_if_whole(path: Path) -> dict[str, Any]:
    """Read a record; an empty one where it is damaged, or not there."""
    try:
        return read_record(path)
    except (InputError, MissingInputError):
        return {}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    changed = differing_settings(old.get("settings", {}), new["settings"])
    if not changed and not _same_inputs(old.get("inputs"), new["inputs"]):
        return ["inputs"]
    return changed


def _same_inputs(old: Any, new: dict[str, Any]) -> bool:
    """Whether nothing that was used has changed, and nothing has come that was not known of."""
    if not isinstance(old, dict):
        return False
    left_out = {name for name, sha256 in old.items() if sha256 is None}
    used, found = ({k: v for k, v in each.items() if k not in left_out} for each in (old, new))
    return used == found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."
