"""What is said where the validation is brighter or darker than all that there is to learn from."""

from collections.abc import Iterable, Iterator

import numpy as np

from mstool.micrographs.brightness import (
    FAR,
    Brightness,
    Gap,
    find_widest_gap,
    measure_brightness,
)
from mstool.micrographs.own_greys import OWN_GREYS
from mstool.nn.dataset import TileStore
from mstool.pipeline.train.training_data import TrainingData
from mstool.reporting import Reporter


def note_other_brightness(data: TrainingData, report: Reporter) -> None:
    """Say which micrograph of the validation is far from all to learn from, and what to do.

    The test is not looked at. Nothing is said where greys are those of each micrograph already;
    nor is any tile read where it would not be heard, as in all processes of a team but one.
    """
    if data.folder.has_own_greys or report.verbosity < 0:
        return
    gap = find_widest_gap(
        _by_micrograph(data.val, data.roles.val), _by_micrograph(data.train, data.roles.train)
    )
    if gap is not None and gap.n_std > FAR:
        report.note(_in_words(gap))


def _by_micrograph(store: TileStore, names: Iterable[str]) -> dict[str, Brightness]:
    return {name: measure_brightness(_images_of(store, name)) for name in names}


def _images_of(store: TileStore, name: str) -> Iterator[np.ndarray]:
    for index, tile in enumerate(store.tiles):
        if tile.source == name:
            yield store.read(index)[0].numpy()


def _in_words(gap: Gap) -> str:
    return (
        f"warning: {gap.name} of the validation has a mean grey of {gap.mean:.4g}, the nearest to "
        f"learn from has {gap.nearest:.4g}, {gap.n_std:.1f} standard deviations of their pixels "
        "away: where exposure differs so, a network may take it for a phase; mstool tile "
        f"--rescale-greys {OWN_GREYS} gives all micrographs the same brightness and contrast"
    )
