"""Jobs of a study: one command an artefact, each artefact once, however many cells share it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mstool.design.cells import Cell, dividing_cell
from mstool.design.study_plan import PLACES, VERBS, Plan, level_name
from mstool.errors import UsageError

# How micrographs and label maps are read: said to tile, and meant for whatever reads them later.
_READING = ("recursive", "image-suffix", "label-suffix", "legend", "classes", "group-by")
_READING += ("scale", "grey", "bits", "pixel-size")
_OF_LABELS = ("label-suffix", "legend", "classes")
_READING_OF_MASKS = ("image-suffix", "label-suffix", "group-by")  # which know their classes

RESULTS = ("score", "explain", "domain-shift")  # verbs whose records a report reads for itself


@dataclass(frozen=True)
class Job:
    """One call of a verb.

    Attributes
    ----------
    stage : str
        The verb.
    target : str
        File that it writes last: a record, or a split.
    needs : tuple of str
        Targets of other jobs, and files and folders of the user.
    argv : tuple of str
        What follows ``mstool`` on the command line.
    made : str
        File or folder that the job makes.
    """

    stage: str
    target: str
    needs: tuple[str, ...]
    argv: tuple[str, ...]
    made: str


def list_jobs(plan: Plan, cells: Sequence[Cell], files: Collection[str] = ()) -> tuple[Job, ...]:
    """Jobs of these cells in the order of the verbs, so that each comes after what it needs.

    Parameters
    ----------
    plan : Plan
        The study.
    cells : sequence of Cell
        Those of its cells that are to be run.
    files : collection of str
        Values of options that are files of the user, so that jobs need them.

    Raises
    ------
    UsageError
        If two jobs would write the same file with different options.
    """
    jobs: dict[str, Job] = {}
    for cell in cells:
        for job in _jobs_of(plan, cell, files):
            if jobs.setdefault(job.target, job) != job:
                raise UsageError(
                    f"factors: two cells would write {job.made} with other options "
                    f"({' '.join(job.argv)}); rename a level"
                )
    return tuple(sorted(jobs.values(), key=lambda job: VERBS.index(job.stage)))


def list_inputs(jobs: Sequence[Job]) -> tuple[str, ...]:
    """Files and folders of the user that jobs need, in order."""
    made = {job.target for job in jobs}
    return tuple(dict.fromkeys(need for job in jobs for need in job.needs if need not in made))


def _jobs_of(plan: Plan, cell: Cell, files: Collection[str]) -> Iterator[Job]:
    yield _tile(cell, cell.tiles, files)
    if cell.whole_tiles != cell.tiles:
        yield _tile(cell, cell.whole_tiles, files)
    if "data.split" not in cell.settings:
        divided = dividing_cell(plan, cell)
        yield _tile(divided, divided.tiles, files)
        yield _split(divided, files)
    for seed in cell.seeds:
        for number in range(len(cell.model_records(seed))):
            yield _train(plan, cell, seed, number, files)
            yield _predict(cell, seed, number, files)
            yield _stitch(cell, seed, number, files)
        if len(cell.seeds) > 1:
            yield _score(cell, (seed,), cell.seed_score(seed), files)
    yield _score(cell, cell.seeds, cell.score, files)
    if _is_wanted(plan, "explain", cell):
        yield _explain(plan, cell, files)
    if _is_wanted(plan, "domain-shift", cell):
        yield _shift(plan, cell, files)


def _tile(cell: Cell, made: str, files: Collection[str]) -> Job:
    options = cell.options("tile")
    if made != cell.tiles:
        del options["discard-ignored"]
    images, labels = _listed(cell.settings["data.images"]), _listed(cell.settings["data.labels"])
    words = [*map(operand, images), *_repeat("labels", labels)]
    needs = (*images, *labels)
    return _job("tile", f"{made}/tiles.json", needs, words, options, made, files)


def _split(cell: Cell, files: Collection[str]) -> Job:
    needs = (f"{cell.tiles}/tiles.json",)
    return _job("split", cell.split, needs, [cell.tiles], cell.options("split"), cell.split, files)


def _train(plan: Plan, cell: Cell, seed: int, number: int, files: Collection[str]) -> Job:
    fold = "all" if plan.folds is None else plan.folds[number]
    words = [cell.tiles, "--split", cell.split, "--test-fold", str(fold), "--seed", str(seed)]
    needs = (f"{cell.tiles}/tiles.json", cell.split)
    target, made = cell.model_records(seed)[number], cell.parts(cell.model(seed))[number]
    return _job("train", target, needs, words, cell.options("train"), made, files)


def _predict(cell: Cell, seed: int, number: int, files: Collection[str]) -> Job:
    select = "out-of-fold" if cell.folds is None else "test"
    model, probs = (cell.parts(folder(seed))[number] for folder in (cell.model, cell.probs))
    words = [cell.whole_tiles, "--model", model, "--select", select]
    needs = (f"{cell.whole_tiles}/tiles.json", cell.model_records(seed)[number])
    target = f"{probs}/predict.json"
    return _job("predict", target, needs, words, cell.options("predict"), probs, files)


def _stitch(cell: Cell, seed: int, number: int, files: Collection[str]) -> Job:
    probs, masks = (cell.parts(folder(seed))[number] for folder in (cell.probs, cell.masks))
    needs, target = (f"{probs}/predict.json",), f"{masks}/stitch.json"
    return _job("stitch", target, needs, [probs], cell.options("stitch"), masks, files)


def _score(cell: Cell, seeds: Sequence[int], target: str, files: Collection[str]) -> Job:
    """Score masks; where they are of one run, look at the probabilities behind them too."""
    masks = [part for seed in seeds for part in cell.parts(cell.masks(seed))]
    needs = [f"{part}/stitch.json" for part in masks]
    truth = _one_truth(cell)
    words = [*masks, operand(truth)]
    if len(masks) == 1:
        probs = cell.parts(cell.probs(seeds[0]))[0]
        words += ["--probs", probs]
        needs += [f"{probs}/predict.json"]
    options = _reading(cell, _READING_OF_MASKS) | cell.options("score")
    return _job("score", target, (*needs, truth), words, options, target, files)


def _one_truth(cell: Cell) -> str:
    truths = _listed(cell.truth)
    if len(truths) > 1:
        raise UsageError(
            f"data.{cell.data}: has several folders of labels, and masks are scored against one; "
            "name it, with truth = FOLDER"
        )
    return truths[0]


def _explain(plan: Plan, cell: Cell, files: Collection[str]) -> Job:
    options = cell.options("explain")
    images = _listed(options.get("images", cell.settings["data.images"]))
    labels = [] if "images" in options else _listed(cell.settings["data.labels"])
    reading = [name for name in _READING if labels or name not in _OF_LABELS]
    model = _one_model(plan, options, cell)
    words = [*map(operand, images), *_repeat("labels", labels), "--model", model]
    needs = (*images, *labels, cell.model_records(cell.seeds[0])[0])
    options = _known(plan, "explain", _reading(cell, reading) | options)
    made = cell.explanation
    return _job("explain", f"{made}/explain.json", needs, words, options, made, files)


def _shift(plan: Plan, cell: Cell, files: Collection[str]) -> Job:
    options = cell.options("domain-shift")
    source, target = cell.settings["data.images"], options["target"]
    if isinstance(source, list):
        raise UsageError(
            f"after.domain-shift: data.{cell.data} has several folders of images, and only one "
            "can be the source; name its cells, without this one"
        )
    labels = _listed(cell.settings["data.labels"])
    words = [operand(source), operand(target), "--model", _one_model(plan, options, cell)]
    words += _repeat("source-labels", labels)
    needs = (source, target, *labels, cell.model_records(cell.seeds[0])[0])
    options = _known(plan, "domain-shift", _reading(cell, _READING) | options)
    made = cell.shift
    return _job("domain-shift", f"{made}/shift.json", needs, words, options, made, files)


def _one_model(plan: Plan, options: dict[str, Any], cell: Cell) -> str:
    """Model to look into: that of the first seed and of one fold."""
    fold = options.get("fold", plan.folds[0] if plan.folds else 0)
    if plan.folds is not None and fold not in plan.folds:
        raise UsageError(f"after: fold {fold} is none of study.folds, so it has no model")
    return f"{cell.model(cell.seeds[0])}/fold-{fold}"


def _is_wanted(plan: Plan, verb: str, cell: Cell) -> bool:
    if verb not in plan.after:
        return False
    wanted = plan.after[verb]
    return wanted is None or cell.name in wanted or cell.name.partition("/")[2] in wanted


def _reading(cell: Cell, names: Sequence[str]) -> dict[str, Any]:
    said = cell.options("tile")
    return {name: said[name] for name in names if name in said}


def _known(plan: Plan, verb: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options that the verb has, without what is no option."""
    known = plan.options[verb]
    return {
        name: value for name, value in options.items() if name in known and name not in PLACES[verb]
    }


def _job(
    stage: str,
    target: str,
    needs: Sequence[str],
    words: Sequence[str],
    options: dict[str, Any],
    made: str,
    files: Collection[str],
) -> Job:
    said = [
        value
        for values in options.values()
        for value in _listed(values)
        if isinstance(value, str) and value in files
    ]
    argv = (stage, *words, *_flags(options), "-o", made)
    return Job(stage, target, tuple(dict.fromkeys([*needs, *said])), argv, made)


def _flags(options: dict[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if value is True:
            yield f"--{name}"
        elif value is not False:
            yield from _repeat(name, _listed(value))


def _repeat(name: str, values: Sequence[Any]) -> list[str]:
    return [word for value in values for word in (f"--{name}", level_name(value))]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def report_argv(plan: str) -> tuple[str, ...]:
    """What follows ``mstool`` in the command that reports the study of a plan."""
    return ("report", operand(plan), "-o", "report.html", "--overwrite")


def operand(path: str) -> str:
    """Path that cannot be taken for a flag."""
    return f"./{path}" if path.startswith("-") else path
