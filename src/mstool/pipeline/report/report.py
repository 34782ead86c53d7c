"""Make a report: one page, one table and one record, of the same content."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mstool.errors import CheckFailed
from mstool.io import outputs
from mstool.io.atomic import write_text
from mstool.io.plain import to_plain
from mstool.io.records import Run, to_json, write_record
from mstool.io.tables import to_csv
from mstool.pipeline.report.content import describe_findings
from mstool.pipeline.report.illustrations import illustrate
from mstool.pipeline.report.page import render_page
from mstool.pipeline.report.reported_cells import Findings
from mstool.reporting import Reporter
from mstool.reports.cell_entries import csv_rows


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

    @property
    def claim(self) -> Path:
        """What a run that was killed before the record was about to write."""
        return outputs.name_claim(self.record.parent, self.record.name)


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
    others = files.page, files.table
    return outputs.claim_files(others, files.record, asdict(settings), inputs, overwrite)


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
        shown = illustrate(findings.cells, content, settings.no_pictures, advance)
    page = render_page(settings.title, content, shown)
    files.page.parent.mkdir(parents=True, exist_ok=True)
    write_record(files.claim, {"settings": asdict(settings), "inputs": hashes})
    write_text(files.page, page)
    header, *rows = csv_rows(content["cells"], content["factors"])
    write_text(files.table, to_csv(header, rows))
    n_missing = sum(cell["status"] == "missing" for cell in content["cells"])
    status = "check failed" if n_missing and settings.strict else "done"
    common = {"mstool": run.facts("report"), "status": status, "inputs": hashes}
    record = to_plain(common | {"settings": asdict(settings)} | content)
    write_text(files.record, to_json(record))
    files.claim.unlink(missing_ok=True)
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
