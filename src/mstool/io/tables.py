"""Tables as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from mstool.io.plain import to_plain


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Give rows as CSV with a header line; None becomes an empty cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def history_to_csv(history: Sequence[dict[str, Any]]) -> str:
    """Give the history of a training, a row an epoch; what is undefined becomes an empty cell."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    return to_csv(columns, ([row.get(key) for key in columns] for row in to_plain(history)))
