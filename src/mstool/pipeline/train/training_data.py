"""Tiles with labels, divided into roles that share nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mstool.errors import InputError
from mstool.io.split_csv import read_split
from mstool.io.tiles import LabelledTileReader, SourceImage, Tile
from mstool.micrographs.tile_folder import TileFolder, open_tile_folder
from mstool.nn.dataset import TileStore
from mstool.pipeline.train.train_flags import TrainSettings
from mstool.splits.groups import join_relations
from mstool.splits.roles import Roles, choose_roles, keep_first_images, list_leaks


@dataclass(frozen=True)
class TrainingData:
    """A tile folder, divided.

    Attributes
    ----------
    train, val : TileStore
        Tiles with labels; `val` may be empty.
    roles : Roles
        Names of the micrographs.
    folder : TileFolder
        What is known of all tiles; the specimen of a micrograph is its groups in the split and in
        the tile folder, joined.
    leaks : tuple of str
        What is in two roles and was let pass.
    """

    train: TileStore
    val: TileStore
    roles: Roles
    folder: TileFolder
    leaks: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in order."""
        return self.folder.legend.names

    def sources_by_role(self) -> dict[str, list[SourceImage]]:
        """Micrographs of each role."""
        roles = self.roles.as_dict().items()
        return {role: [self.folder.sources[name] for name in names] for role, names in roles}


def read_training_data(tiles: Path, split: Path, settings: TrainSettings) -> TrainingData:
    """Open a tile folder, read the split, and prove the roles apart."""
    folder = open_tile_folder(tiles)
    if folder.legend is None:
        raise InputError(f"{tiles}: was cut without labels; run mstool tile with --labels")
    rows = read_split(split)
    roles = choose_roles(
        rows,
        folder.sources,
        settings.test_fold,
        settings.val_fold,
        str(split),
        settings.allow_leak,
    )
    roles = keep_first_images(roles, settings.max_images, settings.fit.seed)
    decode = LabelledTileReader(tiles, len(folder.legend.classes))
    stores = {
        role: TileStore([tile for tile in folder.tiles if tile.source in names], decode)
        for role, names in roles.as_dict().items()
    }
    for role in ("train", "val"):
        if not len(stores[role]):
            raise InputError(
                f"{tiles}: holds no tile of the micrographs to {role}; tile with a higher "
                "--discard-ignored"
            )
    _refuse_one_class(stores["train"].tiles, tiles)
    leaks = tuple(list_leaks(roles, rows, folder.sources))
    sources = [folder.sources[row.source] for row in rows]
    specimens = join_relations([row.group for row in rows], [source.group for source in sources])
    named = {
        source.name: replace(source, specimen=specimen)
        for source, specimen in zip(sources, specimens, strict=True)
    }
    folder = replace(folder, sources={name: named[name] for name in folder.sources})
    return TrainingData(stores["train"], stores["val"], roles, folder, leaks)


def list_missing_labels(data: TrainingData) -> list[str]:
    """Say what the labels cannot teach, and what they cannot decide, in sentences."""
    tiles = data.train.tiles
    shown, n_labelled = _classes_of(tiles), sum(bool(_classes_of([tile])) for tile in tiles)
    said = []
    if n_labelled < len(tiles):
        micrographs = {tile.source for tile in tiles if _classes_of([tile])}
        said.append(
            f"{len(tiles) - n_labelled} of {len(tiles)} tiles to train on have no labelled pixel, "
            f"from which nothing is learnt; the others are of {len(micrographs)} of "
            f"{len(data.roles.train)} micrographs"
        )
    if missing := [name for name in data.classes if name not in shown]:
        said.append(f"warning: no pixel to train on is {_any_of(missing)}, which cannot be learnt")
    judged = _classes_of(data.val.tiles)
    if judged and (missing := [name for name in data.classes if name not in judged]):
        said.append(
            f"warning: no pixel to validate on is {_any_of(missing)}, which has no say in which "
            "weights are kept"
        )
    return said


def _any_of(names: Sequence[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


def _classes_of(tiles: Sequence[Tile]) -> set[str]:
    """Names of the classes that have a pixel."""
    return {
        name for tile in tiles for name, n in (tile.counts or {}).items() if n and name != "ignored"
    }


def _refuse_one_class(train: Sequence[Tile], folder: Path) -> None:
    """Refuse tiles from which no difference can be learnt, though the loss would fall."""
    remedy = "look at the label maps and their legend, or train on other folds"
    found = _classes_of(train)
    if not found:
        raise InputError(f"{folder}: the tiles to train on have no labelled pixel; {remedy}")
    if len(found) == 1:
        raise InputError(
            f'{folder}: the tiles to train on hold one class only, "{found.pop()}"; {remedy}'
        )
