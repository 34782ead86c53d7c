"""What the masks of a score record were made from: the records of the steps before it.

A record names its inputs with their hashes. A record of which a later one speaks is read only if
its bytes are those: other bytes are another run, or of nobody knows whom.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstool.errors import InputError, MissingInputError
from mstool.io.records import is_input, read_record
from mstool.io.tiles import PREDICT_RECORD, STITCH_RECORD
from mstool.reports.core_time import STEPS

TRAIN_RECORD = "train.json"
_HISTORY = "history.csv"


@dataclass(frozen=True)
class Step:
    """A record behind a score.

    Attributes
    ----------
    verb : str
        That wrote it.
    path : Path
        Where it lies.
    record : mapping
        What it says.
    repeat : int
        Number of the run, from 0.
    """

    verb: str
    path: Path
    record: Mapping[str, Any]
    repeat: int


@dataclass(frozen=True)
class Training:
    """A training behind a score.

    Attributes
    ----------
    step : Step
        Its record.
    history : list of dict
        A row an epoch, numbers, None where there is none; empty where it is not at hand.
    """

    step: Step
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Origins:
    """Steps behind a score, those that are at hand.

    Attributes
    ----------
    steps : tuple of Step
        Of stitch, predict and train, in this order, each record once.
    trainings : tuple of Training
        Those of train, with their histories.
    lost : tuple of str
        What is not where it was, or has changed, in words.
    incomplete : tuple of str
        Verbs of which some record is lost, or cannot be followed back to.
    """

    steps: tuple[Step, ...]
    trainings: tuple[Training, ...]
    lost: tuple[str, ...]
    incomplete: tuple[str, ...]


def trace_origins(path: Path, record: Mapping[str, Any]) -> Origins:
    """Find the steps behind a score record, as far as they are at hand."""
    lost: dict[str, str] = {}  # verb by words
    stitched = [
        Step("stitch", where, found, repeat)
        for repeat, name in enumerate(_own_stitchings(record))
        for where, found in _follow(path, record, [name], "stitch", lost)
    ]
    predicted = [
        Step("predict", where, found, step.repeat)
        for step in stitched
        for where, found in _follow(
            step.path, step.record, _inputs_called(PREDICT_RECORD, step.record), "predict", lost
        )
    ]
    trained = [
        Step("train", where, found, step.repeat)
        for step in predicted
        for where, found in _trainings(step, lost)
    ]
    steps = {step.path.resolve(): step for step in (*stitched, *predicted, *trained)}
    ends = [STEPS.index(verb) + 1 for verb in lost.values()]
    trainings = [step for step in steps.values() if step.verb == "train"]
    return Origins(
        tuple(steps.values()),
        tuple(Training(step, _read_history(step.path.parent / _HISTORY)) for step in trainings),
        tuple(lost),
        STEPS[: max(ends, default=0)],
    )


def recorded_file(path: Path, record: Mapping[str, Any], name: str | None) -> Path | None:
    """Input of a record, by its name there, if it is where it was, unchanged; None otherwise."""
    known = record.get("inputs", {}).get(name) if name else None
    where = path.parent / name if name else path
    return where if is_input(where, known) else None


def _inputs_called(wanted: str, record: Mapping[str, Any]) -> list[str]:
    return [name for name in record.get("inputs", {}) if Path(name).name == wanted]


def _own_stitchings(record: Mapping[str, Any]) -> list[str]:
    """Records of the masks that a score is of, run by run; not of those of its --versus."""
    names = _inputs_called(STITCH_RECORD, record)
    if not record.get("versus"):
        return names
    masks = [Path((row.get("files") or {}).get("mask") or "") for row in record["per_image"]]
    return [name for name in names if Path(name).parent in {each.parent for each in masks}]


def _follow(
    path: Path,
    record: Mapping[str, Any],
    names: Iterable[str],
    verb: str,
    lost: dict[str, str],
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Records among the inputs of a record, those that are at hand."""
    for name in names:
        where = recorded_file(path, record, name)
        if where is None:
            lost[f"{path.parent / name} is not there, or has changed since"] = verb
            continue
        try:
            yield where, read_record(where, verb)
        except (InputError, MissingInputError) as error:
            lost[str(error)] = verb


def _trainings(step: Step, lost: dict[str, str]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Records beside the models that a prediction names, whose own hash no record holds."""
    for name in step.record.get("inputs", {}):
        if Path(name).suffix != ".safetensors":
            continue
        model = step.path.parent / name
        if recorded_file(step.path, step.record, name) is None:
            lost[f"{model} is not there, or has changed since"] = "train"
            continue
        where = model.parent / TRAIN_RECORD
        try:
            yield where, read_record(where, "train")
        except (InputError, MissingInputError) as error:
            lost[str(error)] = "train"


def _read_history(path: Path) -> list[dict[str, Any]]:
    """Rows of a learning curve; none where the file is not there, or no such table."""
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = [*csv.DictReader(stream)]
        return [{key: float(text) if text else None for key, text in row.items()} for row in rows]
    except (OSError, ValueError, TypeError, AttributeError, csv.Error):
        return []
