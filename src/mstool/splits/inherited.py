"""What weights that are begun with have seen of the micrographs that are to judge them."""

from collections.abc import Mapping
from dataclasses import replace

from mstool.io.tiles import SourceImage
from mstool.splits.roles import UNLABELLED, Roles
from mstool.splits.seen import Rows, find_same_group


def list_inherited_leaks(
    inherited: Rows, roles: Roles, sources: Mapping[str, SourceImage]
) -> list[str]:
    """What weights know of the test, and what of the validation they were trained on, in words.

    A micrograph is known by its content, and a specimen by its name, that of its group in the split
    or in the tile folder. Names of files say nothing: those of two sets may be alike. What was seen
    without labels is no leak; see `find_transductive`.

    Parameters
    ----------
    inherited : sequence of mapping
        What the weights have seen; see `mstool.splits.seen`.
    sources : mapping of str to SourceImage
        All micrographs by name, with the specimens of the training.
    """
    labelled = [_without_file_name(row) for row in inherited if row["part"] != UNLABELLED]
    rows_of = {"test": labelled, "val": [row for row in labelled if row["part"] == "train"]}
    found = []
    for role, rows in rows_of.items():
        judges = {name: _named_by_group(sources[name]) for name in getattr(roles, role)}
        contents = {row["sha256"] for row in rows}
        seen = [name for name, source in judges.items() if source.sha256 in contents]
        alike = [name for name in find_same_group(judges, rows) if name not in seen]
        found += [f"has already seen {name}, which is in {role} now" for name in seen]
        found += [
            "has already seen another micrograph of group "
            f"{judges[name].specimen or judges[name].group!r}, of which {name} is in {role} now"
            for name in alike
        ]
    return found


def _without_file_name(row: Mapping[str, str]) -> Mapping[str, str]:
    """A row without a specimen that is called as its file."""
    if row.get("specimen") != row["name"]:
        return row
    return {key: text for key, text in row.items() if key != "specimen"}


def _named_by_group(source: SourceImage) -> SourceImage:
    """A micrograph without a specimen that is called as its file."""
    return replace(source, specimen=None) if source.specimen == source.name else source


def find_transductive(
    inherited: Rows, roles: Roles, sources: Mapping[str, SourceImage]
) -> dict[str, list[str]]:
    """Micrographs to validate and to test whose pixels, without labels, decided the weights.

    Returns
    -------
    dict of str to list of str
        Names under ``val`` and ``test``.
    """
    seen = {source["sha256"] for source in inherited if source["part"] == UNLABELLED}
    return {
        role: [name for name in getattr(roles, role) if sources[name].sha256 in seen]
        for role in ("val", "test")
    }
