"""Leaks: the same specimen, or the same image, on two sides of a split."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A micrograph as far as leaks are concerned; what is None is unknown, and leaks nothing."""

    name: str
    group: str | None  # specimen it belongs to
    sha256: str | None  # of its content


@dataclass(frozen=True)
class Leak:
    """One group, or one content, that is on more than one side of a split."""

    kind: str  # "group" or "content"
    key: str  # the group, or the SHA-256 of the content
    members: tuple[tuple[str, tuple[str, ...]], ...]  # names of sides, and of micrographs there

    def __str__(self) -> str:
        """One line for people, with at most three micrographs a side."""
        what = f"group {self.key!r}"
        if self.kind == "content":
            what = f"one content (sha256 {self.key[:12]})"
        return f"{what} is in " + " and in ".join(
            f"{side} ({list_names(names, 3)})" for side, names in self.members
        )


def find_leaks(sides: Mapping[str, Sequence[Source]]) -> list[Leak]:
    """Everything that is on more than one side, given the micrographs by name of the side.

    Groups come before contents, each in order of keys; sides in the order given, names sorted.
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


def all_searched(searches: Iterable[bool | None]) -> bool | None:
    """Whether each of several trainings looked for what its roles share.

    False if one did not, otherwise None if it is not known of one.
    """
    found = {*searches}
    if False in found:
        return False
    return None if None in found else True


def list_names(names: Sequence[str], most: int) -> str:
    """Give the first names as one line, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
