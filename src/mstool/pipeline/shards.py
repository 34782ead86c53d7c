"""Shards: one piece of work done by several processes, and joined in the end."""

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from mstool.errors import InputError, MissingInputError, UsageError
from mstool.io.atomic import atomic_path, is_temporary
from mstool.io.lock import refuse_locked
from mstool.io.outputs import OutputFolder, differing_settings, settings_in
from mstool.io.records import read_record, relative_to, require_keys, to_json

Item = TypeVar("Item")

_NAME = re.compile(r"(\d{1,6})-of-(\d{1,6})")
_SLURM = tuple(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "COUNT", "MIN", "MAX", "STEP"))
_TORCHRUN = ("RANK", "WORLD_SIZE")


@dataclass(frozen=True)
class Shard:
    """One of several shares of the same work."""

    index: int  # from 0
    count: int  # of all

    def __str__(self) -> str:
        """As ``--shard`` takes it."""
        return f"{self.index}/{self.count}"

    def folder(self, out: Path) -> Path:
        """Folder of this shard, beside that of the whole work."""
        return shards_folder(out) / f"{self.index}-of-{self.count}"

    def share(self, items: Sequence[Item], what: str) -> list[Item]:
        """Items of this shard, which are `what`; each item is in one shard, the same in any run.

        Raises
        ------
        UsageError
            If there are more shards than items.

        Examples
        --------
        >>> [Shard(index, 2).share("abc", "letters") for index in (0, 1)]
        [['a', 'c'], ['b']]
        """
        if self.count > len(items):
            raise UsageError(
                f"--shard {self}: there are no more than {len(items)} {what}; use so many shards "
                "at most"
            )
        return list(items[self.index :: self.count])


def parse_shard(text: str, environment: Mapping[str, str]) -> Shard:
    """Shard that ``0/3`` names; ``auto`` is told by the environment of SLURM arrays and torchrun.

    A process of torchrun inside a task of an array is a shard of both.

    Raises
    ------
    UsageError
        If `text` is neither, or ``auto`` finds nothing, or an array with gaps.

    Examples
    --------
    >>> parse_shard("1/3", {})
    Shard(index=1, count=3)
    >>> parse_shard("auto", {"RANK": "0", "WORLD_SIZE": "4"})
    Shard(index=0, count=4)
    """
    if text == "auto":
        return _find_shard(environment)
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or int(found[1]) >= int(found[2]):
        raise UsageError(f"--shard {text}: give I/N, with I from 0 to N - 1, such as 0/3, or auto")
    return Shard(int(found[1]), int(found[2]))


def shards_folder(out: Path) -> Path:
    """Folder in which the shards of an output folder lie, each in a folder of its own."""
    return Path(f"{out}.shards")


def disagreement(
    part: Mapping[str, Any], folder: Path, whole: Mapping[str, Any], out: Path
) -> str | None:
    """What keeps the claim or record of a shard from being of the whole work; None if nothing.

    Parameters
    ----------
    part, whole : mapping
        With ``settings`` and ``inputs``, those of the whole work more than those of a shard.
    folder, out : Path
        To which the paths of the inputs are relative.
    """
    before, after = (json.loads(to_json(each.get("settings", {}))) for each in (part, whole))
    if changed := differing_settings(before, after):
        return f"other {', '.join(changed)}"
    known = whole.get("inputs", {})
    for name, sha256 in part.get("inputs", {}).items():
        is_used = sha256 is not None  # else the shard has left it out
        if is_used and known.get(relative_to(folder / name, out)) != sha256:
            return f"another {folder / name}"
    return None


@dataclass(frozen=True)
class Part:
    """A shard that is complete."""

    shard: Shard
    folder: Path
    record: dict[str, Any]


