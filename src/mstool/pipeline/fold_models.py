"""Models that ``train --test-fold all`` has made, and what each of them predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mstool.errors import InputError, LeakError, MissingInputError
from mstool.io.outputs import is_unfinished
from mstool.io.records import read_record, require_keys, sha256_of_file
from mstool.io.tiles import SourceImage, Tile
from mstool.micrographs.tile_folder import TileFolder
from mstool.nn.checkpoint import MODEL, LoadedModel, deciding_sources
from mstool.pipeline.out_of_fold import Fold
from mstool.splits.roles import UNLABELLED
from mstool.splits.seen import Knowledge, models_without, name_specimens, rename_specimens

CV_RECORD = "cv.json"
_PARTS = {UNLABELLED: 0, "val": 1, "train": 2}  # how much each is
_TRAIN_AGAIN = "run train --test-fold all again"


@dataclass(frozen=True)
class Part:
    """Tiles, in the order of their manifest, and the models that predict them."""

    models: tuple[LoadedModel, ...]
    tiles: tuple[Tile, ...]

    def as_fold(self) -> Fold:
        """What records say of it."""
        settings = [model.checkpoint.training.get("settings", {}) for model in self.models]
        folds = {each.get("test_fold") for each in settings}
        return Fold(
            folds.pop() if len(folds) == 1 else None,
            tuple(model.sha256 for model in self.models),
            tuple(dict.fromkeys(tile.source for tile in self.tiles)),
            tuple(trained_on(self.models)),
        )


def trained_on(models: Sequence[LoadedModel]) -> list[dict[str, str]]:
    """Micrographs that decided the weights of any model, and the most that each was.

    One content stays twice where its groups or specimens differ: it is of both.
    """
    sources = [source for model in models for source in deciding_sources(model.checkpoint)]
    sources.sort(key=lambda source: _PARTS.get(source["part"], 0))  # of several the last is kept
    labelled = {source["sha256"] for source in sources if source["part"] != UNLABELLED}
    seen = {
        tuple(sorted((key, text) for key, text in source.items() if key != "part")): source
        for source in sources
        # labels are more than pixels
        if source["part"] != UNLABELLED or source["sha256"] not in labelled
    }
    return sorted(seen.values(), key=lambda source: source["name"])


def know_specimens(
    sources: Mapping[str, SourceImage], models: Sequence[LoadedModel]
) -> tuple[dict[str, SourceImage], list[LoadedModel]]:
    """Micrographs with the specimens that the models know, and models that call these alike."""
    tables = [model.checkpoint.sources for model in models]
    rows = [row for table in tables for part in table.values() for row in part]
    named, names = name_specimens(sources, rows)
    alike = [
        replace(model.checkpoint, sources={k: rename_specimens(v, names) for k, v in table.items()})
        for model, table in zip(models, tables, strict=True)
    ]
    return named, [replace(model, checkpoint=one) for model, one in zip(models, alike, strict=True)]


def divide_out_of_fold(folder: TileFolder, models: Sequence[LoadedModel]) -> list[Part]:
    """Give the tiles of each micrograph to the models that have not seen it.

    Raises
    ------
    LeakError
        If all models have seen a micrograph.
    """
    known = [_knowledge(model) for model in models]
    tiles_of: dict[tuple[int, ...], list[Tile]] = {}
    for source, tiles in folder.by_source():
        unseen = models_without(source, known)
        if not unseen:
            raise LeakError(
                f"{source.name}: every model was trained or validated on it, or on its specimen; "
                "give the models of all folds, or leave it out"
            )
        tiles_of.setdefault(unseen, []).extend(tiles)
    return [
        Part(tuple(models[number] for number in numbers), tuple(tiles))
        for numbers, tiles in sorted(tiles_of.items())
    ]


def _knowledge(model: LoadedModel) -> Knowledge:
    tested = frozenset(source["sha256"] for source in model.checkpoint.sources["test"])
    return Knowledge(deciding_sources(model.checkpoint), tested)


def fold_folder(fold: int | str) -> str:
    """Name of the folder of a fold's model, or of all that a pattern in its place matches."""
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
    if is_unfinished(path, CV_RECORD) or any(path.glob(f"{fold_folder('*')}/{MODEL}")):
        raise MissingInputError(
            f"{record}: no such file; a fold is not trained yet, {_TRAIN_AGAIN}"
        )
    return [path]


def _models_of_folds(path: Path, record: Path) -> list[Path]:
    (rows,) = require_keys(read_record(record), record, "folds")
    models = []
    try:
        known = [(fold_folder(int(row["fold"])), row["sha256"]) for row in rows]
        if not known:
            raise ValueError("it is empty")
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
