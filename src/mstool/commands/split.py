"""The verb ``split``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit, emit_plan, make_reporter
from mstool.errors import UsageError


def split(
    inputs: Annotated[
        list[Path] | None,
        operand(metavar="TILES|IMAGES...", help="A tile folder, or micrographs."),
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
    join_overlaps: Annotated[
        bool,
        Group.FOLDS(
            "--join-overlaps",
            help="Search as --audit does, and keep micrographs that show the same field in one "
            "group.",
        ),
    ] = False,
    audit: Annotated[
        bool,
        Group.CHECKS(
            "--audit",
            help="Divide nothing; search all pairs for the same file, the same pixels and "
            "overlapping fields of view, and print those found as CSV.",
        ),
    ] = False,
    split_csv: Annotated[
        Path | None,
        Group.CHECKS(
            "--split",
            metavar="CSV",
            help="With --audit: exit with 1 if a pair lies in two folds of this split.",
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        Group.CHECKS(
            "--sheet", metavar="PNG", help="With --audit: draw the pairs found side by side."
        ),
    ] = None,
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

    With --audit it finds what names hide. Two micrographs that share 15 % of the smaller are found
    whatever the gamma, contrast, noise, compression and bit depth of each, also with one turned by
    right angles, mirrored, or magnified by up to 2 %; down to 8 % most are. Other magnifications,
    and free turns by more than a degree, are not found. The columns of its CSV: first, second
    (names); kind (file for the same bytes, pixels, overlap); overlap (share of the smaller); row,
    col (in pixels of the first as stored, where the upper left corner of the second lies); turn
    (degrees anticlockwise by which the second was turned to lie so); mirrored (1 if it was mirrored
    left to right before that); scale (pixels of the second for one of the first); agreement (share
    of the blocks of the overlap that fit there); first_fold, second_fold.

    Example: mstool split tiles/ --folds 6 -o split.csv
    """
    from mstool.micrographs.find import Naming, find_set
    from mstool.pipeline.plain_output import write_output
    from mstool.pipeline.split import SplitSettings, split_micrographs

    report = make_reporter("split", quiet, verbose)
    if audit:
        from mstool.pipeline.audit import AuditSettings, audit_micrographs, refuse_leaks

        division = (folds, holdout, group_by)
        if any(option is not None for option in division) or loo or by_folder or join_overlaps:
            raise UsageError("--audit: divides nothing; give it without the options of folds")
        settings = AuditSettings(split_csv, sheet)
    elif split_csv is not None or sheet is not None:
        raise UsageError("--split and --sheet: are for --audit alone")
    else:
        settings = SplitSettings(folds, loo, holdout, by_folder, group_by, seed, join_overlaps)
    operands = options.read_operands(inputs, files_from, null)
    files = find_set(operands, None, Naming(recursive=recursive), report)
    read = [*files.files(), *filter(None, (split_csv, files_from and Path(files_from)))]
    options.refuse_own_input(out, read)
    options.refuse_own_input(sheet, read, "--sheet")
    if sheet is not None and out is not None and sheet.resolve() == out.resolve():
        raise UsageError(f"--sheet {sheet}: is --out too; name another file")
    if dry_run:
        emit_plan("split", asdict(settings), files.files(), out)
        return
    if audit:
        table, leaks = audit_micrographs(files, settings, overwrite, report)
    else:
        table, leaks = split_micrographs(files, settings, report), []
    if out is None:
        emit(table)
    else:
        write_output(out, table, overwrite, report)
    if leaks:
        refuse_leaks(leaks, split_csv)
