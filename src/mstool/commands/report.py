"""The verb ``report``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit, emit_plan, make_reporter
from mstool.errors import CheckFailed, UsageError
from mstool.reporting import printable

if TYPE_CHECKING:
    from mstool.pipeline.report.reported_cells import Findings


def report(
    ctx: typer.Context,
    inputs: Annotated[
        list[Path] | None,
        operand(
            metavar="PLAN|RECORDS...",
            help="Plan of a study (TOML), or records of scores and of what came after (JSON).",
        ),
    ] = None,
    base: Annotated[
        str | None,
        Group.QUESTION(
            "--base",
            metavar="CELL",
            help="Compare with this cell, instead of that of the plan, or the first record.",
            callback=options.refuse_empty,
        ),
    ] = None,
    check: Annotated[
        bool,
        Group.CHECKS(
            "--check",
            help="Report nothing; say what records of any verb lack, or hold beside what they "
            "should, and end with 1 if there is anything.",
        ),
    ] = False,
    strict: Annotated[
        bool, Group.CHECKS("--strict", help="End with 1 if a cell of the plan has no score.")
    ] = False,
    seed: options.Seed = 0,
    title: Annotated[
        str,
        Group.OUTPUT("--title", metavar="TEXT", help="Title of the page."),
    ] = "Report of a study",
    no_pictures: Annotated[
        bool, Group.OUTPUT("--no-pictures", help="Show no micrographs.")
    ] = False,
    out: Annotated[
        Path,
        Group.OUTPUT(
            "-o",
            "--out",
            metavar="HTML",
            help="Page to write; a CSV and a JSON of the same name go beside it.",
            callback=options.refuse_irregular,
        ),
    ] = Path("report.html"),
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Compare the cells of a study on one page, with what may be concluded and what not.

    Reads the plan of a study and the records that its Makefile has made, or score records of any
    origin, the first of which is the base. Masks, predictions and models are followed back from
    each score record: their records give learning curves, core-seconds and commands, and the
    pictures of the worst and the median micrograph. What is not where it was, or has changed, is
    left out and said; said are also records of other commands than the plan has now.

    Cells of the same micrographs are compared pairwise with the base, as score --versus does: the
    p of swapping the two in whole micrographs, corrected by Holm for all comparisons of the report,
    and an interval that has what differs between repeats in it. Cells of other micrographs are
    shown, and not compared. Records of several repeats are pooled by score, given the masks of
    each.

    The page needs no network and no script, and is the same for the same records. The CSV has a
    row a cell; in it, text that a spreadsheet would run as a formula begins with an apostrophe.

    Example: mstool report study.toml -o report.html

    Example: mstool report base.json focal.json dice.json --title 'Which loss?'

    Example: mstool report --check masks/stitch.json
    """
    given = locals()
    operands = options.read_operands(inputs, files_from, null)
    if check:
        _check(operands)
        return
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out}: is a page; give a name ending in .html")
    from mstool.io.records import Run, pick
    from mstool.pipeline.report import report as reporting

    run, reporter = Run(), make_reporter("report", quiet, verbose)
    settings = pick(reporting.ReportSettings, given)
    files = reporting.ReportFiles.beside(out)
    findings = _find(ctx, operands)
    for path in (files.page, files.table, files.record):
        options.refuse_own_input(path, findings.files)
    if dry_run:
        emit_plan("report", asdict(settings), findings.files, out)
        return
    hashes = reporting.claim_files(files, settings, findings.files, overwrite)
    record = reporting.make_report(findings, settings, files, hashes, run, reporter)
    reporting.refuse_missing(record, strict, reporter)


def _find(ctx: typer.Context, operands: list[Path]) -> "Findings":
    """Cells of the plan that is named, or of the records."""
    from mstool.pipeline.report.reported_cells import find_records, find_study

    plans = [path for path in operands if path.suffix.lower() == ".toml"]
    if not plans:
        return find_records(operands)
    if len(operands) > 1:
        raise UsageError(f"{plans[0]}: is a plan; report it alone, without other plans or records")
    from mstool.commands.verb_checks import make_parser
    from mstool.commands.verb_options import list_verb_options
    from mstool.pipeline.study.plan_file import read_study

    study = read_study(plans[0], list_verb_options(ctx))
    return find_study(study, make_parser(ctx, study.folder))


def _check(paths: list[Path]) -> None:
    """Print what is wrong with records.

    Raises
    ------
    CheckFailed
        If anything is.
    """
    from mstool.io.record_check import check_file

    findings = [finding for path in paths for finding in check_file(path)]
    emit("".join(f"{printable(finding)}\n" for finding in findings))
    if findings:
        count = f"{len(findings)} finding{'s' * (len(findings) != 1)}"
        raise CheckFailed(f"{count} in {len(paths)} record{'s' * (len(paths) != 1)}; see above")
