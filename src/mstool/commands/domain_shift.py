"""The verb ``domain-shift``."""

from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit_plan, make_reporter
from mstool.errors import UsageError


def domain_shift(
    source: Annotated[
        Path | None,
        operand(metavar="SOURCE", help="Micrographs or tiles like those of training."),
    ] = None,
    target: Annotated[
        Path | None, operand(metavar="TARGET", help="The new batch: micrographs or tiles.")
    ] = None,
    model: options.Model = None,
    source_labels: Annotated[
        list[Path] | None,
        Group.LABELS("--source-labels", metavar="DIR", help="Label maps of the source."),
    ] = None,
    target_labels: Annotated[
        list[Path] | None,
        Group.LABELS("--target-labels", metavar="DIR", help="Label maps of the target, if any."),
    ] = None,
    recursive: options.Recursive = False,
    image_suffix: options.ImageSuffix = "",
    label_suffix: options.LabelSuffix = "",
    legend: options.LegendFile = None,
    classes: options.Classes = None,
    scale: options.Scale = 1.0,
    pixel_size_um: options.PixelSize = None,
    grey: options.Grey = False,
    group_by: options.GroupBy = None,
    size: Annotated[
        int, Group.INPUT("--size", metavar="PX", min=64, help="Edge of a field of view.")
    ] = 512,
    fields: Annotated[
        int, Group.INPUT("--fields", metavar="N", min=1, help="Fields of each micrograph, at most.")
    ] = 4,
    permutations: Annotated[
        int, Group.CHECKS("--permutations", metavar="N", min=499, help="Of each test.")
    ] = 999,
    alpha: Annotated[
        float, Group.CHECKS("--alpha", metavar="P", help="Chance of a false alarm, over all tests.")
    ] = 0.05,
    tolerance: Annotated[
        float, Group.CHECKS("--tolerance", metavar="IOU", help="Loss of mean IoU that is harmful.")
    ] = 0.05,
    simulate: Annotated[
        list[str] | None,
        Group.SIMULATION(
            "--simulate",
            metavar="FAMILY[=DOSES]",
            help="Doses such as etch=0:1:0.2 or gamma=-0.5,0.5, in place of the usual ones; all or "
            "none. Estimates need two kinds and five doses or more. By default all: "
            "gamma, contrast, brightness, blur, noise, illumination, etch, scratches, charging, "
            "magnification, jpeg.",
        ),
    ] = None,
    simulated_images: Annotated[
        int,
        Group.SIMULATION(
            "--simulated-images", metavar="N", min=2, help="Source micrographs, at most."
        ),
    ] = 8,
    save_simulated: Annotated[
        bool, Group.SIMULATION("--save-simulated", help="Write the simulated micrographs too.")
    ] = False,
    mitigate: Annotated[
        str,
        Group.REPAIR(
            "--mitigate",
            metavar="auto|none|NAME,...",
            help="Repairs: histogram, reinhard, curve, fourier, adabn, adabn-mixed, tent; auto "
            "tries all and takes the most consistent, or none.",
        ),
    ] = "none",
    derive_augmentation: Annotated[
        Path | None,
        Group.REPAIR(
            "--derive-augmentation",
            metavar="FILE",
            help="Write ranges that cover the shift, for train --augment FILE.",
        ),
    ] = None,
    advise: Annotated[
        int,
        Group.REPAIR(
            "--retrain-advice",
            metavar="N",
            min=0,
            help="Name N target micrographs to annotate next, and what that would bring.",
        ),
    ] = 0,
    fail_above: Annotated[
        float | None,
        Group.CHECKS(
            "--fail-above",
            metavar="IOU",
            help="Exit with 1 if mean IoU falls by more, measured or estimated; without a model, "
            "if a shift is detected; also if nothing can be told.",
        ),
    ] = None,
    max_time_s: options.MaxTime = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = "auto",
    seed: options.Seed = 0,
    out: options.OutFolder = Path("shift"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Measure how far a new batch is from the old one, what that costs, and what repairs it.

    Images are compared by permutation tests whose unit is the micrograph, or with --group-by the
    specimen. With a model, the loss is measured where there are labels and estimated as a range
    where there are none. A shift that is detected need not be harmful: the verdict tells the two
    apart.

    Example: mstool domain-shift raw/ new/ --model model/ --source-labels labels/
    """
    given = locals()
    options.require_labels(given, "source_labels", "target_labels")
    if source is None or target is None:
        raise UsageError("SOURCE and TARGET: name two folders of micrographs, or of tiles")
    if fail_above is not None and not -1 <= fail_above <= 1:
        raise UsageError(f"--fail-above {fail_above:g}: must lie between -1 and 1")
    from mstool.io.records import pick
    from mstool.micrographs.find import Naming
    from mstool.micrographs.label_maps import choose_legend
    from mstool.nn.device import choose_compute, make_deterministic, reuse_freed_memory
    from mstool.nn.threads import use_threads
    from mstool.pipeline.job import Job
    from mstool.pipeline.kept_parts import start_budget
    from mstool.pipeline.shift.compare import RECORD, check_verdict, compare_sets, load_model
    from mstool.pipeline.shift.plan import ShiftSettings, choose_doses, parse_repairs
    from mstool.pipeline.shift.products import check_free, write_augmentation
    from mstool.pipeline.shift.samples import find_sets

    job = Job(out, overwrite, make_reporter("domain-shift", quiet, verbose))
    budget = start_budget(job.run, max_time_s)
    repairs, is_auto = parse_repairs(mitigate)
    doses = choose_doses(simulate, save_simulated, model is not None)
    make_deterministic()
    reuse_freed_memory()
    use_threads(threads, job.report)
    compute = choose_compute(device, precision)
    resolved = {"repairs": repairs, "is_auto": is_auto, "precision": compute.precision}
    settings = pick(ShiftSettings, given | resolved | {"doses": doses})
    naming, labels = pick(Naming, given), (source_labels, target_labels)
    files = find_sets((source, target), labels, naming, job.report)
    if dry_run:
        inputs = [*files[0].files(), *files[1].files(), *([model] if model else [])]
        emit_plan("domain-shift", vars(settings), inputs, out)
        return
    check_free(derive_augmentation, overwrite, out / RECORD)
    loaded, read_through = load_model(model, settings), choose_legend(legend, classes)
    record = compare_sets(files, read_through, loaded, settings, compute, budget, job)
    if derive_augmentation is not None:
        write_augmentation(record, derive_augmentation, overwrite)
    check_verdict(record, fail_above)
