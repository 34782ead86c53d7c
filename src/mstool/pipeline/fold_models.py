"""Models of a cross-validation, one a fold, in a folder that ``train --test-fold all`` has made."""

from collections.abc import Sequence
from pathlib import Path

from mstool.errors import InputError, MissingInputError
from mstool.io.outputs import is_unfinished
from mstool.io.records import read_record, require_keys, sha256_of_file
from mstool.nn.checkpoint import MODEL

CV_RECORD = "cv.json"
_TRAIN_AGAIN = "run train --test-fold all again"


def fold_folder(fold: int) -> str:
    """Name of the folder of a fold's model."""
    return f"fold-{fold}"


def find_models(paths: Sequence[Path]) -> list[Path]:
    """Models that `paths` name: files, model folders, and folders of a cross-validation.

    Raises
    ------
    MissingInputError
        If a cross-validation has not ended, or the model of a fold is gone.
    InputError
        If the record of one is damaged, or a model is not that which it was made with.
    """
    return [model for path in paths for model in _models_of(path)]


def _models_of(path: Path) -> list[Path]:
    record = path / CV_RECORD
    if record.is_file():
        return _models_of_folds(path, record)
    if is_unfinished(path, CV_RECORD):
        raise MissingInputError(
            f"{record}: no such file; a fold is not trained yet, {_TRAIN_AGAIN}"
        )
    return [path]


def _models_of_folds(path: Path, record: Path) -> list[Path]:
    (rows,) = require_keys(read_record(record), record, "folds")
    models = []
    try:
        known = [(fold_folder(int(row["fold"])), row["sha256"]) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{record}: damaged list of folds ({error}); {_TRAIN_AGAIN}, with --overwrite"
        ) from None
    for name, sha256 in known:
        model = path / name / MODEL
        if not model.is_file():
            raise MissingInputError(
                f"{model}: no such model, though {record} names it; {_TRAIN_AGAIN}"
            )
        if sha256_of_file(model) != sha256:
            raise InputError(
                f"{model}: is not the model that {record} names; {_TRAIN_AGAIN}, with --overwrite"
            )
        models.append(model)
    return models
