"""Whether a record holds what its kind should: no other keys, none missing, all of their types."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mstool.io.parsing import read_json_object
from mstool.io.record_keys import SCHEMA, Key, record_keys

_LIST = "list of "
_MAKE_AGAIN = "make the record again"


def check_file(path: Path) -> list[str]:
    """What is wrong with a record on disk.

    Parameters
    ----------
    path : Path
        A record of any verb.

    Returns
    -------
    list of str
        A line for each finding, ``FILE: KEY: what is wrong``; empty if nothing is.

    Raises
    ------
    MissingInputError, InputError
        If there is no such file, or it is not a JSON object.
    """
    return [f"{path}: {finding}" for finding in check_record(read_json_object(path))]


def check_record(record: dict[str, Any]) -> list[str]:
    """What is wrong with a record.

    Parameters
    ----------
    record : dict
        As `read_record` gives it. Its own ``mstool.record`` says what kind it is of.

    Returns
    -------
    list of str
        ``KEY: what is wrong``, once for a key that is in all tables of a list; empty if nothing is.

    Examples
    --------
    >>> check_record({"mstool": {"schema": 1, "record": "tile"}})
    ["mstool.record: 'tile' is no kind of record that this version of mstool knows"]
    """
    facts = record.get("mstool")
    if not isinstance(facts, dict):
        return ["mstool: missing; this is no record of mstool"]
    if "schema" not in facts:
        return [f"mstool.schema: missing; an older version of mstool wrote this, {_MAKE_AGAIN}"]
    schema, kind = facts["schema"], facts.get("record")
    if not fits(schema, "integer"):
        return [f"mstool.schema: is {_kind_of(schema)}, not integer"]
    if schema > SCHEMA:
        return [
            f"mstool.schema: is {schema}, and this version of mstool knows no more than {SCHEMA}; "
            "check with a newer one"
        ]
    section = record_keys().sections.get(kind) if isinstance(kind, str) else None
    if section is None or not section.is_record:
        return [f"mstool.record: {kind!r} is no kind of record that this version of mstool knows"]
    return check_keys(record, kind)


def check_keys(table: dict[str, Any], kind: str) -> list[str]:
    """What is wrong with the keys of a table, which may be another than a record.

    Parameters
    ----------
    table : dict
        A record, a line of tiles.jsonl, or the description in the header of a model.
    kind : str
        Section of record_keys.toml that it should be as.

    Returns
    -------
    list of str
        As of `check_record`.
    """
    return list(dict.fromkeys(_check_table(table, _rules(kind), "")))


def check_kinds(record: dict[str, Any], kind: str = "") -> list[str]:
    """What of a record, or another table, is of another type than its kind should have.

    Keys may be missing or unknown. Of a record of another version, only what all have in common is
    looked at.

    Parameters
    ----------
    record : dict
        As JSON gives it; also one that says only what an unfinished run was asked for.
    kind : str, optional
        As of `check_keys`; by default what the record says of itself.

    Returns
    -------
    list of str
        As of `check_record`.

    Examples
    --------
    >>> check_kinds({"settings": None})
    ['settings: is null, not table']
    """
    rules = _rules(kind or _kind_told(record) or "common")
    return list(dict.fromkeys(_check_table(record, rules, "", is_whole=False)))


def _kind_told(record: dict[str, Any]) -> str:
    """Kind that a record of this version says it is of; empty where it says none."""
    facts = record.get("mstool")
    is_known = isinstance(facts, dict) and facts.get("schema") == SCHEMA
    kind = facts.get("record") if is_known else None
    section = record_keys().sections.get(kind) if isinstance(kind, str) else None
    return kind if section is not None and section.is_record else ""


def fits(value: Any, kind: str) -> bool:
    """Whether a JSON value is of a kind.

    Parameters
    ----------
    value : Any
        As JSON gives it.
    kind : str
        ``integer``, ``number``, ``string``, ``boolean``, ``null``, ``table``, ``interval`` (two
        numbers, or null for both), ``any``; ``list of`` what follows it; or several, with ``or``.

    Examples
    --------
    >>> fits([1, None], "list of number or null"), fits(None, "null or list of number")
    (True, True)
    >>> fits(True, "integer")
    False
    """
    if kind.startswith(_LIST):
        rest = kind.removeprefix(_LIST)
        return isinstance(value, list) and all(fits(item, rest) for item in value)
    first, _, rest = kind.partition(" or ")
    return bool(rest and fits(value, rest)) or _fits_one(value, first)


def _fits_one(value: Any, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "interval":
            is_pair = isinstance(value, list) and len(value) == 2
            return is_pair and (value == [None, None] or fits(value, "list of number"))
        case "any":
            return True
    return isinstance(value, {"string": str, "boolean": bool, "table": dict}[kind])


@dataclass
class _Rule:
    """What may stand under a key; one that is named only as the beginning of others is a table."""

    kind: str
    is_always: bool = True
    keys: dict[str, "_Rule"] = field(default_factory=dict)


@cache
def _rules(kind: str) -> dict[str, _Rule]:
    """Rules of the keys of a section; of a record with those of every record."""
    known = record_keys()
    names = ["common", kind] if known.sections[kind].is_record else [kind]
    top = _Rule("table")
    for key in itertools.chain.from_iterable(known.sections[name].keys for name in names):
        for path in key.expand():
            _add(top, path.split("."), key)
    return top.keys


def _add(rule: _Rule, words: list[str], key: Key) -> None:
    for word in words:
        name, is_list = word.removesuffix("[]"), word.endswith("[]")
        rule = rule.keys.setdefault(name, _Rule(f"{_LIST}table" if is_list else "table"))
    rule.kind, rule.is_always = key.kind, key.is_always


def _check_table(
    table: dict[str, Any], rules: dict[str, _Rule], at: str, is_whole: bool = True
) -> Iterator[str]:
    """Findings; unless `is_whole` is asked for, keys may be missing and others be there."""
    for name, rule in rules.items():
        if is_whole and rule.is_always and name not in table and _beginning(name) is None:
            yield f"{at}{name}: missing"
    for name, value in table.items():
        rule = _rule_for(name, rules)
        if rule is not None:
            yield from _check_value(value, rule, f"{at}{name}", is_whole)
        elif is_whole:
            yield f"{at}{name}: no such key is known"


def _check_value(value: Any, rule: _Rule, at: str, is_whole: bool) -> Iterator[str]:
    if not fits(value, rule.kind):
        yield f"{at}: is {_kind_of(value)}, not {rule.kind}"
    elif rule.keys and isinstance(value, dict):
        yield from _check_table(value, rule.keys, f"{at}.", is_whole)
    elif rule.keys and fits(value, f"{_LIST}table"):
        for item in value:
            yield from _check_table(item, rule.keys, f"{at}[].", is_whole)


def _rule_for(name: str, rules: dict[str, _Rule]) -> _Rule | None:
    """Rule of a key: that of its own name, or of a word that stands for any such name."""
    if name in rules:
        return rules[name]
    beginnings = {word: _beginning(word) for word in rules}
    fitting = (word for word, start in beginnings.items() if start is not None)
    return next((rules[word] for word in fitting if name.startswith(beginnings[word])), None)


@cache
def _beginning(word: str) -> str | None:
    """What any key has to begin with that a word stands for; None for a word that is a name."""
    match = re.fullmatch(f"([a-z_]*)({'|'.join(record_keys().any_key)})", word)
    return match and match[1]


def _kind_of(value: Any) -> str:
    """Kind of a value, as a finding tells it."""
    if isinstance(value, list):
        kinds = dict.fromkeys(map(_kind_of, value))
        return _LIST + " or ".join(kinds) if kinds else "an empty list"
    kinds = ("null", "boolean", "integer", "number", "string", "table")
    return next(kind for kind in kinds if fits(value, kind))
