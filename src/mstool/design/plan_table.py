"""A plan as its TOML file has it: every key is known and has a sense, or is refused."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mstool.design.study_plan import (
    AFTERWARDS,
    BASE,
    DATA_KEYS,
    DESIGNS,
    PLACES,
    VERBS,
    DataSet,
    Factor,
    Level,
    Options,
    Plan,
    Settings,
    level_name,
)
from mstool.errors import UsageError

# Options that a study sets itself, or that are for a person at a terminal.
_COMMON = {
    "out",
    "overwrite",
    "config",
    "dry-run",
    "quiet",
    "verbose",
    "files-from",
    "null",
    "help",
    "shard",
    "merge",
}
# Options by which a command that has written its record ends with 1: make takes the record away.
_FAILING = {"min-iou", "fail-on", "fail-above"}
_OWN = {
    "tile": {"labels"},
    "split": {"split", "audit", "sheet"},
    "train": {"split", "test-fold", "preview", "seed"},
    "predict": {"model", "select"},
    "stitch": {"images", "labels", "image-suffix", "label-suffix", "legend", "classes"},
    "score": {"probs", "versus", "images", "reliability", "table"},
    "explain": {"model", "labels", "list-layers"},
    "domain-shift": {"model", "source-labels", "derive-augmentation"},
}
_DIVISIONS = ("split.folds", "split.loo", "split.holdout", "split.by-folder")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def parse_plan(table: Mapping[str, Any], options: Options) -> Plan:
    """Read a plan from what its TOML file says.

    Parameters
    ----------
    table : mapping
        The file as it was parsed.
    options : mapping
        Options that the verbs have.

    Raises
    ------
    UsageError
        If a key is unknown or its value has no sense; the message begins with the key.
    """
    _refuse_unknown(table, ("study", "data", "base", "factors", "cell", "after"), "")
    study = _table(table, "study")
    _refuse_unknown(study, ("seeds", "folds", "design"), "study.")
    base = dict(_read_base(_table(table, "base"), options))
    after = _read_after(_table(table, "after"), options, base)
    data = {
        _word(name, f"data.{name}"): _read_data(entry, f"data.{name}", options)
        for name, entry in _tables(table, "data")
    }
    if not data:
        raise UsageError("data: names no data set; add a table [data.NAME] with images and labels")
    said = {**base}
    factors = tuple(
        _read_factor(name, entry, data, options, base) for name, entry in _tables(table, "factors")
    )
    for name, settings in data.items():
        _check_division(settings, f"data.{name}", said)
    _refuse_idle(base, factors, after)
    design = _one_of(study.get("design", DESIGNS[0]), DESIGNS, "study.design")
    return Plan(
        data=tuple(DataSet(*each) for each in data.items()),
        base=base,
        factors=factors,
        design=design,
        listed=_read_listed(table.get("cell"), design, factors),
        seeds=_numbers(study.get("seeds", [0]), "study.seeds"),
        folds=_read_folds(study.get("folds", "all")),
        after=after,
        options=options,
    )


def _read_base(table: Mapping[str, Any], options: Options) -> Settings:
    _refuse_unknown(table, VERBS, "base.")
    return _read_settings(table, "base", options)


def _read_settings(table: Mapping[str, Any], where: str, options: Options) -> dict[str, Any]:
    """Options of several verbs, a table each; a table ``data`` has keys of a data set."""
    settings: dict[str, Any] = {}
    for verb in table:
        entry, place = _table(table, verb, where), f"{where}.{verb}"
        if verb == "data":
            settings |= _read_data_keys(entry, place, options)
        else:
            settings |= _read_options(verb, entry, place, options)
    return settings


def _read_options(
    verb: str, table: Mapping[str, Any], where: str, options: Options
) -> dict[str, Any]:
    return {
        f"{verb}.{name}": _check(verb, name, value, f"{where}.{name}", options)
        for name, value in table.items()
    }


def _check(verb: str, name: str, value: Any, where: str, options: Options) -> Any:
    """Give a value back, if its option exists, is the user's to set, and takes such a thing."""
    if name in PLACES.get(verb, ()):
        return _check_place(name, value, where)
    option = options[verb].get(name)
    if option is None:
        raise UsageError(f"{where}: mstool {verb} has no option --{name}; see its --help")
    if name in _COMMON | _OWN[verb]:
        raise UsageError(f"{where}: the study sets --{name} itself; leave it out")
    if name in _FAILING:
        raise UsageError(
            f"{where}: what ends with an error is not kept in a study, nor reported; leave "
            f"--{name} out, and see the report"
        )
    if (option.takes == "switch") != isinstance(value, bool):
        needed = "true or false" if option.takes == "switch" else "a value"
        raise UsageError(f"{where}: --{name} takes {needed}, not {level_name(value)}")
    values = value if isinstance(value, list) and option.takes == "values" else [value]
    if not values or not all(isinstance(each, str | int | float) for each in values):
        raise UsageError(f"{where}: give one text or number for --{name}")
    return value


