"""Which models predicted which micrographs, as it goes from record to record."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mstool.errors import InputError


@dataclass(frozen=True)
class Fold:
    """Micrographs that the same models predicted, none of which has seen them."""

    fold: int | None  # in which the models were tested; None where they differ, or had no test
    models: tuple[str, ...]  # SHA-256 of the files
    sources: tuple[str, ...]  # names of the micrographs
    trained_on: tuple[dict[str, str], ...]  # that decided the weights; see `splits.seen`

    def as_entry(self) -> dict[str, Any]:
        """Entry of a record."""
        return asdict(self)


def read_training(rows: Any, path: Path) -> tuple[dict[str, str], ...]:
    """Micrographs that decided weights, from the record in `path`.

    Raises
    ------
    InputError
        If the list is damaged.
    """
    try:
        keys = ("name", "group", "sha256")
        return tuple(
            {"part": row.get("part", "train"), **{key: row[key] for key in keys}}
            | ({"specimen": row["specimen"]} if "specimen" in row else {})  # old models know none
            for row in rows
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged list trained_on ({error}); stitch again") from None


def read_folds(
    record: Mapping[str, Any], names: Sequence[str], path: Path
) -> tuple[Fold, ...] | None:
    """Folds of a record; None if all micrographs were predicted by the same models.

    Parameters
    ----------
    record : mapping
        Of predict or stitch.
    names : sequence of str
        Micrographs in it.
    path : Path
        Where the record was.

    Raises
    ------
    InputError
        If the list is damaged, or a micrograph is not in one fold.
    """
    rows = record.get("folds")
    if rows is None:
        return None
    try:
        folds = tuple(
            Fold(
                None if row["fold"] is None else int(row["fold"]),
                tuple(map(str, row["models"])),
                tuple(map(str, row["sources"])),
                read_training(row["trained_on"], path),
            )
            for row in rows
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged list folds ({error}); predict again") from None
    if sorted(name for fold in folds for name in fold.sources) != sorted(names):
        raise InputError(
            f"{path}: folds and sources name different micrographs; predict and stitch again"
        )
    return folds
