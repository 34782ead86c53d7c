"""Search micrographs for shared fields of view, as CSV and as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mstool.errors import CheckFailed, InputError
from mstool.io.split_csv import read_split
from mstool.io.tables import to_csv
from mstool.micrographs.field_files import FieldFile, open_fields
from mstool.micrographs.find import SetFiles
from mstool.pictures.overlap_sheet import MOST_ROWS, SharedField, draw_overlap_sheet
from mstool.pictures.save import refuse_picture, save_figure
from mstool.pipeline.shared_fields import FoundPair, describe_pair, find_pairs
from mstool.reporting import Reporter
from mstool.splits.audit.overlaps import shared_windows
from mstool.splits.audit.structure import turned

HEADER = (
    "first", "second", "kind", "overlap", "row", "col", "turn", "mirrored", "scale", "agreement",
    "first_fold", "second_fold",
)  # fmt: skip

_SHEET_PX = 800  # longest side of a micrograph on the sheet


@dataclass(frozen=True)
class AuditSettings:
    """What to hold the pairs against, and what to draw."""

    split: Path | None  # with a line for every micrograph
    sheet: Path | None  # picture


def audit_micrographs(
    files: SetFiles, settings: AuditSettings, overwrite: bool, report: Reporter
) -> tuple[str, list[FoundPair]]:
    """Search a set, and draw what was found.

    Returns
    -------
    table : str
        CSV, a line a pair.
    leaks : list of FoundPair
        Those that lie on two sides of the split; empty without one.

    Raises
    ------
    UsageError, OutputExistsError
        As `refuse_picture`.
    InputError
        If the split leaves out a micrograph, or a micrograph cannot be read.
    """
    split, sheet = settings.split, settings.sheet
    refuse_picture("--sheet", sheet, overwrite)
    with report.progress("reading", len(files.images)) as advance:
        fields = open_fields(files, advance)
    folds = {} if split is None else _read_folds(split, fields)
    pairs = find_pairs(fields, report)
    leaks = [pair for pair in pairs if folds and folds[pair.first.name] != folds[pair.second.name]]
    if sheet is not None and pairs:
        _draw(sheet, sorted(pairs, key=lambda pair: pair not in leaks), folds)
    elif sheet is not None:  # one that is there shows pairs of before, and is to be overwritten
        sheet.unlink(missing_ok=True)
    n = len(fields)
    drawn = f"; see {sheet}" if pairs else f"; no sheet is drawn, {sheet} is not written"
    n_pairs = n * (n - 1) // 2
    report.note(
        f"{n} micrograph{'s' * (n != 1)}, {n_pairs} pair{'s' * (n_pairs != 1)}: {len(pairs)} "
        f"show{'s' * (len(pairs) == 1)} the same field{'' if sheet is None else drawn}"
    )
    return to_csv(HEADER, (_row(pair, folds) for pair in pairs)), leaks


def refuse_leaks(leaks: Sequence[FoundPair], split: Path) -> None:
    """End with exit code 1.

    Raises
    ------
    CheckFailed
        Naming the first one.
    """
    more = f" (and {len(leaks) - 1} more pair{'s' * (len(leaks) > 2)})" if len(leaks) > 1 else ""
    raise CheckFailed(
        f"{split}: {describe_pair(leaks[0])}, and lie in different folds{more}; bring them into "
        "one fold, or divide anew with mstool split --join-overlaps"
    )


def _read_folds(split: Path, fields: Sequence[FieldFile]) -> dict[str, int]:
    folds = {row.source: row.fold for row in read_split(split)}
    for field in fields:
        if field.name not in folds:
            raise InputError(f"{split}: {field.name} has no line; give it a fold")
    return folds


def _row(pair: FoundPair, folds: dict[str, int]) -> tuple:
    overlap = pair.overlap
    return (
        pair.first.name, pair.second.name, pair.kind, f"{overlap.share:.3f}",
        *(f"{at + 0.0:.1f}" for at in pair.offset), 90 * (overlap.turn % 4),
        int(overlap.turn >= 4), f"{overlap.scale:.4f}", f"{overlap.agreement:.2f}",
        folds.get(pair.first.name), folds.get(pair.second.name),
    )  # fmt: skip


def _draw(path: Path, pairs: Sequence[FoundPair], folds: dict[str, int]) -> None:
    save_figure(
        path, draw_overlap_sheet([_picture(pair, folds) for pair in pairs[:MOST_ROWS]], len(pairs))
    )


def _picture(pair: FoundPair, folds: dict[str, int]) -> SharedField:
    scale = min(1.0, _SHEET_PX / max(*pair.first.shape, *pair.second.shape))
    overlap = pair.overlap.magnified(scale)
    first = pair.first.read(scale).grey
    lying = turned(pair.second.read(scale).grey, overlap.turn)
    titles = [
        name + (f", fold {folds[name]}" if folds else "")
        for name in (pair.first.name, pair.second.name)
    ]
    if words := _turn_in_words(overlap.turn):
        titles[1] += f", {words}"
    row, col = (round(at) for at in pair.offset)
    shared = f"{pair.overlap.share:.0%} shared, offset {row}, {col} px"
    windows = shared_windows(first.shape, lying.shape, overlap)
    return SharedField((first, lying), windows, (*titles, shared))


def _turn_in_words(turn: int) -> str:
    """Say how the second was laid on the first; nothing for upright."""
    mirrored = "mirrored" if turn >= 4 else ""
    angle = f"turned by {90 * (turn % 4)}°" if turn % 4 else ""
    return ", ".join(filter(None, (mirrored, angle)))