def _check_place(name: str, value: Any, where: str) -> Any:
    if name != "fold":
        return _check_paths(name, value, where)
    if type(value) is not int or value < 0:
        raise UsageError(f"{where}: give the number of a fold")
    return value


def _read_data(table: Mapping[str, Any], where: str, options: Options) -> dict[str, Any]:
    settings = _read_data_keys(table, where, options)
    for name in ("images", "labels"):
        if f"data.{name}" not in settings:
            raise UsageError(f"{where}: has no {name}; name the folder")
    return settings


def _check_division(settings: Settings, where: str, base: Settings) -> None:
    """See that a data set is divided in one way."""
    divisions = [key for key in _DIVISIONS if settings.get(key, base.get(key))]
    dividing = divisions + [key for key in settings if key.startswith("split.")]
    if "data.split" in settings and dividing:
        raise UsageError(f"{where}: has a split and {dividing[0]}; keep one of them")
    if "data.split" not in settings and not divisions:
        raise UsageError(f"{where}: is not divided; say folds = K, or split = FILE.csv")


def _read_data_keys(table: Mapping[str, Any], where: str, options: Options) -> dict[str, Any]:
    """What is said of a data set: its own keys, and options of tile, else of split."""
    settings = {}
    for name, value in table.items():
        place = f"{where}.{name}"
        if name in DATA_KEYS:
            settings[f"data.{name}"] = _check_paths(name, value, place)
        else:
            verb = "tile" if name in options["tile"] else "split"
            if name not in options[verb]:
                raise UsageError(
                    f"{place}: is no key of a data set, nor an option of tile or split"
                )
            settings[f"{verb}.{name}"] = _check(verb, name, value, place, options)
    return settings


def _check_paths(name: str, value: Any, where: str) -> Any:
    values = value if isinstance(value, list) and name in ("images", "labels") else [value]
    if not values or not all(isinstance(each, str) and each.strip() for each in values):
        raise UsageError(f"{where}: name a file or folder")
    return value


def _read_factor(
    name: str,
    table: Mapping[str, Any],
    data: Mapping[str, dict[str, Any]],
    options: Options,
    base: dict[str, Any],
) -> Factor:
    """Read a factor; where it names the level that is the base's, the base is given it.

    What that says of data sets is given to those on which the factor is varied, and to no other.
    """
    where = f"factors.{_word(name, f'factors.{name}')}"
    _refuse_unknown(table, ("option", "levels", "data", "base"), f"{where}.")
    levels = _read_levels(table, where, options)
    if len(levels) < 2:
        raise UsageError(f"{where}: has {len(levels)} level; a factor needs two or more")
    names = [level.name for level in levels]
    for level in levels:
        if names.count(level.name) > 1:
            raise UsageError(f"{where}: level {level.name} is there twice; keep one")
        if level.name == BASE:
            raise UsageError(f"{where}: no level may be called {BASE}; give it another name")
    wanted = _read_wanted(table, f"{where}.data", [*data])
    if "base" in table:
        chosen = _one_of(level_name(table["base"]), names, f"{where}.base")
        on = {each: data[each] for each in wanted}
        _give_base(levels[names.index(chosen)], where, base, on)
    return Factor(name, levels, wanted)


def _read_wanted(table: Mapping[str, Any], where: str, names: list[str]) -> tuple[str, ...]:
    wanted = table.get("data", names)
    if not isinstance(wanted, list) or not wanted:
        raise UsageError(f"{where}: give a list of data sets, of {', '.join(names)}")
    return tuple(_one_of(each, names, where) for each in wanted)


def _give_base(
    level: Level, where: str, base: dict[str, Any], data: Mapping[str, dict[str, Any]]
) -> None:
    """Let a level be the base's, unless the base or a data set says something else."""
    for key, value in level.settings.items():
        if key.startswith("data."):
            said = {f"data.{name}": each.setdefault(key, value) for name, each in data.items()}
        else:
            said = {f"base.{key}": base.setdefault(key, value)}
            said |= {f"data.{name}": each.get(key, value) for name, each in data.items()}
        for place, other in said.items():
            if other != value:
                raise UsageError(
                    f"{where}.base: is {level.name}, but {place} says {level_name(other)}; "
                    "say it in one place"
                )


def _read_levels(table: Mapping[str, Any], where: str, options: Options) -> tuple[Level, ...]:
    levels, option = table.get("levels"), table.get("option")
    if isinstance(levels, Mapping):
        if option is not None:
            raise UsageError(f"{where}.option: levels name their options themselves; leave it out")
        return tuple(_read_level(name, levels, f"{where}.levels", options) for name in levels)
    if not isinstance(levels, list) or not isinstance(option, str):
        raise UsageError(f"{where}: say option = 'VERB.OPTION' and levels = [...]")
    verb, _, name = option.partition(".")
    place = f"{where}.option"
    _one_of(verb, (*VERBS, "data"), place)
    return tuple(
        Level(level_name(value), _read_settings({verb: {name: value}}, place, options))
        for value in levels
    )


