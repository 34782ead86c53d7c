"""JSON and TOML of files that anybody may have made: plain values, or one kind of error."""

import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from mstool.errors import InputError, MissingInputError

_MOST_TOML_CHARACTERS = 2**22
_MOST_DEPTH = 50  # of what mstool writes, the deepest has about ten levels
_LARGEST = 2**64  # integers of records are counts, seeds and pixel values

# tomllib keeps every beginning of a dotted key: of a line with n dots, n * n / 2 names.
_MOST_DOTS_SQUARED = 10**7


def parse_json(text: str, is_finite: bool = True) -> Any:
    """Value of a JSON text; NaN and infinity only unless it `is_finite`.

    Raises
    ------
    ValueError
        If it is no JSON; if it is nested deeply, or holds NaN, infinity, an integer of more than 64
        bits, or half of a character: what mstool never writes.

    Examples
    --------
    >>> parse_json('{"a": [1, 0.5]}')
    {'a': [1, 0.5]}
    """
    try:
        value = json.loads(text)
        _refuse_odd(value, is_finite=is_finite)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(_without_python(error)) from None
    if "\\u" in text and _is_broken(value):
        raise ValueError("holds half of a character")
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """Table of a TOML text.

    Raises
    ------
    ValueError
        If it is no TOML; if it is long or nested deeply, as nobody writes it, or holds an integer
        of more than 64 bits. It may hold NaN and infinity.

    Examples
    --------
    >>> parse_toml("a.b = 1")
    {'a': {'b': 1}}
    """
    if len(text) > _MOST_TOML_CHARACTERS:
        raise ValueError(f"is longer than {_MOST_TOML_CHARACTERS} characters")
    if sum(line.count(".") ** 2 for line in text.split("\n")) > _MOST_DOTS_SQUARED:
        raise ValueError("has a key of too many names with dots between")
    try:
        table = tomllib.loads(text)
        _refuse_odd(table, is_finite=False)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(_without_python(error)) from None
    return table


def read_text(path: Path) -> str:
    """Text of a file that is there.

    Raises
    ------
    InputError
        If it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If it holds something else.
    """
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingInputError(
            f"{path}: no such file; the step before has not ended, run it again"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not a JSON record ({error}); make it again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; make it again")
    return value


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file that is there.

    Raises
    ------
    InputError
        If it is not TOML, or not in UTF-8.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not TOML ({error}); correct it") from None


def _refuse_odd(value: Any, depth: int = 0, is_finite: bool = True) -> None:
    if depth > _MOST_DEPTH:
        raise ValueError(f"is nested more than {_MOST_DEPTH} deep")
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _refuse_odd(item, depth + 1, is_finite)
    elif isinstance(value, int) and abs(value) >= _LARGEST:
        raise ValueError("holds an integer of more than 64 bits")
    elif is_finite and isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")


def _is_broken(value: Any) -> bool:
    """Whether text in it cannot be written: surrogates that are alone."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _without_python(error: ValueError) -> str:
    """What is wrong, without advice on how to change the interpreter."""
    return re.sub(r"; use sys\.set_int_max_str_digits.*", "", str(error))
