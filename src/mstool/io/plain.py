"""Frozen dataclasses to what JSON has, and back."""

import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np


def to_plain(value: Any) -> Any:
    """What JSON has in place of dataclasses, numpy values, tuples and paths; NaN becomes None."""
    if is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_plain(kind: Any, value: Any) -> Any:
    """Value of a type from what `to_plain` has made of it.

    The type is a dataclass, or that of one of its fields: a plain type, ``tuple[T, ...]``,
    ``list[T]``, ``dict[str, T]``, ``T | None``, `numpy.ndarray` or `Path`. None gives NaN for a
    float that may not be None, and in arrays of numbers.

    Raises
    ------
    TypeError, ValueError
        If the value has not the shape of the type, as where another version wrote it.

    Examples
    --------
    >>> from_plain(tuple[float, ...], [0.5, None])
    (0.5, nan)
    """
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        known = [one for one in inner if one is not NoneType]
        value = None if value is None and NoneType in inner else from_plain(known[0], value)
    elif is_dataclass(kind):
        hints = get_type_hints(kind)
        _expect({each.name for each in fields(kind)} == set(value), kind, value)
        value = kind(**{name: from_plain(hints[name], item) for name, item in value.items()})
    elif origin is dict and inner:
        _expect(isinstance(value, dict), kind, value)
        value = {from_plain(inner[0], key): from_plain(inner[1], v) for key, v in value.items()}
    elif origin in (tuple, list):
        _expect(isinstance(value, list), kind, value)
        value = origin(_items_from_plain(inner, value))
    elif kind is np.ndarray:
        value = np.array(value, float if _has_none(value) else None)
    elif kind is float:
        value = math.nan if value is None else float(value)
    elif isinstance(kind, type) and origin not in (dict, Literal, object):
        value = kind(value)
    return value


def check_values(kind: type, values: dict[str, Any]) -> None:
    """See that values, as JSON gives them, are of the types that fields of a dataclass have.

    Raises
    ------
    TypeError
        If one is not, or belongs to no field.

    Examples
    --------
    >>> from mstool.geometry.window import Window
    >>> check_values(Window, {"row": "first"})
    Traceback (most recent call last):
    TypeError: row: 'first' is no <class 'int'>
    """
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints or not _is_of(hints[name], value):
            raise TypeError(f"{name}: {value!r:.40} is no {hints.get(name, 'field')}")


def _is_of(kind: Any, value: Any) -> bool:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        return any(_is_of(one, value) for one in inner)
    if origin is list:
        return isinstance(value, list) and all(_is_of(inner[0], item) for item in value)
    if origin in (int, float):
        kinds = (int, float) if origin is float else int
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, origin)


def _expect(is_so: bool, kind: Any, value: Any) -> None:
    if not is_so:
        raise TypeError(f"{value!r:.80} is no {kind}")


def _items_from_plain(inner: tuple[Any, ...], values: list[Any]) -> list[Any]:
    """Items of a list or a tuple; `inner` is one type for all of them, or one a place."""
    if not inner:
        return values
    one_a_place = len(inner) == len(values) and Ellipsis not in inner
    kinds = inner if one_a_place else inner[:1] * len(values)
    return [from_plain(kind, item) for kind, item in zip(kinds, values, strict=True)]


def _has_none(value: Any) -> bool:
    return any(map(_has_none, value)) if isinstance(value, list) else value is None
