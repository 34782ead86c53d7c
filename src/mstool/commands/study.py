"""The verb ``study``."""

from pathlib import Path
from typing import Annotated

import typer

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit, make_reporter


def study(
    ctx: typer.Context,
    plan: Annotated[Path, operand(metavar="PLAN", help="Plan of the study (TOML).")],
    engine: Annotated[
        str,
        Group.RUNNING(
            "--engine",
            metavar="make|snakemake|slurm",
            help="What is to run the study: a Makefile, a Snakefile, or a shell script that "
            "submits job arrays.",
            callback=options.one_of("make", "snakemake", "slurm"),
        ),
    ] = "make",
    estimate: Annotated[
        bool,
        Group.CHECKS(
            "--estimate",
            help="Print core-hours and disk, at most, of each verb as CSV, from earlier records or "
            "from a short trial of each training.",
        ),
    ] = False,
    out: options.OutFile = None,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: Annotated[
        bool, Group.COMMON("-n", "--dry-run", help="Print the cells as CSV, and do nothing.")
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Turn a table of factors into a Makefile that runs the whole study.

    The plan names data sets, options of the verbs, factors with their levels, folds and seeds. Each
    combination of levels is a cell: micrographs are tiled, networks trained, and masks scored out
    of fold. Cells share whatever their levels do not touch. All of the plan is checked first,
    with the options of each command. Paths in it are relative to its folder, where the Makefile
    belongs, and where make is run.

    Example: mstool study plan.toml > Makefile

    Example: mstool study plan.toml --estimate
    """
    from mstool.commands.verb_options import list_verb_options
    from mstool.pipeline.study.plan_file import check_inputs, read_study
    from mstool.pipeline.study.workflow import cells_as_csv, render, write_workflow

    report = make_reporter("study", quiet, verbose)
    options.refuse_own_input(out, [plan])
    found = read_study(plan, list_verb_options(ctx))
    if dry_run:
        emit(cells_as_csv(found))
        return
    check_inputs(found)
    from mstool.commands.verb_checks import parse_calls
    from mstool.pipeline.study.settings_check import check_settings

    trainings = check_settings(found, parse_calls(ctx, found), report)
    if estimate:
        from mstool.pipeline.study.estimate import estimate_study

        text = estimate_study(found, trainings, report)
    else:
        text = render(found, engine)
    if out is None:
        emit(text)
    else:
        write_workflow(found, out, text, overwrite, report)
