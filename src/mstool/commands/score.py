"""The verb ``score``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit, emit_plan, make_reporter
from mstool.commands.sharding import Merge, Shard, divide
from mstool.errors import UsageError


def score(
    masks: Annotated[
        list[Path],
        operand(
            metavar="MASKS...",
            help="Folder with masks, or a mask; several are runs of one study, as of two seeds.",
        ),
    ],
    labels: Annotated[
        Path, operand(metavar="LABELS", help="Folder with label maps, or a label map.")
    ],
    image_suffix: options.ImageSuffix = "",
    label_suffix: options.LabelSuffix = "",
    legend: options.LegendFile = None,
    classes: options.Classes = None,
    images: options.Images = None,
    probs: Annotated[
        Path | None,
        Group.INPUT(
            "--probs",
            metavar="PROBS",
            help="Folder with the probabilities that the masks were stitched from: are they "
            "frequencies, and what would stitch --abstain keep?",
        ),
    ] = None,
    group_by: options.GroupBy = None,
    pixel_size: options.PixelSize = None,
    boundaries: Annotated[
        str | None,
        Group.METRICS(
            "--boundaries",
            metavar="LENGTH",
            help="Compare boundaries of classes too, with this tolerance, such as 2px or 0.5um.",
        ),
    ] = None,
    objects: Annotated[
        list[str] | None,
        Group.METRICS(
            "--objects", metavar="CLASS", help="Count found and missed objects of this class too."
        ),
    ] = None,
    tools: Annotated[
        list[str] | None,
        Group.METRICS(
            "--as",
            metavar="nnunet|smp|matseg|micronet|torchmetrics",
            help="Add what this tool would print for the same masks, by its own rules.",
            callback=options.one_of("nnunet", "smp", "matseg", "micronet", "torchmetrics"),
        ),
    ] = None,
    ignore_border: Annotated[
        int,
        Group.METRICS(
            "--ignore-border",
            metavar="PX",
            min=0,
            help="Leave out pixels that are less than PX pixels from the edge of a micrograph.",
        ),
    ] = 0,
    strict: Annotated[
        bool, Group.CHECKS("--strict", help="Refuse label maps that have no mask.")
    ] = False,
    min_iou: Annotated[
        float | None,
        Group.CHECKS(
            "--min-iou", metavar="X", help="End with 1 if the pooled mean IoU is below X."
        ),
    ] = None,
    versus: Annotated[
        list[Path] | None,
        Group.CHECKS(
            "--versus",
            metavar="DIR",
            help="Compare with other masks of the same micrographs, paired; may be given several "
            "times.",
        ),
    ] = None,
    min_detectable: Annotated[
        bool,
        Group.CHECKS(
            "--min-detectable",
            help="Say what difference to another model so many micrographs could show.",
        ),
    ] = False,
    table: Annotated[
        bool, Group.OUTPUT("--table", help="Print a table on stderr as well.")
    ] = False,
    reliability: Annotated[
        Path | None,
        Group.OUTPUT(
            "--reliability",
            metavar="PNG",
            help="Draw probabilities against frequencies, and scores against coverage; needs "
            "--probs.",
            callback=options.refuse_irregular,
        ),
    ] = None,
    seed: options.Seed = 0,
    shard: Shard = None,
    merge: Merge = False,
    out: options.OutFile = None,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Compare masks with label maps, and with what trivial methods reach.

    IoU, Dice, precision, recall, kappa, MCC and phase fractions, per micrograph and in all, with
    intervals as JSON: over micrographs, or over specimens where --group-by finds them, or else
    tile --group-by or the groups of the split have named them. What is undefined is null, and the
    record says what each number means. The baseline of Otsu needs the micrographs. Those that the
    model was trained on are named. Masks of other tools need --legend or --classes.

    Intervals say how far the score would move on other micrographs. They are those of Student's t
    with the standard error of the jackknife, and need 4 micrographs; how often such intervals held
    in simulated studies is told with them. --versus gives the difference to other masks with its
    interval, the p of swapping the two (exact up to 15 micrographs, corrected by Holm for the
    number of comparisons, and of classes), and whether so many micrographs could show such a
    difference. Fewer than 6 give no p of 5 %.

    Masks of predict --select out-of-fold are scored together and fold by fold, and each micrograph
    is held against what its own models were trained on. Several folders of masks before the label
    maps are runs of one study, with other seeds or other splits and otherwise made alike, which is
    held against their records: their pixels are pooled, and the variance between runs, folds and
    micrographs is taken apart.

    Several processes count a share of the micrographs each, with --shard 0/3, 1/3 and 2/3 and -o;
    the same command with --merge then writes, prints, draws and checks what one process would
    have, all but its times byte for byte. Given again, it prints and checks the record, of which
    nothing can be drawn.

    Example: mstool score masks/ labels/

    Example: mstool score masks-seed0/ masks-seed1/ labels/ --table
    """
    given = locals()
    _refuse_contradictions(given)
    from mstool.io.records import Run, pick, read_record
    from mstool.labels.legend import legend_to_toml
    from mstool.micrographs.find import Naming
    from mstool.micrographs.label_maps import choose_legend
    from mstool.pictures.save import refuse_picture
    from mstool.pipeline.job import Job
    from mstool.pipeline.score import behind_masks as calibrating
    from mstool.pipeline.score import runs as repeating
    from mstool.pipeline.score import score as scoring
    from mstool.pipeline.score import sharded
    from mstool.pipeline.score.image_counts import Comparison, count_images, list_behind
    from mstool.pipeline.score.rivals import read_rivals
    from mstool.pipeline.score.score_settings import ScoreSettings

    refuse_picture("--reliability", reliability, overwrite)
    run, report = Run(), make_reporter("score", quiet, verbose)
    job = out and divide(Job(out, overwrite, report, run), shard, merge, out)
    naming, known = pick(Naming, given), choose_legend(legend, classes)
    runs, legends = repeating.find_runs(
        masks, labels, naming, group_by, strict, known, images, report
    )
    mask_set = runs[0].mask_set
    texts = dict(zip(("mask_legend", "label_legend"), map(legend_to_toml, legends), strict=True))
    texts["versus"] = [str(folder) for folder in versus or ()]
    settings = pick(ScoreSettings, given | texts)
    is_given = bool(legend or classes)
    rivals = read_rivals(
        versus or (), labels, naming, runs[0], legends[1], is_given, group_by, report
    )
    folder = None if probs is None else calibrating.open_behind(probs, mask_set)
    asked = Comparison(tuple(runs), tuple(rivals), folder, legend, settings)
    inputs = asked.inputs()
    options.refuse_own_input(out, inputs)
    options.refuse_own_input(reliability, inputs, "--reliability")
    if dry_run:
        emit_plan("score", asdict(settings), inputs, job and job.out)
        return
    if shard is not None:
        sharded.count_share(asked, job)
        return
    hashes = scoring.claim_record(settings, inputs, out, overwrite)
    if merge and not overwrite and sharded.is_joined(asked, hashes, out):
        sharded.refuse_reliability(reliability)
        report.note(f"{out}: nothing left to do")
        _tell(None, read_record(out), given)
        return
    if merge:
        parts, counted = sharded.join_shares(asked, hashes, out, report)
    else:
        parts, counted = None, count_images(asked, asked.can_threshold(report), report)
    record = scoring.score_masks(asked, counted, report, out.parent if out else Path())
    if reliability is not None:
        calibrating.write_reliability(reliability, list_behind(counted), legends[1])
    text = scoring.finish_record(record, hashes, settings, out, run, parts)
    _tell(text if out is None else None, record, given)


