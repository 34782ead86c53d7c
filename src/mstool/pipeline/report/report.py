"""Make a report: one page, one table and one record, of the same content."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mstool.errors import CheckFailed, InputError, OutputExistsError
from mstool.io.atomic import write_text
from mstool.io.plain import to_plain
from mstool.io.records import Run, hash_inputs, read_record, to_json
from mstool.io.tables import to_csv
from mstool.pipeline.report.content import describe_findings
from mstool.pipeline.report.figures import plot_calibration, plot_cells, plot_trainings
from mstool.pipeline.report.micrograph_views import class_colours, view_micrograph
from mstool.pipeline.report.page import render_page
from mstool.pipeline.report.reported_cells import Findings, ReportedCell
from mstool.reporting import Reporter
from mstool.reports import sentences
from mstool.reports.cell_entries import csv_rows
from mstool.reports.pairing import best_cell


@dataclass(frozen=True)
class ReportSettings:
    """How to report."""

    title: str
    base: str | None  # cell to compare with; None for that of the plan, or the first
    no_pictures: bool  # whether micrographs are left out
    strict: bool  # whether a missing cell fails the run
    seed: int  # of permutations, where there are too many to take all


@dataclass(frozen=True)
class ReportFiles:
    """Where a report goes."""

    page: Path
    table: Path
    record: Path

    @classmethod
    def beside(cls, page: Path) -> "ReportFiles":
        """Table and record beside the page, named as it is."""
        return cls(page, page.with_suffix(".csv"), page.with_suffix(".json"))


def claim_files(
    files: ReportFiles, settings: ReportSettings, inputs: Sequence[Path], overwrite: bool
) -> dict[str, str]:
    """SHA-256 of each input by its path relative to the report, if that may be written.

    Raises
    ------
    OutputExistsError
        If a file is there that is not of a report of the same inputs with the same settings, unless
        it is to be overwritten.
    """
    hashes = hash_inputs(inputs, files.page.parent)
    there = [path for path in (files.page, files.table, files.record) if path.exists()]
    if overwrite or not there:
        return hashes
    try:
        old = read_record(files.record) if files.record.is_file() else {}
    except (InputError, OSError):
        old = {}
    if old.get("settings") != asdict(settings) or old.get("inputs") != hashes:
        raise OutputExistsError(
            f"{there[0]}: already there, of other records or settings; choose another --out, or "
            "replace it with --overwrite"
        )
    return hashes


def make_report(
    findings: Findings,
    settings: ReportSettings,
    files: ReportFiles,
    hashes: dict[str, str],
    run: Run,
    report: Reporter,
) -> dict[str, Any]:
    """Write page, table and record, the record last; give the record."""
    content = describe_findings(findings, settings.base, settings.seed, files.page.parent)
    with report.progress("report", len(findings.cells)) as advance:
        shown = _draw_all(findings, content, settings, advance)
    page = render_page(settings.title, content, shown)
    files.page.parent.mkdir(parents=True, exist_ok=True)
    write_text(files.page, page)
    write_text(files.table, to_csv(*_split(csv_rows(content["cells"], content["factors"]))))
    n_missing = sum(cell["status"] == "missing" for cell in content["cells"])
    status = "check failed" if n_missing and settings.strict else "done"
    common = {"mstool": run.facts("report"), "status": status, "inputs": hashes}
    record = to_plain(common | {"settings": asdict(settings)} | content)
    write_text(files.record, to_json(record))
    return record


def refuse_missing(record: Mapping[str, Any], strict: bool, report: Reporter) -> None:
    """Say which cells are missing.

    Raises
    ------
    CheckFailed
        If one is, with `strict`.
    """
    missing = [cell["name"] for cell in record["cells"] if cell["status"] == "missing"]
    if not missing:
        return
    words = f"{len(missing)} of {len(record['cells'])} cells have no score: {', '.join(missing)}"
    if strict:
        raise CheckFailed(f"{words}; make them, and report again")
    report.note(words)


def _split(rows: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
    return rows[0], rows[1:]


def _draw_all(
    findings: Findings, content: Mapping[str, Any], settings: ReportSettings, advance
) -> dict[str, Any]:
    """Figures and pictures of the page, by section."""
    by_name = {cell.name: cell for cell in findings.cells}
    shown: dict[str, Any] = {
        "plots": _plot_factors(content),
        "curves": {},
        "calibration": {},
        "colours": {},
        "views": [],
    }
    for number, entry in enumerate(content["cells"]):
        cell = by_name[entry["name"]]
        advance(1, cell.name)
        if cell.record is None or cell.origins is None:
            continue
        shown["curves"][cell.name] = plot_trainings(cell.origins.trainings, f"l{number}")
        shown["calibration"][cell.name] = plot_calibration(cell.record, f"k{number}")
        shown["colours"][cell.name] = class_colours(cell.record)
    if not settings.no_pictures:
        for data in content["data"]:
            entries = [entry for entry in content["cells"] if entry["name"] in data["cells"]]
            shown["views"] += _view_cells(entries, by_name)
    return shown


def _plot_factors(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A plot for each factor of each data set, of the cells that differ in it alone.

    Without factors, or where several vary together, all cells of a data set are in one plot too.
    """
    plots = []
    for data in content["data"]:
        done = [e for e in content["cells"] if e["data"] == data["name"] and e["status"] == "done"]
        groups = {
            factor: [e for e in done if e["is_base"] or e["differs"] == [factor]]
            for factor in content["factors"]
        }
        if not content["factors"] or any(len(entry["differs"]) > 1 for entry in done):
            groups = {"": done} | groups
        for factor, entries in groups.items():
            if len(entries) > 1 or (entries and not factor):
                plots.append(_describe_plot(data["name"], factor, entries, f"p{len(plots)}"))
    return plots


def _describe_plot(
    data: str, factor: str, entries: Sequence[Mapping[str, Any]], key: str
) -> dict[str, Any]:
    return {
        "data": data,
        "factor": factor,
        "figures": plot_cells(entries, key),
        "notes": sentences.say_of_figure(entries),
    }


def _view_cells(
    entries: Sequence[Mapping[str, Any]], by_name: Mapping[str, ReportedCell]
) -> list[dict[str, Any]]:
    """Worst and median micrograph of the base and of the best cell of a data set."""
    done = {entry["name"]: entry for entry in entries if entry["status"] == "done"}
    wanted = [name for name, entry in done.items() if entry["is_base"]]
    if done:
        best = best_cell({name: _number(entry["mean_iou"]) for name, entry in done.items()})
        wanted += [best] if best not in wanted else []
    found = []
    for name in wanted:
        for place, chosen in (done[name]["micrographs"] or {}).items():
            cell = by_name[name]
            view, _, reason = view_micrograph(cell.path, cell.record, chosen["image"])
            found.append(
                {"cell": done[name], "place": place, **chosen, "view": view, "reason": reason}
            )
    return found


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
