"""Which micrographs a model has seen, and which of several models have not seen one.

What a model has seen is a table, one row a micrograph that decided its weights: ``name``, ``group``
and ``sha256`` of its content, and ``part``, which is ``train``, ``val`` or `UNLABELLED`. Where it
is known, ``specimen`` is what groups of the tile folder and of the split make together: what shares
either shares a specimen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mstool.io.tiles import SourceImage
from mstool.splits.groups import join_relations
from mstool.splits.roles import UNLABELLED

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Knowledge:
    """What a model knows."""

    seen: Rows  # that decided its weights
    tested: frozenset[str]  # content of the micrographs that were kept from it for its test


def find_seen(sources: Mapping[str, SourceImage], rows: Rows) -> list[str]:
    """Names of the micrographs that are among `rows`, by content."""
    contents = {row["sha256"] for row in rows}
    return [name for name, source in sources.items() if source.sha256 in contents]


def find_named_alike(sources: Mapping[str, SourceImage], rows: Rows) -> list[str]:
    """Names of those whose content is not among `rows`, but name and group are.

    They may be seen ones that were cropped or converted since, or others of another set.
    """
    contents = {row["sha256"] for row in rows}
    seen = {(row["name"], row["group"]) for row in rows}
    return [
        name
        for name, source in sources.items()
        if source.sha256 not in contents and (source.name, source.group) in seen
    ]


def find_same_group(sources: Mapping[str, SourceImage], rows: Rows) -> list[str]:
    """Names of the micrographs of whose specimen one is among `rows`.

    A group that is the file name is none, and nor is a specimen that is the file name of both: such
    a name may be that of any micrograph of another set. Of a micrograph whose specimen no model
    knows, the group is taken for it.
    """
    groups = {row["group"] for row in rows}
    members: dict[str, set[str]] = {}
    for row in rows:
        if "specimen" in row:
            members.setdefault(row["specimen"], set()).add(row["name"])
    found = []
    for name, source in sources.items():
        group = _own_group(source.name, source.group)
        specimen = source.specimen or group
        namesakes = {source.name} if specimen == source.name else set()
        if group in groups or members.get(specimen, set()) - namesakes:
            found.append(name)
    return found


def name_specimens(
    sources: Mapping[str, SourceImage], rows: Rows
) -> tuple[dict[str, SourceImage], dict[str, str]]:
    """Micrographs with the specimens that models know them by, told by content or by group.

    Two models may call one specimen differently, and one model may take two for what is one
    specimen by another, or by the groups of the tile folder: all of these get one name.

    Parameters
    ----------
    sources : mapping of str to SourceImage
        Micrographs of one tile folder, by name.
    rows : sequence of mapping
        All micrographs that the models know, those of the test too.

    Returns
    -------
    sources : dict of str to SourceImage
        Micrographs that share a group share a specimen too. Where no model knows anything of it,
        there is none.
    names : dict of str to str
        Name of each specimen of the rows, see `rename_specimens`.
    """
    known = sorted(
        {
            (row["specimen"], row["sha256"], _own_group(row["name"], row["group"]) or "")
            for row in rows
            if "specimen" in row
        }
    )
    specimens = join_relations(
        [specimen for specimen, _, _ in known] + [None] * len(sources),
        [content for _, content, _ in known] + [source.sha256 for source in sources.values()],
        [group or None for _, _, group in known]
        + [_own_group(source.name, source.group) for source in sources.values()],
    )
    named = {
        name: replace(source, specimen=specimen)
        for (name, source), specimen in zip(sources.items(), specimens[len(known) :], strict=True)
    }
    return named, {row[0]: name or "" for row, name in zip(known, specimens, strict=False)}


def rename_specimens(rows: Rows, names: Mapping[str, str]) -> list[dict[str, str]]:
    """The same rows, with the names that `name_specimens` gives their specimens."""
    return [
        {**row, "specimen": names[row["specimen"]]} if "specimen" in row else {**row}
        for row in rows
    ]


def _own_group(name: str, group: str) -> str | None:
    """Group of a micrograph; None if that is its file name."""
    return None if group == name else group


def models_without(source: SourceImage, models: Sequence[Knowledge]) -> tuple[int, ...]:
    """Models that have not seen a micrograph: by their numbers, none if all have.

    A model has seen what it was trained on, and what chose among its weights in validation, and may
    have seen what is named alike; and of a specimen of which it has seen one micrograph it has seen
    them all. Pixels alone, in
    pretraining without labels, do not count. Models that were to be tested on this very micrograph
    come before those that merely do not know it, such as of another data set: these are taken only
    if there are no others.
    """
    named = {source.name: source}
    unseen = []
    for number, model in enumerate(models):
        rows = [row for row in model.seen if row["part"] != UNLABELLED]
        if not any(find(named, rows) for find in (find_seen, find_named_alike, find_same_group)):
            unseen.append(number)
    tested = [number for number in unseen if source.sha256 in models[number].tested]
    return tuple(tested or unseen)
