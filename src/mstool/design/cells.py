"""Cells of a study: each combination of levels that is run, and where its artefacts lie.

All paths are relative to the folder of the plan. The name of an artefact says only the levels that
touch it or what it is made from, so cells share files wherever they can.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mstool.design.study_plan import (
    BASE,
    DataSet,
    Factor,
    Level,
    Options,
    Plan,
    Settings,
    default_of,
    level_name,
    verbs_of,
)
from mstool.errors import UsageError

# Verbs whose settings decide what a verb writes.
CHAIN = {
    "tile": ("tile",),
    "split": ("split",),
    "train": ("tile", "split", "train"),
    "predict": ("tile", "split", "train", "predict"),
    "stitch": ("tile", "split", "train", "predict", "stitch"),
    "score": ("tile", "split", "train", "predict", "stitch", "score"),
    "explain": ("tile", "split", "train", "explain"),
    "domain-shift": ("tile", "split", "train", "domain-shift"),
}
_LONGEST = 120  # characters of a name; a file system allows about 255 bytes


@dataclass(frozen=True)
class Cell:
    """One combination of levels on one data set, with all its seeds.

    Attributes
    ----------
    name : str
        ``phantoms/base`` or ``phantoms/encoder-tu-vgg16``.
    data : str
        Name of the data set.
    levels : mapping
        Level by factor; ``base`` where it is the base's.
    differs : tuple of str
        Factors whose level is not the base's.
    seeds : tuple of int
        Of training.
    folds : tuple of int or None
        Test folds; None for all.
    settings : mapping
        Options of all verbs, as ``train.epochs``, and what is said of the data set.
    touched : mapping
        Verbs by factor in `differs` that its level sets otherwise than the base.
    """

    name: str
    data: str
    levels: Mapping[str, str]
    differs: tuple[str, ...]
    seeds: tuple[int, ...]
    folds: tuple[int, ...] | None
    settings: Settings
    touched: Mapping[str, frozenset[str]]

    def options(self, verb: str) -> dict[str, object]:
        """Options of a verb by name without dashes."""
        head = f"{verb}."
        return {
            key.removeprefix(head): value
            for key, value in self.settings.items()
            if key.startswith(head)
        }

    @property
    def truth(self) -> str:
        """Label maps that masks are compared with."""
        return self.settings.get("data.truth") or self.settings["data.labels"]

    @property
    def tiles(self) -> str:
        """Tile folder that is trained on."""
        return f"tiles/{self._place('tile')}"

    @property
    def whole_tiles(self) -> str:
        """Tile folder that is predicted: masks need every tile, also those left out of training."""
        return f"{self.tiles}-whole" if "tile.discard-ignored" in self.settings else self.tiles

    @property
    def split(self) -> str:
        """Split CSV: a file of the user's, or one that the study makes."""
        return self.settings.get("data.split") or f"splits/{self._place('split')}.csv"

    @property
    def score(self) -> str:
        """Record of score, over all seeds."""
        return f"scores/{self.name}.json"

    @property
    def explanation(self) -> str:
        """Folder that explain writes."""
        return f"explain/{self._place('explain')}"

    @property
    def shift(self) -> str:
        """Folder that domain-shift writes."""
        return f"shift/{self._place('domain-shift')}"

    def model(self, seed: int) -> str:
        """Folder with cv.json and all models of a seed, each in fold-K."""
        return f"models/{self._place('train')}/seed-{seed}"

    def probs(self, seed: int) -> str:
        """Folder of the probabilities; with chosen folds each has its own in it, fold-K."""
        return f"probs/{self._place('predict')}/seed-{seed}"

    def masks(self, seed: int) -> str:
        """Folder of the masks; with chosen folds each has its own in it, fold-K."""
        return f"masks/{self._place('stitch')}/seed-{seed}"

    def parts(self, folder: str) -> tuple[str, ...]:
        """Folders of the records of a seed: `folder` itself, or with chosen folds one a fold."""
        if self.folds is None:
            return (folder,)
        return tuple(f"{folder}/fold-{fold}" for fold in self.folds)

    def model_records(self, seed: int) -> tuple[str, ...]:
        """Records of training: cv.json, or with chosen folds one train.json a fold."""
        name = "cv.json" if self.folds is None else "train.json"
        return tuple(f"{part}/{name}" for part in self.parts(self.model(seed)))

    def seed_score(self, seed: int) -> str:
        """Record of score for one seed; the only seed has no record of its own."""
        return self.score if len(self.seeds) == 1 else f"scores/{self.name}/seed-{seed}.json"

    def _place(self, verb: str) -> str:
        reach = {*CHAIN[verb]}
        factors = [factor for factor in self.differs if self.touched[factor] & reach]
        return f"{self.data}/{_join((factor, self.levels[factor]) for factor in factors)}"


