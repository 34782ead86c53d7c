"""Leaks: the same specimen, or the same image, on two sides of a split."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A micrograph as far as leaks are concerned.

    Attributes
    ----------
    name : str
        Name of the micrograph.
    group : str or None
        Specimen it belongs to; None if unknown, which leaks nothing.
    sha256 : str or None
        Hash of its content; None if unknown, which leaks nothing.
    """

    name: str
    group: str | None
    sha256: str | None


@dataclass(frozen=True)
class Leak:
    """One group, or one content, that is on more than one side of a split.

    Attributes
    ----------
    kind : str
        ``"group"`` or ``"content"``.
    key : str
        The group, or the SHA-256 of the content.
    members : tuple of (str, tuple of str)
        For each side it is on, the name of the side and the micrographs.
    """

    kind: str
    key: str
    members: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        """One line for people, with at most three micrographs a side."""
        what = f"group {self.key!r}"
        if self.kind == "content":
            what = f"one content (sha256 {self.key[:12]})"
        return f"{what} is in " + " and in ".join(
            f"{side} ({_list_names(names)})" for side, names in self.members
        )


def find_leaks(sides: Mapping[str, Sequence[Source]]) -> list[Leak]:
    """Everything that is on more than one side of a split.

    Parameters
    ----------
    sides : mapping of str to sequence of Source
        Micrographs of each side, e.g. ``"train"``, ``"val"`` and ``"test"``.

    Returns
    -------
    list of Leak
        Groups before contents, each in order of keys; sides in the order of `sides`, names sorted.
        Empty if the split is clean.
    """
    leaks = []
    for kind, attribute in (("group", "group"), ("content", "sha256")):
        members = defaultdict(lambda: defaultdict(set))
        for side, sources in sides.items():
            for source in sources:
                key = getattr(source, attribute)
                if key is not None:
                    members[key][side].add(source.name)
        leaks += [
            Leak(kind, key, tuple((side, tuple(sorted(names))) for side, names in found.items()))
            for key, found in sorted(members.items())
            if len(found) > 1
        ]
    return leaks


def _list_names(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