def _refuse_contradictions(given: dict[str, Any]) -> None:
    """See that options which need each other, or exclude each other, are given so."""
    out, reliability, shard = (given[name] for name in ("out", "reliability", "shard"))
    if reliability is not None and given["probs"] is None:
        raise UsageError("--reliability: give the probabilities too, with --probs")
    if reliability is not None and out is not None and reliability.resolve() == out.resolve():
        raise UsageError(f"--reliability {reliability}: is --out too; name another file")
    if (given["probs"] or given["versus"]) and len(given["masks"]) > 1:
        flag = "--probs" if given["probs"] else "--versus"
        raise UsageError(f"{flag}: is for the masks of one run; score each run by itself")
    if out is None and (shard is not None or given["merge"]):
        flag = "--merge" if given["merge"] else f"--shard {shard}"
        raise UsageError(f"{flag}: shards lie beside the record; name that with --out")


def _tell(text: str | None, record: dict[str, Any], given: dict[str, Any]) -> None:
    """Print the text of a record, and its table where that is wanted, and hold it to the checks."""
    from mstool.pipeline.score.score import check_min_iou

    if text is not None:
        emit(text)
    if given["table"]:
        from mstool.commands.score_table import print_table

        print_table(record, given["masks"][0])
    check_min_iou(record, given["min_iou"])
