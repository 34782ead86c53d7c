"""What a report says, plain: the content of its JSON, of which page and table are made."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mstool.errors import InputError, UsageError
from mstool.io.plain import to_plain
from mstool.io.records import relative_to, sha256_of_file
from mstool.pipeline.report.origins import Training
from mstool.pipeline.report.reported_cells import Findings, FoundRecord, ReportedCell
from mstool.reports import sentences
from mstool.reports.cell_entries import describe_comparison, describe_scores
from mstool.reports.core_time import describe_cost
from mstool.reports.pairing import Comparison, compare_with_base, why_not_paired

Entry = dict[str, Any]


def describe_findings(findings: Findings, base: str | None, seed: int, folder: Path) -> Entry:
    """Content of a report; `folder` is that of the report.

    Parameters
    ----------
    base : str or None
        Cell to compare with; None for the one of each data set that differs in no factor, or its
        first.

    Raises
    ------
    UsageError
        If no cell is called so.
    InputError
        If a record lacks what one of its kind has.
    """
    named = {cell.name: cell for cell in findings.cells}
    bases = choose_bases(findings.cells, base)
    reasons, comparisons = _compare(findings.cells, bases, seed)
    entries = []
    for cell in findings.cells:
        try:
            entry = _describe_cell(cell, named[bases[cell.data]], reasons, comparisons, folder)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{cell.path}: it, or a record behind it, is not what mstool writes ({error}); "
                "make it again, and see report --check"
            ) from None
        entries.append(to_plain(entry))
    return to_plain(
        {
            "factors": list(findings.factors),
            "n_comparisons": len(comparisons),
            "data": _describe_data(entries, len(comparisons)),
            "cells": entries,
            "explanations": [_describe_explanation(one, folder) for one in findings.explanations],
            "shifts": [_describe_shift(one, folder) for one in findings.shifts],
            "provenance": _describe_provenance(findings, folder),
        }
    )


def choose_bases(cells: Sequence[ReportedCell], base: str | None) -> dict[str, str]:
    """Name of the base of each data set.

    Raises
    ------
    UsageError
        If a cell is asked for that is not there.
    """
    names = [cell.name for cell in cells]
    if base is not None and base not in names:
        raise UsageError(f"--base {base}: no such cell; use {', '.join(names)}")
    found: dict[str, str] = {}
    for cell in cells:
        is_first = cell.data not in found
        if is_first or (not cell.differs and cell.levels):
            found[cell.data] = cell.name
    if base is not None:
        found[next(cell.data for cell in cells if cell.name == base)] = base
    return found


def _compare(
    cells: Sequence[ReportedCell], bases: Mapping[str, str], seed: int
) -> tuple[dict[str, str], dict[str, Comparison]]:
    """Why some cells cannot be compared with their base, and the comparisons of the others."""
    scored = {cell.name: cell.scored for cell in cells if cell.scored}
    reasons, pairs = {}, []
    for cell in cells:
        ours, base = cell.scored, scored.get(bases[cell.data])
        if ours is None or base is ours:
            continue
        reason = why_not_paired(ours, base) if base else f"{bases[cell.data]} is not scored"
        if reason:
            reasons[cell.name] = reason
        else:
            pairs.append((ours, base))
    return reasons, compare_with_base(pairs, seed)


def _describe_cell(
    cell: ReportedCell,
    base: ReportedCell,
    reasons: Mapping[str, str],
    comparisons: Mapping[str, Comparison],
    folder: Path,
) -> Entry:
    entry = {
        "name": cell.name,
        "label": cell.label_beside(base),
        "data": cell.data,
        "levels": cell.levels,
        "differs": list(cell.differs_from(base)),
        "is_base": cell is base,
        "record": relative_to(cell.path, folder),
        "status": "missing" if cell.record is None else "done",
    }
    if cell.record is None or cell.scored is None or cell.origins is None:
        return entry
    comparison = comparisons.get(cell.name)
    steps = [(step.verb, step.record) for step in cell.origins.steps]
    return {
        **entry,
        **describe_scores(cell.record),
        "versus": comparison and describe_comparison(comparison, base.name),
        "not_compared": reasons.get(cell.name),
        "cost": describe_cost(steps, cell.origins.incomplete),
        "trainings": [_describe_training(one, folder) for one in cell.origins.trainings],
        "lost": list(cell.origins.lost),
        "others": [relative_to(path, folder) for path in cell.others],
    }


def _describe_training(training: Training, folder: Path) -> Entry:
    record, history = training.step.record, training.history
    best = record.get("best_epoch")
    validated = [row["epoch"] for row in history if row.get("val_mean_iou") is not None]
    return {
        "record": relative_to(training.step.path, folder),
        "repeat": training.step.repeat,
        "fold": record.get("settings", {}).get("test_fold"),
        "n_epochs": len(history),
        "best_epoch": best,
        "is_last": len(validated) > 1 and best == validated[-1],
        "val_mean_iou": (record.get("validation") or {}).get("val_mean_iou"),
    }


def _describe_data(entries: Sequence[Entry], n_comparisons: int) -> list[Entry]:
    """Each data set: its cells, and what may be said of them."""
    described = []
    for name in dict.fromkeys(entry["data"] for entry in entries):
        cells = [entry for entry in entries if entry["data"] == name]
        described.append(
            {
                "name": name,
                "cells": [entry["name"] for entry in cells],
                "compared": sentences.say_what_was_compared(cells, name),
                "answer": sentences.say_answer(cells, n_comparisons),
                "reading": sentences.say_of_table(cells, n_comparisons),
                "missing": sentences.say_of_missing(cells),
            }
        )
    return described


def _describe_explanation(found: FoundRecord, folder: Path) -> Entry:
    record, verdict = found.record, found.record["verdict"]
    return {
        "cell": found.cell,
        "record": relative_to(found.path, folder),
        "class": (record.get("target") or {}).get("class"),
        "is_checked": record.get("is_checked"),
        "methods": {
            name: {"verdict": word, "reasons": (verdict.get("reasons") or {}).get(name, [])}
            for name, word in (verdict.get("methods") or {}).items()
        },
        "controls": verdict.get("controls") or {},
        "cause": verdict.get("cause"),
        "warnings": record.get("warnings") or [],
        "left_out": record.get("left_out") or [],
    }


def _describe_shift(found: FoundRecord, folder: Path) -> Entry:
    record, verdict = found.record, found.record["verdict"]
    return {
        "cell": found.cell,
        "record": relative_to(found.path, folder),
        "n": {key: (record.get("n") or {}).get(key) for key in ("source", "target")},
        "can_detect": (record.get("tests") or {}).get("can_detect"),
        "shift_detected": verdict.get("shift_detected"),
        "harmful": verdict.get("harmful"),
        "label_shift_suspected": verdict.get("label_shift_suspected"),
        "recommendation": verdict.get("recommendation"),
        "chosen": record.get("chosen"),
        "warnings": record.get("warnings") or [],
    }


def _describe_provenance(findings: Findings, folder: Path) -> list[Entry]:
    """Each record once, in the order in which a study makes them, with its command."""
    found = {}
    for cell in findings.cells:
        if cell.record is not None and cell.origins is not None:
            found[cell.path.resolve()] = ("score", cell.path, cell.record)
            for step in cell.origins.steps:
                found[step.path.resolve()] = (step.verb, step.path, step.record)
    for kind, records in (("explain", findings.explanations), ("domain-shift", findings.shifts)):
        found |= {one.path.resolve(): (kind, one.path, one.record) for one in records}
    order = ("train", "predict", "stitch", "score", "explain", "domain-shift")
    ranked = sorted(found.values(), key=lambda row: order.index(row[0]))
    return [_describe_step(verb, path, record, folder) for verb, path, record in ranked]


def _describe_step(verb: str, path: Path, record: Mapping[str, Any], folder: Path) -> Entry:
    facts = record.get("mstool") or {}
    keys = ("version", "argv", "started", "elapsed_s", "device", "threads")
    return {
        "verb": verb,
        "record": relative_to(path, folder),
        "sha256": sha256_of_file(path),
        **{key: facts.get(key) for key in keys},
        "versions": record.get("versions") or {},
        "n_inputs": len(record.get("inputs") or {}),
    }
