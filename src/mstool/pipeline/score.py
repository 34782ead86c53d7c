"""Score masks against label maps."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from mstool.errors import (
    CheckFailed,
    InputError,
    LabelError,
    MissingInputError,
    OutputExistsError,
    UsageError,
)
from mstool.geometry.window import Window
from mstool.io.atomic import write_text
from mstool.io.images import Micrograph, open_micrograph
from mstool.io.records import Run, hash_inputs, read_record, to_json
from mstool.io.tiles import SourceImage, read_sources
from mstool.labels.legend import IGNORE_INDEX, Legend, legend_from_toml, legend_to_toml
from mstool.pipeline.inputs import find_micrograph, list_images, list_labels, pair_labels
from mstool.pipeline.label_maps import (
    choose_legend,
    named,
    open_labels,
    read_label_window,
    read_legend,
)
from mstool.reporting import Reporter
from mstool.scores.baselines import (
    majority_baseline,
    match_regions,
    otsu_labels,
    relabel_regions,
)
from mstool.scores.confusion import confusion_matrix
from mstool.scores.metrics import Metrics, average_metrics, compute_metrics
from mstool.scores.statistics import METHOD, bootstrap_intervals
from mstool.splits.groups import group_of
from mstool.stereology.fractions import phase_fraction_from_counts

STITCH_RECORD = "stitch.json"

_LEGEND = "legend.toml"
_UNFINISHED = ".stitch.unfinished.json"
_BAND_PIXELS = 2**22
_MOST_OTSU_PIXELS = 2**26
_FEW_UNITS = 10
_OTSU_NOTE = (
    "regions were matched to classes with the truth in hand, so this is an upper bound of what "
    "thresholds can reach"
)


@dataclass(frozen=True)
class ScoreSettings:
    """How to score.

    Attributes
    ----------
    mask_legend, label_legend : str
        What masks and label maps are read through, as TOML.
    label_suffix : str
        What names of label maps add to those of masks.
    group_by : str or None
        Pattern that finds the specimen in a file name.
    strict : bool
        Whether label maps without a mask are refused.
    min_iou : float or None
        Pooled mean IoU [1] below which the check fails.
    seed : int
        Source of all chance.
    """

    mask_legend: str
    label_legend: str
    label_suffix: str
    group_by: str | None
    strict: bool
    min_iou: float | None
    seed: int

    def __post_init__(self):
        if self.min_iou is not None and not 0 <= self.min_iou <= 1:
            raise UsageError(f"--min-iou {self.min_iou}: must be between 0 and 1")


@dataclass(frozen=True)
class MaskSet:
    """Masks, and what is known about them.

    Attributes
    ----------
    folder : Path
        Where they lie.
    paths : tuple of Path
        Sorted by name.
    records : tuple of Path
        Files beside them that were read.
    legend : Legend or None
        Legend of masks that mstool wrote; None for others.
    label_legend : Legend or None
        Legend of the label maps that the model learnt from.
    sources : dict of str to SourceImage
        Micrographs by the name of their mask, without suffix.
    trained_on : tuple of dict, or None
        Name, group and content hash of the micrographs that decided the weights; None if unknown.
    """

    folder: Path
    paths: tuple[Path, ...]
    records: tuple[Path, ...] = ()
    legend: Legend | None = None
    label_legend: Legend | None = None
    sources: dict[str, SourceImage] = field(default_factory=dict)
    trained_on: tuple[dict[str, str], ...] | None = None


@dataclass(frozen=True)
class Pair:
    """A mask and its truth.

    Attributes
    ----------
    name : str
        Of the micrograph, where it is recorded; otherwise of the mask.
    group : str
        Micrographs that are alike.
    mask, labels : Path
        The two label maps.
    image : Path or None
        The micrograph, where it is at hand.
    """

    name: str
    group: str
    mask: Path
    labels: Path
    image: Path | None = None


@dataclass(frozen=True, eq=False)
class Counts:
    """Confusion matrices of all micrographs.

    Attributes
    ----------
    masks : ndarray of int64, shape (N, C, C)
        Rows truth, columns masks.
    regions : ndarray of int64, shape (N, C, C), or None
        Rows truth, columns Otsu regions; None where a micrograph is not at hand.
    """

    masks: np.ndarray
    regions: np.ndarray | None


def read_mask_set(operand: Path, report: Reporter) -> MaskSet:
    """Find masks, and read what stitch recorded beside them.

    Parameters
    ----------
    operand : Path
        A folder, or one mask.
    report : Reporter
        Told how many other files a folder without a record holds.

    Raises
    ------
    MissingInputError
        If there is no mask, or stitch has not ended.
    InputError
        If a record is damaged.
    """
    folder = operand if operand.is_dir() else operand.parent
    legend_path, record_path = folder / _LEGEND, folder / STITCH_RECORD
    if not record_path.is_file() and (folder / _UNFINISHED).is_file():
        raise MissingInputError(f"{record_path}: no such file; stitch has not ended, run it again")
    record = read_record(record_path) if record_path.is_file() else {}
    sources = read_sources(record_path) if "sources" in record else {}
    by_stem = {Path(name).stem: source for name, source in sources.items()}
    if operand.is_dir() and by_stem:
        paths = [_recorded_mask(folder, stem, record_path) for stem in sorted(by_stem)]
    else:
        paths = list_labels([operand], report)
    if not paths:
        raise MissingInputError(f"{operand}: no masks; give TIFF, PNG or .npy files")
    return MaskSet(
        folder=folder,
        paths=tuple(paths),
        records=tuple(path for path in (record_path, legend_path) if path.is_file()),
        legend=read_legend(legend_path) if legend_path.is_file() else None,
        label_legend=_recorded_legend(record, record_path),
        sources=by_stem,
        trained_on=_recorded_training(record, record_path),
    )


def pair_masks(
    mask_set: MaskSet,
    labels: Path,
    label_suffix: str,
    group_by: str | None,
    strict: bool,
    report: Reporter,
) -> list[Pair]:
    """Label map of each mask, by name.

    Raises
    ------
    MissingInputError
        If `labels` is not there.
    InputError
        If a mask has no label map or, with `strict`, a label map has no mask.
    """
    found = pair_labels(mask_set.paths, [labels], label_suffix, report)
    if strict:
        _refuse_unpaired(labels, set(found.values()))
    pairs = []
    for mask, label in found.items():
        source = mask_set.sources.get(mask.stem)
        name = source.name if source else mask.name
        group = source.group if source and not group_by else group_of(name, group_by)
        pairs.append(Pair(name, group, mask, label))
    return pairs


def choose_legends(
    mask_set: MaskSet, legend_path: Path | None, classes: str | None, pairs: Sequence[Pair]
) -> tuple[Legend, Legend]:
    """Legends to read masks and label maps through.

    Masks of mstool have their own; other masks are read as the label maps are. For label maps, a
    flag comes before the legend that training used, and that before the legend of the masks.

    Raises
    ------
    InputError
        If the two name different classes.
    UsageError, MissingInputError
        As `choose_legend`.
    """
    known = mask_set.label_legend or mask_set.legend
    if legend_path or classes or not known:
        paths = [path for pair in pairs for path in (pair.mask, pair.labels)]
        known = choose_legend(legend_path, classes, paths)
    mask_legend = mask_set.legend or known
    if mask_legend.names != known.names:
        raise InputError(
            f"{mask_set.folder / _LEGEND}: the masks have classes {', '.join(mask_legend.names)}, "
            f"the label maps {', '.join(known.names)}; give the label maps' legend with the same "
            "names in the same order"
        )
    return mask_legend, known


def make_settings(
    legends: tuple[Legend, Legend],
    label_suffix: str,
    group_by: str | None,
    strict: bool,
    min_iou: float | None,
    seed: int,
) -> ScoreSettings:
    """Put the settings together; `legends` are those of masks and of label maps."""
    mask_legend, label_legend = (legend_to_toml(legend) for legend in legends)
    return ScoreSettings(mask_legend, label_legend, label_suffix, group_by, strict, min_iou, seed)


def find_images(
    pairs: Sequence[Pair], mask_set: MaskSet, images: Path | None, report: Reporter
) -> list[Pair]:
    """Find the micrograph of each mask, or of none if one is not at hand.

    Parameters
    ----------
    pairs : sequence of Pair
        Masks.
    mask_set : MaskSet
        What is recorded of them.
    images : Path or None
        ``--images``, which comes first.
    report : Reporter
        Told why there will be no Otsu baseline.

    Raises
    ------
    InputError
        If `images` lacks one.
    """
    if images is not None:
        by_stem = {path.stem: path for path in list_images([images], report)}
        for pair in pairs:
            if pair.mask.stem not in by_stem:
                raise InputError(f"{pair.mask}: no micrograph {pair.mask.stem}.* in {images}")
        return [replace(pair, image=by_stem[pair.mask.stem]) for pair in pairs]
    found = [_recorded_image(pair, mask_set) for pair in pairs]
    if None in found:
        missing = pairs[found.index(None)].mask.name
        report.note(
            f"no Otsu baseline: the micrograph of {missing} is not at hand, or has changed; give "
            "the micrographs with --images"
        )
        return [*pairs]
    return [replace(pair, image=path) for pair, path in zip(pairs, found, strict=True)]


def list_inputs(mask_set: MaskSet, pairs: Sequence[Pair], legend: Path | None) -> list[Path]:
    """All files that decide the score."""
    paths = [path for pair in pairs for path in (pair.mask, pair.labels, pair.image)]
    return [path for path in (*mask_set.records, legend, *paths) if path is not None]


def claim_record(
    settings: ScoreSettings, inputs: Sequence[Path], out: Path | None, overwrite: bool
) -> dict[str, str]:
    """Hash the inputs, by path, and refuse to replace the record of another score.

    Raises
    ------
    OutputExistsError
        If `out` holds anything else than a score of the same inputs with the same settings.
    """
    hashes = hash_inputs(inputs, out.parent if out else Path())
    if out is None or overwrite or not out.exists():
        return hashes
    try:
        old = read_record(out)
    except (InputError, OSError):
        old = {}
    if old.get("settings") != asdict(settings) or old.get("inputs") != hashes:
        raise OutputExistsError(
            f"{out}: already there, with other inputs or settings; choose another --out, or "
            "replace it with --overwrite"
        )
    return hashes


def score_masks(
    pairs: Sequence[Pair], mask_set: MaskSet, settings: ScoreSettings, report: Reporter
) -> dict[str, Any]:
    """Compare masks with label maps.

    Parameters
    ----------
    pairs : sequence of Pair
        What to compare.
    mask_set : MaskSet
        What is known of the masks.
    settings : ScoreSettings
        How.
    report : Reporter
        Told what makes the score less sure than it looks.

    Returns
    -------
    dict
        The keys of ``score`` in DESIGN.md, with NaN where undefined.

    Raises
    ------
    InputError
        If two files differ in size, or cannot be read.
    LabelError
        If a value means nothing, or a mask has no class where its label map has one.
    """
    names = legend_from_toml(settings.label_legend).names
    counts = _count_all(pairs, settings, report)
    pooled = counts.masks.sum(axis=0)
    record = {
        "n_images": len(pairs),
        "classes": list(names),
        "pooled": _describe_confusion(pooled, names),
        "per_image": [
            {
                "image": pair.name,
                **_describe_confusion(confusion, names),
                "phase_fraction": _compare_fractions(confusion, names),
            }
            for pair, confusion in zip(pairs, counts.masks, strict=True)
        ],
        "image_mean": _describe_metrics(average_metrics(counts.masks), names),
        "interval": _describe_interval(pairs, counts.masks, names, settings, report),
        "baselines": _describe_baselines(counts, names),
        "phase_fraction": _compare_fractions(pooled, names),
        "leak": _describe_leak(pairs, mask_set, report),
    }
    return record


def finish_record(
    record: dict[str, Any],
    hashes: dict[str, str],
    settings: ScoreSettings,
    out: Path | None,
    run: Run,
) -> str:
    """Add the common keys, give JSON, and write it to `out` if that is set."""
    common = {
        "mstool": run.facts(),
        "status": "done" if _passes(record, settings.min_iou) else "check failed",
        "inputs": hashes,
        "settings": asdict(settings),
    }
    text = to_json(common | record)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text)
    return text


def check_min_iou(record: dict[str, Any], min_iou: float | None) -> None:
    """Fail if the pooled mean IoU is too low, or undefined.

    Raises
    ------
    CheckFailed
        If so.
    """
    if not _passes(record, min_iou):
        reached = _number(record["pooled"]["mean_iou"], 4)
        raise CheckFailed(
            f"the pooled mean IoU is {reached}, below --min-iou {min_iou:g}; look at per_image for "
            "where it fails"
        )


def tabulate(record: dict[str, Any]) -> Table:
    """Table of a score for people, at most 80 columns wide.

    Parameters
    ----------
    record : dict
        From `score_masks`.
    """
    n_images = record["n_images"]
    table = Table(
        title=f"pooled over {n_images} micrograph{'s' * (n_images != 1)}",
        caption=Text(_caption(record)),
        caption_justify="left",
        box=None,
        padding=(0, 1),
    )
    table.add_column("class", overflow="fold")
    for title in ("IoU", "interval", "prec.", "recall", "support", "true %", "pred. %"):
        table.add_column(title, justify="right", no_wrap=True)
    pooled, interval = record["pooled"], record["interval"]
    for name, row in zip(record["classes"], pooled["confusion"], strict=True):
        fraction = record["phase_fraction"][name]
        table.add_row(
            Text(name),
            _number(pooled["iou"][name]),
            _range(interval and interval["iou"][name]),
            _number(pooled["precision"][name]),
            _number(pooled["recall"][name]),
            _pixels(sum(row)),
            _number(fraction["truth"] * 100, 1),
            _number(fraction["predicted"] * 100, 1),
        )
    table.add_section()
    table.add_row(
        Text("mean", "bold"),
        Text(_number(pooled["mean_iou"]), "bold"),
        _range(interval and interval["mean_iou"]),
    )
    majority, otsu = record["baselines"]["majority"], record["baselines"]["otsu"]
    table.add_row(Text(f"mean, always {majority['class']}"), _number(majority["mean_iou"]))
    table.add_row("mean, Otsu", "-" if otsu is None else _number(otsu["mean_iou"]))
    return table


def _recorded_mask(folder: Path, stem: str, record_path: Path) -> Path:
    path = folder / f"{stem}.tif"
    if not path.is_file():
        raise MissingInputError(
            f"{path}: no such mask, though {record_path} names it; stitch again"
        )
    return path


def _recorded_legend(record: dict[str, Any], path: Path) -> Legend | None:
    text = record.get("label_legend")
    if text is None:
        return None
    with named(path):
        return legend_from_toml(str(text))


def _recorded_training(record: dict[str, Any], path: Path) -> tuple[dict[str, str], ...] | None:
    rows = record.get("trained_on")
    if rows is None:
        return None
    try:
        return tuple({key: row[key] for key in ("name", "group", "sha256")} for row in rows)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged list trained_on ({error}); stitch again") from None


def _refuse_unpaired(labels: Path, paired: set[Path]) -> None:
    unpaired = [path for path in list_labels([labels], Reporter()) if path not in paired]
    if unpaired:
        more = f" (and {len(unpaired) - 1} more)" if len(unpaired) > 1 else ""
        raise InputError(
            f"{unpaired[0]}{more}: has no mask; segment its micrograph too, or score without "
            "--strict"
        )


def _recorded_image(pair: Pair, mask_set: MaskSet) -> Path | None:
    """Micrograph that the mask was made from, if it is where the record says, unchanged."""
    source = mask_set.sources.get(pair.mask.stem)
    # A record may come from anywhere, and must not make us read any file it likes to name; so
    # nothing is decoded but the very bytes that were segmented.
    return source and find_micrograph(source, mask_set.folder, None)


def _count_all(pairs: Sequence[Pair], settings: ScoreSettings, report: Reporter) -> Counts:
    legends = (
        legend_from_toml(settings.mask_legend),
        legend_from_toml(settings.label_legend),
    )
    with_regions = _can_threshold(pairs, report)
    masks, regions = [], []
    with report.progress("scoring", len(pairs)) as advance:
        for pair in pairs:
            report.detail(f"comparing {pair.mask} with {pair.labels}")
            counts, region_counts = _count(pair, *legends, with_regions)
            masks.append(counts)
            regions.append(region_counts)
            advance(1, pair.name)
    return Counts(np.stack(masks), np.stack(regions) if with_regions else None)


def _can_threshold(pairs: Sequence[Pair], report: Reporter) -> bool:
    if any(pair.image is None for pair in pairs):
        return False
    for pair in pairs:
        image = open_micrograph(pair.image)
        if image.height * image.width > _MOST_OTSU_PIXELS:
            report.note(
                f"no Otsu baseline, since {pair.image} is too large to be thresholded whole"
            )
            return False
    return True


def _count(
    pair: Pair, mask_legend: Legend, label_legend: Legend, with_regions: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Confusion matrices of the mask and of Otsu regions, summed over bands of rows."""
    truth, mask = open_labels(pair.labels, label_legend), open_labels(pair.mask, mask_legend)
    _check_same_size(mask, truth)
    n_classes = len(label_legend.classes)
    regions = _read_regions(pair, truth, n_classes) if with_regions else None
    counts = np.zeros((2, n_classes, n_classes), np.int64)
    gaps = _Gaps(pair)
    n_rows = max(1, _BAND_PIXELS // truth.width)
    for row in range(0, truth.height, n_rows):
        window = Window(row, 0, min(n_rows, truth.height - row), truth.width)
        read = _band_reader(window, (truth.height, truth.width))
        truth_band, mask_band = read(truth, label_legend), read(mask, mask_legend)
        gaps.add(truth_band, mask_band, row)
        if not gaps.n_pixels:
            counts[0] += confusion_matrix(truth_band, mask_band, n_classes)
        if regions is not None:
            counts[1] += confusion_matrix(truth_band, regions[window.slices], n_classes)
    gaps.refuse()
    return counts[0], counts[1] if with_regions else None


def _band_reader(
    window: Window, shape: tuple[int, int]
) -> Callable[[Micrograph, Legend], np.ndarray]:
    return lambda label_map, legend: read_label_window(label_map, legend, window, shape)


class _Gaps:
    """Pixels where the truth has a class and the mask has none."""

    def __init__(self, pair: Pair):
        self.pair = pair
        self.n_pixels = 0
        self.first: tuple[int, int] | None = None

    def add(self, truth: np.ndarray, mask: np.ndarray, row: int) -> None:
        """Look through a band that begins at `row`."""
        is_gap = (truth != IGNORE_INDEX) & (mask == IGNORE_INDEX)
        if is_gap.any():
            self.n_pixels += np.count_nonzero(is_gap)
            down, across = np.unravel_index(np.argmax(is_gap), is_gap.shape)
            self.first = self.first or (row + int(down), int(across))

    def refuse(self) -> None:
        """Raise LabelError if there was one."""
        if self.n_pixels:
            n_pixels = "1 pixel" if self.n_pixels == 1 else f"{self.n_pixels} pixels"
            raise LabelError(
                f"{self.pair.mask}: has no class in {n_pixels}, first at row {self.first[0]}, "
                f"column {self.first[1]}, where {self.pair.labels} has one; segment these too, or "
                "set them to an ignored value in the label map"
            )


def _read_regions(pair: Pair, truth: Micrograph, n_classes: int) -> np.ndarray:
    image = open_micrograph(pair.image)
    _check_same_size(image, truth)
    with named(pair.image):
        return otsu_labels(image.read(), n_classes)


def _check_same_size(one: Micrograph, truth: Micrograph) -> None:
    if (one.height, one.width) != (truth.height, truth.width):
        raise InputError(
            f"{one.path}: is {one.height} x {one.width} pixels, its label map {truth.path} is "
            f"{truth.height} x {truth.width}; give both in the same size"
        )


def _describe_confusion(confusion: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    metrics = _describe_metrics(compute_metrics(confusion), names)
    return metrics | {"confusion": confusion.tolist()}


def _describe_metrics(metrics: Metrics, names: Sequence[str]) -> dict[str, Any]:
    values = {entry.name: getattr(metrics, entry.name) for entry in fields(metrics)}
    return {
        key: _by_class(value, names) if np.ndim(value) else value for key, value in values.items()
    }


def _by_class(values: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def _compare_fractions(confusion: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    truth = phase_fraction_from_counts(confusion.sum(axis=1))
    predicted = phase_fraction_from_counts(confusion.sum(axis=0))
    rows = np.stack([truth, predicted, predicted - truth], axis=1).tolist()
    keys = ("truth", "predicted", "error")
    return {name: dict(zip(keys, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def _describe_interval(
    pairs: Sequence[Pair],
    confusions: np.ndarray,
    names: Sequence[str],
    settings: ScoreSettings,
    report: Reporter,
) -> dict[str, Any] | None:
    groups = [pair.group for pair in pairs]
    is_grouped = settings.group_by is not None or len(set(groups)) < len(groups)
    found = bootstrap_intervals(confusions, settings.seed, groups if is_grouped else None)
    unit = "group" if is_grouped else "image"
    if found.n_units < 2:
        report.note(f"no interval, since one {unit} does not tell how {unit}s vary")
        return None
    if found.n_units < _FEW_UNITS:
        report.note(f"the interval is rough, and likely too narrow: only {found.n_units} {unit}s")
    return {
        "level": found.level,
        "method": METHOD,
        "unit": unit,
        "n_units": found.n_units,
        "mean_iou": _bounds(found.mean_iou),
        "image_mean_iou": _bounds(found.image_mean_iou),
        "iou": {name: _bounds(row) for name, row in zip(names, found.iou, strict=True)},
        "accuracy": _bounds(found.accuracy),
    }


def _bounds(interval: np.ndarray) -> list[float] | None:
    return None if np.isnan(interval).any() else interval.tolist()


def _describe_baselines(counts: Counts, names: Sequence[str]) -> dict[str, Any]:
    majority = majority_baseline(counts.masks).sum(axis=0)
    commonest = names[counts.masks.sum(axis=(0, 2)).argmax()]
    return {
        "majority": {"class": commonest, **_describe_confusion(majority, names)},
        "otsu": None if counts.regions is None else _describe_otsu(counts.regions, names),
    }


def _describe_otsu(regions: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    pooled = regions.sum(axis=0)
    classes = match_regions(pooled)
    return {
        "note": _OTSU_NOTE,
        "classes_dark_to_bright": [names[index] for index in classes],
        **_describe_confusion(relabel_regions(pooled, classes), names),
    }


def _describe_leak(pairs: Sequence[Pair], mask_set: MaskSet, report: Reporter) -> dict[str, Any]:
    """Scored micrographs that the model has seen in training or validation."""
    trained_on = mask_set.trained_on or ()
    contents = {row["sha256"] for row in trained_on}
    seen = {(row["name"], row["group"]) for row in trained_on}
    sources = {pair.name: mask_set.sources.get(pair.mask.stem) for pair in pairs}
    leaked = [
        name
        for name, source in sources.items()
        if source and (source.sha256 in contents or (source.name, source.group) in seen)
    ]
    if leaked:
        report.note(
            f"warning: {len(leaked)} of {len(pairs)} scored micrographs were trained on: "
            f"{_list_names(leaked)}; the score says nothing about new ones"
        )
    is_checked = mask_set.trained_on is not None and None not in sources.values()
    if not is_checked:
        report.note("not checked whether the model was trained on these: no record says so")
    return {"checked": is_checked, "trained_on": leaked}


def _list_names(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _passes(record: dict[str, Any], min_iou: float | None) -> bool:
    """Whether the pooled mean IoU is at least `min_iou`; NaN is not."""
    return min_iou is None or record["pooled"]["mean_iou"] >= min_iou


def _caption(record: dict[str, Any]) -> str:
    """Lines below the table that say what its numbers are."""
    lines = ["support: pixels"]
    if interval := record["interval"]:
        lines.append(
            f"interval: {interval['level']:.0%}, {interval['method']} over {interval['n_units']} "
            f"{interval['unit']}s"
        )
    if record["baselines"]["otsu"]:
        lines.append("Otsu: regions matched to classes with the truth in hand, an upper bound")
    return "\n".join(lines)


def _number(value: float, digits: int = 3) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def _range(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.3f}-{bounds[1]:.3f}"


def _pixels(count: int) -> str:
    """At most seven characters."""
    return str(count) if count < 1e6 else f"{count / 1e6:.4g} M"
