"""Split tables: which micrograph is in which fold."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mstool.errors import InputError, MissingInputError
from mstool.io.tables import cell_text, to_csv

HEADER = ("source", "group", "fold")


@dataclass(frozen=True)
class SplitRow:
    """Name of a micrograph, what it must stay together with, and its fold, from 0."""

    source: str
    group: str
    fold: int


def split_to_csv(rows: Iterable[SplitRow]) -> str:
    """Give a split as CSV with a header line."""
    return to_csv(HEADER, ((row.source, row.group, row.fold) for row in rows))


def read_split(path: Path) -> list[SplitRow]:
    """Read a split from CSV; blanks around a group that is no file name do not count.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If it is no CSV in UTF-8, the header or a line is wrong, or a micrograph has two lines.
    """
    if not path.is_file():
        raise MissingInputError(f"{path}: no such split; make one with mstool split")
    try:
        rows = _read_rows(path)
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}: is not CSV ({error}); save it as CSV UTF-8") from None
    if not rows:
        raise InputError(f"{path}: names no micrograph; make it again with mstool split")
    names = [row.source for row in rows]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"{path}: {min(twice)} has more than one line; keep one")
    # nobody sees blanks around what was typed, and they would tear a group into two
    known = {*names}
    return [row if row.group in known else replace(row, group=row.group.strip()) for row in rows]


def _read_rows(path: Path) -> list[SplitRow]:
    with open(path, newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not reader.fieldnames or not {*HEADER} <= {*reader.fieldnames}:
            first = ",".join(reader.fieldnames or ())[:60]
            if {*HEADER} <= {*re.split("[;\t]", first)}:
                raise InputError(
                    f"{path}: the first line is {first!r}; save it with commas between the "
                    "columns, not semicolons or tabs"
                )
            raise InputError(f"{path}: the first line is {first!r}; it must be {','.join(HEADER)}")
        return [_parse(row, f"{path}:{reader.line_num}") for row in reader]


def _parse(row: dict[str, str | None], origin: str) -> SplitRow:
    source, group, fold = (row[key] for key in HEADER)
    if (
        not source
        or not (group or "").strip()
        or not re.fullmatch("[0-9]{1,6}", (fold or "").strip())
    ):
        raise InputError(f"{origin}: needs a source, a group and a fold from 0, such as a.tif,a,0")
    return SplitRow(cell_text(source), cell_text(group), int(fold))