def list_cells(plan: Plan) -> tuple[Cell, ...]:
    """Cells of a study: all of a data set, then those of the next, the base first.

    Raises
    ------
    UsageError
        If two cells would have one name, or levels contradict each other; the message says which.
    """
    cells = [cell for data in plan.data for cell in _cells_of(plan, data)]
    owners: dict[str, Cell] = {}
    for cell in cells:
        owner = owners.setdefault(cell.name.casefold(), cell)
        if owner is not cell:
            both = f"{_describe(owner)} and {_describe(cell)}"
            raise UsageError(f"factors: {both} would both write {cell.score}; rename a level")
    if not cells:
        raise UsageError("cell: the list names no cell")
    _check_listed(plan)
    _check_after(plan, [cell.name for cell in cells])
    return tuple(cells)


def dividing_cell(plan: Plan, cell: Cell) -> Cell:
    """Cell on whose tiles the split of `cell` is made.

    It has the base's levels of all factors that do not touch the split, so that cells which differ
    in them have one split, and are compared on the same folds.
    """
    data = next(each for each in plan.data if each.name == cell.data)
    factors = [factor for factor in plan.factors if data.name in factor.data]
    moved = {
        factor.name: level
        for factor in factors
        for level in factor.levels
        if level.name == cell.levels[factor.name] and "split" in cell.touched[factor.name]
    }
    return _make_cell(plan, data, factors, moved)


def _cells_of(plan: Plan, data: DataSet) -> Iterator[Cell]:
    factors = [factor for factor in plan.factors if data.name in factor.data]
    base = _base_of(plan, data)
    for factor in factors:
        _refuse_same(factor, base, plan.options)
        _refuse_idle(factor, data, base)
    seen: set[tuple[tuple[str, str], ...]] = set()
    for chosen in _combinations(plan, factors):
        # a level that says what the base says is the base's
        moved = {
            name: level for name, level in chosen.items() if _touches(level, base, plan.options)
        }
        key = tuple((name, level.name) for name, level in moved.items())
        if key not in seen:
            seen.add(key)
            yield _make_cell(plan, data, factors, moved)


def _combinations(plan: Plan, factors: list[Factor]) -> Iterator[dict[str, Level]]:
    """Levels by factor of each cell; a factor that is not named is as in the base."""
    if plan.design == "one-at-a-time":
        yield {}
        yield from ({factor.name: level} for factor in factors for level in factor.levels)
    elif plan.design == "factorial":
        names = [factor.name for factor in factors]
        for levels in itertools.product(*(factor.levels for factor in factors)):
            yield dict(zip(names, levels, strict=True))
    else:
        levels = {factor.name: {each.name: each for each in factor.levels} for factor in factors}
        for listed in plan.listed:
            if {*listed} <= {*levels}:  # else it varies what is not varied on these data
                yield {
                    name: levels[name][listed[name]]
                    for name in levels
                    if listed.get(name, BASE) != BASE
                }


def _base_of(plan: Plan, data: DataSet) -> dict[str, Any]:
    return {**plan.base, **data.settings}


