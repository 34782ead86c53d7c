"""What is to be explained, how, and how hard it is looked at."""

import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from mstool.errors import UsageError
from mstool.explanations.verdicts import Thresholds
from mstool.nn.attribution import METHODS

CHECKS = ("sanity", "labels", "faithfulness", "patch")
_REGIONS = {  # what follows the name
    "class": "",
    "errors": "",
    "uncertain": "",
    "boundary": "",
    "component": ":K",
    "point": ":ROW,COL",
    "box": ":ROW,COL,HEIGHT,WIDTH",
    "mask": ":FILE",
}


@dataclass(frozen=True)
class RegionChoice:
    """Pixels that are asked about."""

    kind: str  # of `_REGIONS`
    numbers: tuple[int, ...] = ()  # those that follow the kind; components by falling area
    path: Path | None = None  # mask file


@dataclass(frozen=True)
class ExplainSettings:
    """All that decides the result, besides inputs; and the budget, which does not."""

    class_name: str
    contrast: str  # as typed
    region: str  # as typed
    methods: tuple[str, ...]
    layers: tuple[str, ...]  # patterns, for class activation maps; empty for the shallowest stage
    checks: tuple[str, ...]  # some of `CHECKS`
    boundary: bool
    receptive_field: bool
    features: tuple[str, ...]  # layers whose features are written
    size: int  # edge of the field of view of each image [px]
    window: int  # and of the windows of the checks [px]
    regions: int  # of the checks, at most
    reinit: str  # he or shuffle
    thresholds: str  # as typed
    max_time_s: float | None
    seed: int

    @property
    def claimed(self) -> dict[str, Any]:
        """What decides the result, by name."""
        return {name: value for name, value in asdict(self).items() if name != "max_time_s"}


def parse_region(text: str) -> RegionChoice:
    """Region of ``class``, ``component:2``, ``box:0,0,64,64``, ``point:10,20``, ``mask:FILE``, ...

    Raises
    ------
    UsageError
        If it is none of them.

    Examples
    --------
    >>> parse_region("point:10,20")
    RegionChoice(kind='point', numbers=(10, 20), path=None)
    """
    kind, _, rest = text.partition(":")
    if kind not in _REGIONS:
        raise UsageError(f"--region {text}: use {', '.join(_REGIONS)}")
    form = kind + _REGIONS[kind]
    if kind == "mask":
        if not rest:
            raise UsageError(f"--region {text}: name the file, as {form}")
        return RegionChoice(kind, path=Path(rest))
    numbers = tuple(int(n) for n in re.findall(r"\d+", rest))
    n_wanted = len(re.findall(r"[A-Z]+", form))
    if len(numbers) != n_wanted or not re.fullmatch(r"(\d+(,\d+)*)?", rest):
        raise UsageError(f"--region {text}: write {form}, in whole numbers")
    if (kind == "component" and numbers[0] < 1) or (kind == "box" and 0 in numbers[2:]):
        raise UsageError(f"--region {text}: components count from 1, and boxes have a size")
    return RegionChoice(kind, numbers)


def parse_methods(text: str) -> tuple[str, ...]:
    """Names of methods, separated by commas; ``all`` for all of them.

    Raises
    ------
    UsageError
        If one is unknown.
    """
    if text.strip() == "all":
        return METHODS
    names = tuple(dict.fromkeys(_split(text)))
    for name in names:
        if name not in METHODS:
            raise UsageError(f"--methods {name}: unknown; use {', '.join(METHODS)}, or all")
    if not names:
        raise UsageError("--methods: names no method")
    return names


def parse_checks(text: str, quick: bool) -> tuple[str, ...]:
    """Checks to make, in order; none with ``--quick``.

    Raises
    ------
    UsageError
        If one is unknown.
    """
    names = _split(text)
    for name in names:
        if name not in CHECKS:
            raise UsageError(f"--checks {name}: use {', '.join(CHECKS)}")
    return () if quick else tuple(check for check in CHECKS if check in names)


def parse_thresholds(text: str) -> Thresholds:
    """Thresholds from ``name=value,...``; others keep their default.

    Raises
    ------
    UsageError
        If a name is unknown, a value is no number, or alpha is no probability.

    Examples
    --------
    >>> parse_thresholds("alpha=0.01").alpha
    0.01
    """
    known = [field.name for field in fields(Thresholds)]
    limits = Thresholds()
    for part in _split(text):
        name, _, value = part.partition("=")
        if name not in known:
            raise UsageError(f"--thresholds {name}: unknown; use {', '.join(known)}")
        try:
            limits = replace(limits, **{name: float(value)})
        except ValueError:
            raise UsageError(f"--thresholds {part}: write {name}=NUMBER") from None
    if not 0 < limits.alpha < 1:
        raise UsageError(f"--thresholds alpha={limits.alpha:g}: must lie between 0 and 1")
    return limits


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
