"""The verb ``split``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mstool.commands import options
from mstool.commands.option_groups import Group
from mstool.commands.output import emit, emit_plan, make_reporter


def split(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="TILES|IMAGES...", help="A tile folder, or micrographs."),
    ] = None,
    folds: Annotated[
        int | None,
        Group.FOLDS("--folds", metavar="K", help="K folds of like size and like classes."),
    ] = None,
    loo: Annotated[
        bool, Group.FOLDS("--loo", help="As many folds as groups: leave one out.")
    ] = False,
    holdout: Annotated[
        float | None,
        Group.FOLDS(
            "--holdout",
            metavar="F",
            help="One split: a share F for test (fold 0), F for validation (1), the rest (2).",
        ),
    ] = None,
    by_folder: Annotated[
        bool,
        Group.FOLDS(
            "--by-folder",
            help="The folder that a micrograph came from is its fold: test 0, val 1, train 2, or "
            "by name.",
        ),
    ] = False,
    recursive: options.Recursive = False,
    group_by: options.GroupBy = None,
    seed: options.Seed = 0,
    out: options.OutFile = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Divide micrographs into folds that leak nothing.

    Micrographs of one group stay together, and no micrograph is ever divided: tiles of it overlap
    and look alike. Groups are those of the tile folder, unless --group-by is given. Classes are
    spread over the folds as evenly as the groups allow. The same picture in two groups is refused.
    Writes CSV: source, group, fold.

    Example: mstool split tiles/ --folds 6 > split.csv
    """
    from mstool.micrographs.find import Naming, find_set
    from mstool.pipeline.split import SplitSettings, split_micrographs, write_split

    report = make_reporter("split", quiet, verbose)
    settings = SplitSettings(folds, loo, holdout, by_folder, group_by, seed)
    operands = options.read_operands(inputs, files_from, null)
    files = find_set(operands, None, Naming(recursive=recursive), report)
    options.refuse_own_input(out, files.files())
    if dry_run:
        emit_plan("split", asdict(settings), files.files(), out)
        return
    table = split_micrographs(files, settings, report)
    if out is None:
        emit(table)
    else:
        write_split(out, table, overwrite, report)
