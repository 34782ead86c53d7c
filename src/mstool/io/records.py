"""JSON records: what was done, with what, from which inputs."""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

from mstool.errors import InputError, MissingInputError
from mstool.io.atomic import write_text
from mstool.io.parsing import read_json_object
from mstool.io.plain import to_plain
from mstool.io.record_check import check_kinds
from mstool.io.record_keys import SCHEMA

# What a run measured or was called by, and what went on from an earlier one: of the same work it
# differs from run to run, so that it is no part of what a record says about its folder.
_OF_THE_RUN = ("argv", "started", "elapsed_s", "core_s", "peak_rss_mb")
_OF_THE_PREDICTION = (
    "batch_size",
    "n_predicted",
    "tile_megapixels_predicted",
    "s_per_tile_megapixel",
    "s_per_megapixel",
    "shards",
)

# Control characters of Unicode, and marks that turn the direction of reading.
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def core_seconds() -> float | None:
    """Time on CPUs so far, user and system [s]; None where the system does not tell.

    Of this process and of those that it has started, once they have ended.
    """
    if resource is None:
        return None
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


@dataclass(frozen=True)
class Run:
    """One call of a verb: what was typed, when, and the time on CPUs until then.

    `clock` is a reading of the monotonic clock [s]; `cores` one of `core_seconds`.
    """

    argv: tuple[str, ...] = field(default_factory=lambda: ("mstool", *sys.argv[1:]))
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    clock: float = field(default_factory=time.monotonic)
    cores: float | None = field(default_factory=core_seconds)

    def core_s(self) -> float | None:
        """Time on CPUs since the verb began [s]; None where the system does not tell."""
        now = core_seconds()
        return None if now is None or self.cores is None else now - self.cores

    def facts(self, record: str, device: str = "cpu", threads: int = 1) -> dict[str, Any]:
        """Give the ``mstool`` entry that every record carries; `record` is its kind."""
        core_s = self.core_s()
        return {
            "schema": SCHEMA,
            "record": record,
            "version": version("mstool"),
            "argv": list(self.argv),
            "started": self.started,
            "elapsed_s": round(time.monotonic() - self.clock, 3),
            "core_s": None if core_s is None else round(core_s, 3),
            "peak_rss_mb": peak_rss_mb(),
            "device": device,
            "threads": threads,
        }


def peak_rss_mb() -> float | None:
    """Largest resident memory of this process so far [MiB]; None where the system does not tell."""
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2), 1)


def to_json(value: Any) -> str:
    """Give `value` as indented JSON; NaN and infinity become ``null``.

    What a terminal would obey, rather than show, is escaped.
    """
    text = json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON, whole or not at all."""
    write_text(path, to_json(record))


def read_record(path: Path, verb: str = "") -> dict[str, Any]:
    """Read a JSON record; `verb` is what writes it.

    Keys may be missing, and others be there; those that mstool knows hold what they should.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If the file is not a JSON object, or a key holds a value of another type.
    """
    try:
        record = read_json_object(path)
    except MissingInputError as error:
        if not verb:
            raise
        raise MissingInputError(
            f"{path}: no such file; give a folder that mstool {verb} wrote, or run that again if "
            "it has not ended"
        ) from error
    if findings := check_kinds(record):
        raise InputError(f"{path}: damaged, {findings[0]}; make it again")
    return record


def says_the_same(path: Path, settings: Mapping[str, Any], hashes: Mapping[str, str]) -> bool:
    """Whether the record in a file is of these settings and inputs; damaged ones are of none."""
    try:
        old = read_record(path) if path.is_file() else {}
    except (InputError, OSError):
        old = {}
    return old.get("settings") == settings and old.get("inputs") == hashes


def require_keys(record: Any, path: Path, *keys: str) -> tuple[Any, ...]:
    """Values of a record, or of a table in it, that a later step cannot do without.

    `record` may be whatever a table turned out to be; `path` is the file it came from.

    Raises
    ------
    InputError
        If one is missing, as in records of another program or version.
    """
    table = record if isinstance(record, dict) else {}
    for key in keys:
        if key not in table:
            raise InputError(f"{path}: lacks {key!r}; make the folder again")
    return tuple(table[key] for key in keys)


def pick(kind: type, table: Mapping[str, Any]) -> Any:
    """Make a dataclass of the entries of a table that are named as its fields.

    The table holds every field that has no default; what is no field is left aside.

    Examples
    --------
    >>> pick(Run, {"started": "now", "argv": ("mstool",), "clock": 0.0, "out": "tiles"}).started
    'now'
    """
    names = [each.name for each in fields(kind) if each.name in table]
    return kind(**{name: table[name] for name in names})


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_input(path: Path) -> str:
    """SHA-256 by which a record knows an input: of its bytes, but of a record, of what it says.

    A record that is made again from the same inputs with the same settings says the same, though
    its run took another time; what was made from it stays valid.
    """
    if path.suffix != ".json":
        return sha256_of_file(path)
    try:
        record = read_record(path)
        run = {key: record["mstool"][key] for key in record["mstool"] if key not in _OF_THE_RUN}
        lasting = {key: record[key] for key in record if key not in _OF_THE_PREDICTION}
        if isinstance(record.get("engine"), dict):
            lasting["engine"] = record["engine"] | {"speedup": None}  # which a trial has measured
        return hashlib.sha256(to_json(lasting | {"mstool": run}).encode()).hexdigest()
    except (InputError, KeyError, TypeError):  # of another program, which some verb will refuse
        return sha256_of_file(path)


def is_input(path: Path, sha256: str | None) -> bool:
    """Whether a file is the one that a record knows by this hash, also one of older versions."""
    return path.is_file() and sha256 in (sha256_of_input(path), sha256_of_file(path))


def hash_inputs(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """`sha256_of_input` by path relative to the folder of the record; see `relative_to`."""
    return {relative_to(path, folder): sha256_of_input(path) for path in paths}


def relative_to(path: Path, folder: Path) -> str:
    """Path of a file as seen from `folder`, with forward slashes."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return path.resolve().as_posix()
