"""Pairs of micrographs that show the same, whatever they are called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from mstool.micrographs.field_files import FieldFile
from mstool.reporting import Reporter
from mstool.splits.audit.overlaps import ALL_TURNS, Field, Overlap, find_overlaps, small_scale

_MOST_PX = 2048  # longest side that is looked at closely; larger micrographs are reduced to it
_SAME = Overlap(1.0, (0.0, 0.0), 0, 1.0, 1.0)


@dataclass(frozen=True)
class FoundPair:
    """Two micrographs that show the same.

    Attributes
    ----------
    first, second : FieldFile
        The micrographs, in order of names.
    kind : str
        ``file`` for the same bytes, ``pixels`` for the same pixels, otherwise ``overlap``.
    overlap : Overlap
        How they lie, in pixels of the fields, which may be scaled.
    """

    first: FieldFile
    second: FieldFile
    kind: str
    overlap: Overlap

    @property
    def offset(self) -> tuple[float, float]:
        """Row and column of the corner of the second in the first, as stored [px]."""
        return self.overlap.magnified(1 / self.first.scale).offset


def find_pairs(
    fields: Sequence[FieldFile],
    report: Reporter,
    pairs: Iterable[tuple[int, int]] | None = None,
    turns: Sequence[int] = ALL_TURNS,
) -> list[FoundPair]:
    """Search pairs of micrographs, all by default, for what they share."""
    pairs = list(combinations(range(len(fields)), 2) if pairs is None else pairs)
    kinds = {(i, j): _same(fields[i], fields[j]) for i, j in pairs}
    found = {pair: (kind, _SAME) for pair, kind in kinds.items() if kind}
    rest = sorted((pair for pair in pairs if not kinds[pair]), key=lambda pair: pair[::-1])
    numbers = sorted({number for pair in rest for number in pair})
    if numbers:
        shapes = [fields[number].shape for number in numbers]
        small, close = small_scale(shapes), min(1.0, _MOST_PX / max(map(max, shapes)))
        copies = _read_small(fields, numbers, small, report)

        def read(number: int) -> Field:
            return fields[number].read(close)

        search = find_overlaps(copies, rest, read, small / close, turns)
        with report.progress("comparing", len(rest)) as advance:
            for pair, overlap in zip(rest, search, strict=True):
                if overlap is not None:
                    found[pair] = ("overlap", overlap.magnified(1 / close))
                advance(1)
    return [FoundPair(fields[i], fields[j], *found[i, j]) for i, j in sorted(found)]


def describe_pair(pair: FoundPair) -> str:
    """Words on what two micrographs share."""
    names = f"{pair.first.name} and {pair.second.name}"
    if pair.kind != "overlap":
        return f"{names} are the same {'file' if pair.kind == 'file' else 'picture'}"
    row, col = (round(at) for at in pair.offset)
    return (
        f"{names} show the same field ({pair.overlap.share:.0%} of the smaller, offset "
        f"{row}, {col} px)"
    )


def _same(first: FieldFile, second: FieldFile) -> str | None:
    if first.file_sha256 == second.file_sha256:
        return "file"
    return "pixels" if first.sha256 == second.sha256 else None


def _read_small(
    fields: Sequence[FieldFile], numbers: Sequence[int], scale: float, report: Reporter
) -> dict[int, Field]:
    copies = {}
    with report.progress("reading", len(numbers)) as advance:
        for number in numbers:
            copies[number] = fields[number].read(scale)
            advance(1, fields[number].name)
    return copies
