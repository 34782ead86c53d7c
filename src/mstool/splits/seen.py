"""Which micrographs a model has seen, and which of several models have not seen one.

What a model has seen is a table, one row a micrograph that decided its weights: ``name``, ``group``
and ``sha256`` of its content, and ``part``, which is ``train``, ``val`` or `UNLABELLED`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mstool.io.tiles import SourceImage
from mstool.splits.roles import UNLABELLED

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Knowledge:
    """What a model knows."""

    seen: Rows  # that decided its weights
    tested: frozenset[str]  # content of the micrographs that were kept from it for its test


def find_seen(sources: Mapping[str, SourceImage], rows: Rows) -> list[str]:
    """Names of the micrographs that are among `rows`, by content, or by name and group."""
    contents = {row["sha256"] for row in rows}
    seen = {(row["name"], row["group"]) for row in rows}
    return [
        name
        for name, source in sources.items()
        if source.sha256 in contents or (source.name, source.group) in seen
    ]


def find_same_group(sources: Mapping[str, SourceImage], rows: Rows) -> list[str]:
    """Names of the micrographs of whose specimen one is among `rows`.

    A group that is the file name is none.
    """
    groups = {row["group"] for row in rows}
    return [
        name
        for name, source in sources.items()
        if source.group != source.name and source.group in groups
    ]


def models_without(source: SourceImage, models: Sequence[Knowledge]) -> tuple[int, ...]:
    """Models that have not seen a micrograph: by their numbers, none if all have.

    A model has seen what it was trained on, and what chose among its weights in validation; and of
    a specimen of which it has seen one micrograph it has seen them all. Pixels alone, in
    pretraining without labels, do not count. Models that were to be tested on this very micrograph
    come before those that merely do not know it, such as of another data set: these are taken only
    if there are no others.
    """
    named = {source.name: source}
    unseen = []
    for number, model in enumerate(models):
        rows = [row for row in model.seen if row["part"] != UNLABELLED]
        if not find_seen(named, rows) and not find_same_group(named, rows):
            unseen.append(number)
    tested = [number for number in unseen if source.sha256 in models[number].tested]
    return tuple(tested or unseen)