def _changes(level: Level, base: Settings, options: Options) -> dict[str, Any]:
    """What a level sets otherwise than the base; nothing where it is the base's."""
    return {
        key: value
        for key, value in level.settings.items()
        if value != base.get(key, default_of(key, options))
    }


def _touches(level: Level, base: Settings, options: Options) -> frozenset[str]:
    """Verbs that a level sets otherwise than the base; none where it is the base's."""
    return frozenset(verb for key in _changes(level, base, options) for verb in verbs_of(key))


def _refuse_same(factor: Factor, base: Settings, options: Options) -> None:
    for first, second in itertools.combinations(factor.levels, 2):
        if _changes(first, base, options) == _changes(second, base, options):
            raise UsageError(
                f"factors.{factor.name}: levels {first.name} and {second.name} are the same; "
                "keep one"
            )


def _refuse_idle(factor: Factor, data: DataSet, base: Settings) -> None:
    """Refuse options of split where the split is a file, which they would not change."""
    for level in factor.levels:
        idle = [key for key in level.settings if key.startswith("split.")]
        if idle and "data.split" in {**base, **level.settings}:
            raise UsageError(
                f"factors.{factor.name}: level {level.name} sets {idle[0]}, but data.{data.name} "
                "has a split that is a file; let the level name another file, or leave it out"
            )


def _make_cell(
    plan: Plan, data: DataSet, factors: list[Factor], moved: Mapping[str, Level]
) -> Cell:
    base = _base_of(plan, data)
    levels = {
        factor.name: moved[factor.name].name if factor.name in moved else BASE for factor in factors
    }
    return Cell(
        name=f"{data.name}/{_join((name, level.name) for name, level in moved.items())}",
        data=data.name,
        levels=levels,
        differs=tuple(moved),
        seeds=plan.seeds,
        folds=plan.folds,
        settings={**base, **_merge(moved)},
        touched={name: _touches(level, base, plan.options) for name, level in moved.items()},
    )


def _merge(moved: Mapping[str, Level]) -> dict[str, Any]:
    """Settings of levels by factor; two of them may not say different things of one option."""
    said: dict[str, tuple[str, Any]] = {}
    for name, level in moved.items():
        for key, value in level.settings.items():
            other, before = said.setdefault(key, (name, value))
            if before != value:
                raise UsageError(
                    f"factors: {other} and {name} both set {key}, to {level_name(before)} and "
                    f"{level_name(value)}; vary it in one of them"
                )
    return {key: value for key, (_, value) in said.items()}


def _join(levels: Iterable[tuple[str, str]]) -> str:
    """Name of a folder that says these levels by factor."""
    name = ",".join(f"{factor}-{_tame(level)}" for factor, level in levels) or BASE
    if len(name) > _LONGEST:
        raise UsageError(f"factors: {name[:40]}... names a folder, and is too long; rename levels")
    return name


def _tame(text: str) -> str:
    """Name of a level without what shells, make and file systems give a meaning to.

    With = in the name of a target, make takes its rule for a variable.
    """
    return re.sub(r"[^A-Za-z0-9_.+@]+", "-", text).strip("-") or "-"


def _describe(cell: Cell) -> str:
    return ", ".join(f"{name} = {cell.levels[name]}" for name in cell.differs) or BASE


def _check_listed(plan: Plan) -> None:
    varied = [{f.name for f in plan.factors if data.name in f.data} for data in plan.data]
    for number, listed in enumerate(plan.listed, 1):
        if not any({*listed} <= names for names in varied):
            raise UsageError(
                f"cell {number}: no data set has all its factors; see factors.NAME.data"
            )


def _check_after(plan: Plan, names: list[str]) -> None:
    for verb, wanted in plan.after.items():
        for name in wanted or ():
            if name not in names and not any(each.endswith(f"/{name}") for each in names):
                raise UsageError(f"after.{verb}.cells: no cell is called {name}")