def _read_level(name: str, levels: Mapping[str, Any], where: str, options: Options) -> Level:
    table = _table(levels, name, where)
    _refuse_unknown(table, (*VERBS, "data"), f"{where}.{name}.")
    return Level(name, _read_settings(table, f"{where}.{name}", options))


def _read_listed(
    cells: Any, design: str, factors: Iterable[Factor]
) -> tuple[Mapping[str, str], ...]:
    if (cells is not None) != (design == "list"):
        raise UsageError("cell: tables [[cell]] and design = 'list' need each other")
    if cells is None:
        return ()
    if not isinstance(cells, list) or not all(isinstance(cell, Mapping) for cell in cells):
        raise UsageError("cell: write each cell as a table [[cell]], with FACTOR = LEVEL")
    names = {factor.name: [*(each.name for each in factor.levels), BASE] for factor in factors}
    listed = []
    for number, cell in enumerate(cells, 1):
        _refuse_unknown(cell, tuple(names), f"cell {number}: ")
        listed.append(
            {
                name: _one_of(level_name(level), names[name], f"cell {number}: {name}")
                for name, level in cell.items()
            }
        )
    return tuple(listed)


def _read_after(
    table: Mapping[str, Any], options: Options, base: dict[str, Any]
) -> Mapping[str, tuple[str, ...] | None]:
    """Cells by verb; the options of these verbs go to the base."""
    _refuse_unknown(table, AFTERWARDS, "after.")
    after: dict[str, tuple[str, ...] | None] = {}
    for verb in table:
        entry = {**_table(table, verb, "after")}
        cells = entry.pop("cells", None)
        if cells is not None and not isinstance(cells, list):
            raise UsageError(f"after.{verb}.cells: give a list of names of cells")
        after[verb] = None if cells is None else tuple(map(str, cells))
        for key, value in _read_options(verb, entry, f"after.{verb}", options).items():
            if base.setdefault(key, value) != value:
                raise UsageError(f"after.{key}: is not what base.{key} says; say it in one place")
    if "domain-shift" in after and "domain-shift.target" not in base:
        raise UsageError("after.domain-shift: has no target; name the folder of the new batch")
    if "explain" in after and "explain.class" not in base:
        raise UsageError("after.explain: has no class; name the class to explain")
    return after


def _refuse_idle(base: Settings, factors: Iterable[Factor], after: Iterable[str]) -> None:
    """Refuse options of verbs that run nowhere, since these come after scoring or not at all."""
    said = [("base", key) for key in base]
    said += [
        (f"factors.{factor.name}: {level.name}", key)
        for factor in factors
        for level in factor.levels
        for key in level.settings
    ]
    for where, key in said:
        verb = key.partition(".")[0]
        if verb in AFTERWARDS and verb not in after:
            raise UsageError(f"{where}.{key}: nothing runs {verb}; add a table [after.{verb}]")


def _read_folds(folds: Any) -> tuple[int, ...] | None:
    if folds == "all":
        return None
    found = _numbers(folds, "study.folds", " or 'all'")
    if len(found) > 1:  # their micrographs differ, and score pools runs of the same ones
        raise UsageError("study.folds: name one fold, such as [0], or 'all'")
    return found


def _numbers(values: Any, where: str, also: str = "") -> tuple[int, ...]:
    is_list = isinstance(values, list) and values
    if not is_list or not all(type(each) is int and each >= 0 for each in values):
        raise UsageError(f"{where}: give a list of whole numbers, such as [0, 1]{also}")
    if len({*values}) < len(values):
        raise UsageError(f"{where}: names a number twice; keep one")
    return tuple(values)


def _word(name: str, where: str) -> str:
    if not _WORD.fullmatch(name):
        raise UsageError(f"{where}: use letters, digits and _.+- in a name; it names a folder")
    return name


def _one_of(word: Any, choices: Iterable[str], where: str) -> Any:
    if word not in (known := [*choices]):
        raise UsageError(f"{where}: {word!r} is not known; use {', '.join(known)}")
    return word


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            names = ", ".join(known) or "none"
            raise UsageError(f"{where}{key}: unknown key; known are {names}")


def _table(table: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    entry = table.get(key, {})
    if not isinstance(entry, Mapping):
        place = f"{where}.{key}" if where else key
        raise UsageError(f"{place}: must be a table")
    return entry


def _tables(table: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    entries = _table(table, key)
    return [(name, _table(entries, name, key)) for name in entries]
