"""Numbers of each plot as CSV beside it."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mstool.io.atomic import write_text


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, whole or not at all; None becomes an empty cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, stream.getvalue())
