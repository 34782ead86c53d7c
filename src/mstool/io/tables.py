"""Tables as CSV."""

import csv
import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from mstool.io.plain import to_plain

# Text that spreadsheets run, also behind apostrophes, so that taking one off undoes putting it on.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Give rows as CSV with a header line; None becomes an empty cell.

    Text that a spreadsheet would run as a formula has an apostrophe in front, see `cell_text`.
    """
    lines: list[str] = []
    # of a cell, csv quotes what is in its line terminator: a bare \r would end the row for readers
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n")
    writer.writerows([_as_text(cell) for cell in row] for row in (header, *rows))
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


def cell_text(cell: str) -> str:
    """Text of a cell as it was before `to_csv` put an apostrophe in front of it.

    Examples
    --------
    >>> cell_text("'=1+1"), cell_text("=1+1"), cell_text("'a'"), cell_text("-1")
    ('=1+1', '=1+1', "'a'", '-1')
    """
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def _as_text(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def history_to_csv(history: Sequence[dict[str, Any]]) -> str:
    """Give the history of a training, a row an epoch; what is undefined becomes an empty cell."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    return to_csv(columns, ([row.get(key) for key in columns] for row in to_plain(history)))
