"""The group of a micrograph: what must stay on one side of a split."""

import re
from collections.abc import Iterable, Sequence

from mstool.errors import UsageError


def group_of(source: str, pattern: str | None = None) -> str:
    r"""Group that a micrograph, told by its name, belongs to; never empty.

    `pattern` is a regular expression searched for in the name; the group is its first capturing
    group, or all that it matches if it has none. Without a pattern every micrograph is a group of
    its own.

    Raises
    ------
    UsageError
        If `pattern` is no regular expression, or finds no name in `source`.

    Examples
    --------
    >>> group_of("S2_field07.tif", r"(S\d+)_")
    'S2'
    """
    if pattern is None:
        return source
    try:
        match = re.search(pattern, source)
    except re.error as error:
        raise UsageError(
            f"group pattern {pattern!r} is no regular expression ({error}); correct it"
        ) from error
    group = match and match[1 if match.re.groups else 0]
    if not group:
        raise UsageError(
            f"group pattern {pattern!r} finds no group in {source!r}; change the pattern so "
            "that it matches every name"
        )
    return group


def join_groups(groups: Sequence[str], pairs: Iterable[tuple[int, int]]) -> list[str]:
    """Groups of images after those of each pair of images became one, named after the first.

    Examples
    --------
    >>> join_groups(["a", "b", "c", "d"], [(0, 2), (2, 3)])
    ['a', 'b', 'a', 'a']
    """
    name_of = {group: group for group in groups}
    for first, second in pairs:
        kept, gone = sorted((name_of[groups[first]], name_of[groups[second]]))
        name_of = {group: kept if name == gone else name for group, name in name_of.items()}
    return [name_of[group] for group in groups]


def join_relations(*relations: Sequence[str | None]) -> list[str | None]:
    """Groups of images after those that share one in any relation became one.

    Each relation gives a group to each image, or None to one that shares nothing in it. Groups are
    named after the first of theirs in the first relation, by order of names; None if they have none
    there.

    Examples
    --------
    >>> join_relations(["a", "b", "c", None], ["x", "y", "y", "x"])
    ['a', 'b', 'b', 'a']
    """
    pairs = []
    for relation in relations:
        first: dict[str, int] = {}
        for place, group in enumerate(relation):
            if group is not None and first.setdefault(group, place) != place:
                pairs.append((first[group], place))
    parts = join_groups([str(place) for place in range(len(relations[0]))], pairs)
    name_of: dict[str, str] = {}
    for part, name in zip(parts, relations[0], strict=True):
        if name is not None:
            name_of[part] = min(name, name_of.get(part, name))
    return [name_of.get(part) for part in parts]
