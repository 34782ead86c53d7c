"""The plan of a study: data sets, base options, factors and their levels."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# An option of a verb and its value, as "train.epochs": 12.
Settings = Mapping[str, Any]

VERBS = ("tile", "split", "train", "predict", "stitch", "score", "explain", "domain-shift")
AFTERWARDS = ("explain", "domain-shift")
DESIGNS = ("one-at-a-time", "factorial", "list")
BASE = "base"  # name of what a factor leaves as it is

# Keys of a data set that are no option of a verb, and the verb that reads them.
DATA_KEYS = {"images": "tile", "labels": "tile", "truth": "score", "split": "split"}
# Settings that further verbs read from what the first has written: tile notes the group of each.
ALSO_READ_BY = {"tile.group-by": ("split",)}
# What explain and domain-shift work on, beside their options.
PLACES = {"explain": ("images", "fold"), "domain-shift": ("target", "fold")}


@dataclass(frozen=True)
class Option:
    """What an option of a verb takes.

    Attributes
    ----------
    takes : {"switch", "value", "values"}
        Nothing, one value, or several in turn.
    default : object
        Value without it; None if the verb decides.
    """

    takes: str
    default: Any = None


Options = Mapping[str, Mapping[str, Option]]  # by verb and by name of the option, without dashes


@dataclass(frozen=True)
class DataSet:
    """Micrographs and label maps.

    Attributes
    ----------
    name : str
        One word.
    settings : mapping
        ``data.images``, ``data.labels`` and what else the plan says of them, options of tile and
        split among it.
    """

    name: str
    settings: Settings


@dataclass(frozen=True)
class Level:
    """One setting of a factor, of one option or of several together."""

    name: str
    settings: Settings


@dataclass(frozen=True)
class Factor:
    """What is varied.

    Attributes
    ----------
    name : str
        One word.
    levels : tuple of Level
        Two or more.
    data : tuple of str
        Data sets on which it is varied.
    """

    name: str
    levels: tuple[Level, ...]
    data: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A study.

    Attributes
    ----------
    data : tuple of DataSet
        Each of which has its own cells.
    base : mapping
        Options of all cells, where neither data set nor level says otherwise.
    factors : tuple of Factor
        In the order of the plan.
    design : {"one-at-a-time", "factorial", "list"}
        Which combinations of levels are cells.
    listed : tuple of mapping
        Level by factor of each cell of a list.
    seeds : tuple of int
        Of training.
    folds : tuple of int or None
        Test folds; None for all, each micrograph predicted by the model that has not seen it.
    after : mapping
        Cells by verb that runs on them after scoring; None for all cells.
    options : mapping
        Options that the verbs have.
    """

    data: tuple[DataSet, ...]
    base: Settings
    factors: tuple[Factor, ...]
    design: str
    listed: tuple[Mapping[str, str], ...]
    seeds: tuple[int, ...]
    folds: tuple[int, ...] | None
    after: Mapping[str, tuple[str, ...] | None]
    options: Options


def verbs_of(key: str) -> tuple[str, ...]:
    """Verbs that read a setting: ``tile`` for ``tile.size`` and for ``data.labels``."""
    verb, _, name = key.partition(".")
    return (DATA_KEYS[name] if verb == "data" else verb, *ALSO_READ_BY.get(key, ()))


def default_of(key: str, options: Options) -> Any:
    """Value of a setting about which nothing is said; None if the verb decides."""
    verb, _, name = key.partition(".")
    option = options.get(verb, {}).get(name)
    if option is None:
        return None
    return bool(option.default) if option.takes == "switch" else option.default


def level_name(value: Any) -> str:
    """Name of the level that is this value of an option, as a plan spells it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(level_name, value)) if isinstance(value, list) else str(value)


def name_columns(factors: Sequence[str], others: Collection[str]) -> list[str]:
    """Names of columns for the levels of factors, in a table that has others too.

    Examples
    --------
    >>> name_columns(["encoder", "seeds"], ["cell", "seeds"])
    ['encoder', 'factor.seeds']
    """
    return [f"factor.{name}" if name in others else name for name in factors]