@dataclass(frozen=True)
class Parts:
    """All shards of one work, in order."""

    parts: tuple[Part, ...]
    record: str  # name of the file with which each is complete

    @property
    def device(self) -> str:
        """Where networks ran; several where shards differ."""
        return ", ".join(sorted({str(part.record["mstool"]["device"]) for part in self.parts}))

    @property
    def threads(self) -> int:
        """Most threads of a shard."""
        return max(int(part.record["mstool"]["threads"]) for part in self.parts)

    @property
    def engine(self) -> Any:
        """Entry of the program that ran the networks."""
        return self.parts[0].record.get("engine")

    def total(self, key: str) -> float:
        """Sum of a number over the records."""
        return sum(require_keys(part.record, part.folder, key)[0] for part in self.parts)

    def elapsed_s(self) -> float:
        """Time that the shards took, one after the other [s]."""
        return sum(part.record["mstool"]["elapsed_s"] for part in self.parts)

    def describe(self) -> list[dict[str, Any]]:
        """Entries of the record of the whole work."""
        keys = ("started", "elapsed_s", "core_s", "peak_rss_mb", "device", "threads")
        return [
            {"shard": str(part.shard)} | {key: part.record["mstool"].get(key) for key in keys}
            for part in self.parts
        ]

    def check(self, whole: Mapping[str, Any], out: Path) -> None:
        """See that each is of the whole work, of which `whole` is the claim.

        Raises
        ------
        InputError
            If one is not.
        """
        for part in self.parts:
            if found := disagreement(part.record, part.folder, whole, out):
                raise InputError(
                    f"{part.folder}: this shard was made with {found}; run it again with "
                    f"--shard {part.shard} --overwrite, or merge with the options of the shards"
                )

    def check_same(self, key: str, flag: str) -> None:
        """See that all records say the same of what a flag decides, though it is no setting.

        Raises
        ------
        InputError
            If they do not.
        """
        for part in self.parts:
            found, expected = part.record.get(key), self.parts[0].record.get(key)
            if found != expected:
                raise InputError(
                    f"{part.folder}: this shard was made with {flag} {found}, the first with "
                    f"{expected}; run it again with --shard {part.shard} --overwrite"
                )

    def gather(self, names: Iterable[str], out: Path) -> None:
        """Put what the shards have made, files and folders of these names, into one folder.

        Files are linked, and copied where that cannot be; what is there already stays.
        """
        wanted = tuple(names)
        for part in self.parts:
            for path in _files_below(part.folder, wanted):
                target = out / path.relative_to(part.folder)
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _link(path, target)

    def remove(self, whole: OutputFolder) -> None:
        """Take the folders of the shards away, once that of the whole work is complete."""
        for part in self.parts:
            replace(whole, path=part.folder, record=self.record).remove()
        place = self.parts[0].folder.parent
        if not any(place.iterdir()):
            place.rmdir()


def open_parts(out: Path, record: str) -> Parts:
    """Find the shards of an output folder, all of them complete.

    Raises
    ------
    MissingInputError
        If one is not there, or has not ended.
    InputError
        If they are of several divisions.
    OutputExistsError
        If one is still at work.
    """
    place = shards_folder(out)
    found = [_NAME.fullmatch(path.name) for path in place.iterdir()] if place.is_dir() else []
    counts = sorted({int(name[2]) for name in found if name})
    if not counts:
        raise MissingInputError(
            f"{place}: holds no shards; run this command with --shard I/N in place of --merge first"
        )
    if len(counts) > 1:
        raise InputError(
            f"{place}: holds shards of {counts[0]} and of {counts[-1]}; delete those that are not "
            "meant"
        )
    shards = [Shard(index, counts[0]) for index in range(counts[0])]
    return Parts(tuple(_open_part(shard, out, record) for shard in shards), record)


def find_setting(out: Path, record: str, name: str) -> Any:
    """Setting with which shards were made, or what was joined of them; None where it is not known.

    Shards that are at work count too. For what a shard resolves by its hardware, which the machine
    of another shard, or that which merges, need not have.
    """
    places = (*sorted(shards_folder(out).glob("*-of-*")), out)
    found = (settings_in(place, record).get(name) for place in places)
    return next((value for value in found if value is not None), None)


def _find_shard(environment: Mapping[str, str]) -> Shard:
    array, team = Shard(0, 1), Shard(0, 1)
    if not any(name in environment for name in (*_SLURM[:1], *_TORCHRUN[:1])):
        raise UsageError(
            "--shard auto: this is neither a task of a SLURM array nor a process of torchrun; give "
            "I/N, such as 0/3"
        )
    if _SLURM[0] in environment:
        array = _shard_of_array(environment)
    if _TORCHRUN[0] in environment:
        rank, size = _numbers(environment, _TORCHRUN)
        team = parse_shard(f"{rank}/{size}", {})
    return Shard(array.index * team.count + team.index, array.count * team.count)


def _shard_of_array(environment: Mapping[str, str]) -> Shard:
    task, count, first, last, step = _numbers(environment, _SLURM)
    if step < 1 or task not in range(first, last + 1, step) or last - first != (count - 1) * step:
        raise UsageError(
            f"--shard auto: the SLURM array has {count} tasks from {first} to {last}, with gaps; "
            "submit it as 0-N, or give I/N"
        )
    return Shard((task - first) // step, count)


def _numbers(environment: Mapping[str, str], names: Sequence[str]) -> list[int]:
    try:
        return [int(environment[name]) for name in names]
    except (KeyError, ValueError):
        raise UsageError(
            f"--shard auto: {', '.join(names)} are not all numbers; give I/N, such as 0/3"
        ) from None


def _open_part(shard: Shard, out: Path, record: str) -> Part:
    folder = shard.folder(out)
    if folder.is_dir():
        refuse_locked(folder)
    if not (folder / record).is_file():
        raise MissingInputError(
            f"{folder}: this shard is missing, or has not ended; run this command with --shard "
            f"{shard} in place of --merge first"
        )
    found = read_record(folder / record)
    (run,) = require_keys(found, folder / record, "mstool")
    require_keys(run, folder / record, "device", "threads", "elapsed_s")
    return Part(shard, folder, found)


def _files_below(folder: Path, names: Sequence[str]) -> list[Path]:
    below = [path for name in names for path in ((folder / name), *(folder / name).rglob("*"))]
    return [path for path in below if path.is_file() and not is_temporary(path)]


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another disk, or one without links
        with atomic_path(target) as temporary:
            shutil.copyfile(path, temporary)
