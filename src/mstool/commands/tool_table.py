"""What other tools would print, as tables for people; imported late, since rich is slow to load."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text


def tabulate_tools(record: Mapping[str, Any]) -> list[Table]:
    """Table of each tool that ``--as`` names, at most 80 columns wide."""
    return [_tabulate(tool, entry) for tool, entry in (record["as"] or {}).items()]


def _tabulate(tool: str, entry: Mapping[str, Any]) -> Table:
    table = Table(title=f"as {tool} would print it", box=None, padding=(0, 1), show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    values = {key: value for key, value in entry.items() if key != "convention"}
    for name, words in _rows(values, ""):
        table.add_row(Text(name), Text(words))
    return table


def _rows(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    """A row for each table that holds no other, and for each value beside such."""
    if not any(isinstance(value, Mapping) for value in values.values()):
        yield before, ", ".join(f"{key} {_in_words(value)}" for key, value in values.items())
        return
    for key, value in values.items():
        name = f"{before} {key}".lstrip()
        if isinstance(value, Mapping):
            yield from _rows(value, name)
        else:
            yield name, _in_words(value)


def _in_words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join("-" if item is None else str(item) for item in value)
    if value is None:
        return "-"
    return f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.4f}"
