"""The keys of every record: read from record_keys.toml, the one place where they are named."""

import itertools
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCHEMA = 1  # of all records; a release that changes any of record_keys.toml has the next

_SOMETIMES = ", sometimes"


@dataclass(frozen=True)
class Key:
    """A key, or several that are alike.

    Attributes
    ----------
    path : str
        Names from the top of the record, with dots between; ``[]`` follows that of a list of
        tables, and braces hold names of which each is meant.
    kind : str
        What stands there, in words such as ``null or list of number``; see `fits`.
    is_always : bool
        Whether it is there whenever the table is that it belongs to.
    text : str
        What it means, in sentences.
    """

    path: str
    kind: str
    is_always: bool
    text: str

    def expand(self) -> list[str]:
        """Paths that the braces stand for.

        Examples
        --------
        >>> Key("sources[].{name,sha256}", "string", True, "").expand()
        ['sources[].name', 'sources[].sha256']
        """
        parts = re.split(r"\{([^}]*)\}", self.path)
        choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
        return ["".join(words) for words in itertools.product(*choices)]


@dataclass(frozen=True)
class Section:
    """What one kind of record, or another kind of file, holds.

    `heading` is its title in the manual page, and `about` a paragraph, or nothing. A record has the
    keys of the section ``common`` too.
    """

    heading: str
    about: str
    is_record: bool
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class RecordKeys:
    """All that is known of records.

    Attributes
    ----------
    any_key : dict of str to str
        Words in paths that stand for any key, each with what it is the name of.
    sections : dict of str to Section
        By kind of record, as ``mstool.record`` has it; ``common`` is of all records.
    """

    any_key: dict[str, str]
    sections: dict[str, Section]


@cache
def record_keys() -> RecordKeys:
    """Read the keys of every record."""
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    any_key = tables.pop("any-key")
    return RecordKeys(any_key, {name: _read_section(table) for name, table in tables.items()})


def _read_section(table: dict) -> Section:
    keys = tuple(
        Key(path, kind.removesuffix(_SOMETIMES), not kind.endswith(_SOMETIMES), text)
        for path, (kind, text) in table.get("keys", {}).items()
    )
    return Section(table["heading"], table.get("about", ""), table.get("is_record", False), keys)
