"""What is scored: masks, their label maps, legends and micrographs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from mstool.errors import InputError, MissingInputError, UsageError
from mstool.geometry.blend import Blend
from mstool.io.outputs import is_unfinished
from mstool.io.records import read_record, sha256_of_file
from mstool.io.sidecars import find_sidecar
from mstool.io.tiles import PREDICT_RECORD, STITCH_RECORD, SourceImage, read_sources
from mstool.labels.legend import Legend, legend_from_toml
from mstool.micrographs.find import (
    Naming,
    find_micrograph,
    list_images,
    list_labels,
    pair_labels,
    stem_of,
    unique_names,
)
from mstool.micrographs.group_pattern import find_group
from mstool.micrographs.label_maps import named, read_legend
from mstool.micrographs.label_sets import list_absent_classes, open_label_maps
from mstool.micrographs.tile_folder import LEGEND
from mstool.pipeline.out_of_fold import Fold, read_folds, read_training
from mstool.reporting import Reporter


@dataclass(frozen=True)
class Stitching:
    """How masks were made from probabilities."""

    blend: Blend
    abstain: float  # largest probability below which a pixel was left without a class
    predict_sha256: str | None  # of the record of the probabilities


@dataclass(frozen=True)
class MaskSet:
    """Masks, and what is known about them.

    `trained_on` has name, group and content hash of the micrographs that decided the weights; None
    if unknown. `folds` is None unless each micrograph was predicted by the models without it.
    `leaks` says what the roles of a model shared and was let pass in its training; `searched`
    whether all of that was looked for, None if unknown.
    """

    folder: Path
    paths: tuple[Path, ...]  # sorted by name
    records: tuple[Path, ...] = ()  # files beside them that were read
    legend: Legend | None = None  # of masks that mstool wrote; None for others
    label_legend: Legend | None = None  # of the label maps that the model learnt from
    sources: dict[str, SourceImage] = field(default_factory=dict)  # by stem of the mask
    trained_on: tuple[dict[str, str], ...] | None = None
    folds: tuple[Fold, ...] | None = None
    leaks: tuple[str, ...] = ()
    searched: bool | None = None
    stitching: Stitching | None = None  # of masks that mstool wrote
    models: tuple[str, ...] = ()  # SHA-256 of those that predicted them; empty if unknown
    made_with: dict[str, Any] = field(default_factory=dict)  # settings; empty if unknown

    @property
    def may_abstain(self) -> bool:
        """Whether they were stitched with pixels left out."""
        return bool(self.stitching and self.stitching.abstain)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the paths lead to: the same of masks that are given twice."""
        return tuple(path.resolve() for path in self.paths)


@dataclass(frozen=True)
class Pair:
    """A mask and its truth."""

    name: str  # of the micrograph, where it is recorded; otherwise of the mask
    group: str  # of micrographs that are alike: asked for, or the specimen, or recorded
    mask: Path
    labels: Path
    image: Path | None = None  # the micrograph, where it is at hand
    pixel_size_um: float | None = None  # that the mask was made with, where it is recorded


@dataclass(frozen=True)
class MaskRun:
    """Masks of one run, or to compare with, and their truth."""

    mask_set: MaskSet
    pairs: tuple[Pair, ...]  # in the same order in each run
    mask_legend: Legend


def read_mask_set(operand: Path, report: Reporter) -> MaskSet:
    """Find masks in a folder, or one mask, and read what stitch recorded beside them.

    Raises
    ------
    MissingInputError
        If there is no mask, or stitch has not ended.
    InputError
        If a record is damaged, these are the probabilities of tiles, or masks of other runs lie
        among those that stitch recorded.
    """
    folder = operand if operand.is_dir() else operand.parent
    if (folder / PREDICT_RECORD).is_file():
        raise InputError(
            f"{folder}: holds probabilities of tiles; run mstool stitch, and score its masks"
        )
    legend_path, record_path = folder / LEGEND, folder / STITCH_RECORD
    if is_unfinished(folder, STITCH_RECORD):
        raise MissingInputError(f"{record_path}: no such file; stitch has not ended, run it again")
    record = read_record(record_path) if record_path.is_file() else {}
    sources = read_sources(record_path) if "sources" in record else {}
    by_stem = {Path(name).stem: source for name, source in sources.items()}
    rows = record.get("trained_on")
    paths = _list_masks(operand, by_stem, report)
    _refuse_mixed_runs(paths, operand, by_stem, record)
    return MaskSet(
        folder=folder,
        paths=tuple(paths),
        records=tuple(path for path in (record_path, legend_path) if path.is_file()),
        legend=read_legend(legend_path) if legend_path.is_file() else None,
        label_legend=_recorded_legend(record, record_path),
        sources=by_stem,
        trained_on=None if rows is None else read_training(rows, record_path),
        folds=read_folds(record, [*sources], record_path),
        leaks=_recorded_leaks(record, record_path),
        searched=_recorded_search(record, record_path),
        stitching=_recorded_stitching(record, record_path) if record else None,
        models=_recorded_models(record, record_path),
        made_with=_recorded_making(record, record_path),
    )


def pair_masks(
    mask_set: MaskSet,
    labels: Path,
    naming: Naming,
    group_by: str | None,
    strict: bool,
    report: Reporter,
) -> list[Pair]:
    """Label map of each mask, by name, in a folder with label maps, or one label map.

    Raises
    ------
    MissingInputError
        If `labels` is not there.
    UsageError
        If masks of mstool are in the place of the label maps.
    InputError
        If a mask has no label map or, with `strict`, a label map has no mask.
    """
    if ((labels if labels.is_dir() else labels.parent) / STITCH_RECORD).is_file():
        raise UsageError(
            f"{labels}: was written by mstool stitch, and stands where the label maps belong; give "
            "the masks first, and the label maps last"
        )
    sources = {path: mask_set.sources.get(path.stem) for path in mask_set.paths}
    hashes = {path: source.file_sha256 for path, source in sources.items() if source}
    found = pair_labels(mask_set.paths, [labels], naming, report, "mask", hashes)
    if strict:
        _refuse_unpaired(labels, naming, set(found.values()))
    pairs = []
    for mask, label in found.items():
        source = mask_set.sources.get(mask.stem)
        name = source.name if source else mask.name
        known = source and (source.specimen or source.group)
        group = known if known and not group_by else find_group(name, group_by)
        size = source.pixel_size_um if source else None
        pairs.append(Pair(name, group, mask, label, pixel_size_um=size))
    return pairs


def choose_legends(
    mask_set: MaskSet, given: Legend | None, pairs: Sequence[Pair], report: Reporter
) -> tuple[Legend, Legend]:
    """Legends to read masks and label maps through.

    Masks of mstool have their own; other masks are read as the label maps are, and must agree with
    them. For label maps, what is `given` comes before the legend that training used, and that
    before the legend of the masks.

    Raises
    ------
    InputError
        If the two name different classes.
    LabelError
        As `open_label_maps`.
    """
    known = given or mask_set.label_legend or mask_set.legend
    masks = [] if mask_set.legend else [pair.mask for pair in pairs]
    maps = open_label_maps([pair.labels for pair in pairs], known, report, masks)
    if given:  # what training used was looked at then; few micrographs may lack a rare phase
        for line in list_absent_classes(maps):
            report.note(line)
    known = maps.legend
    mask_legend = mask_set.legend or known
    if mask_legend.names != known.names:
        raise InputError(
            f"{mask_set.folder / LEGEND}: the masks have classes {', '.join(mask_legend.names)}, "
            f"the label maps {', '.join(known.names)}; give the label maps' legend with the same "
            "names in the same order"
        )
    return mask_legend, known


def choose_mask_legend(
    mask_set: MaskSet, legend: Legend, is_given: bool, pairs: Sequence[Pair]
) -> Legend:
    """Legend of masks that are held against the same label maps as others, read through `legend`.

    Raises
    ------
    InputError
        If they were made with another one, unless this is the one that the user has given.
    InputError, LabelError
        As `choose_legends`.
    """
    if not is_given and mask_set.label_legend not in (None, legend):
        raise InputError(
            f"{mask_set.folder}: was made with another legend of the label maps; give the one that "
            "holds for all masks with --legend"
        )
    return choose_legends(mask_set, legend, pairs, Reporter())[0]


def find_images(
    pairs: Sequence[Pair], mask_set: MaskSet, images: Path | None, report: Reporter
) -> list[Pair]:
    """Find the micrograph of each mask, or of none if one is not at hand; first in `images`.

    Raises
    ------
    InputError
        If `images` lacks one.
    """
    if images is not None:
        return _pair_images(pairs, images, report)
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
    """All files that decide the score; with a micrograph, the text that states its pixel size."""
    paths = [path for pair in pairs for path in (pair.mask, pair.labels, pair.image)]
    paths += [find_sidecar(pair.image) for pair in pairs if pair.image is not None]
    return [path for path in (*mask_set.records, legend, *paths) if path is not None]


def _list_masks(operand: Path, sources: dict[str, SourceImage], report: Reporter) -> list[Path]:
    if operand.is_dir() and sources:
        return [_recorded_mask(operand, stem) for stem in sorted(sources)]
    paths = unique_names(list_labels([operand], report))
    if not paths:
        raise MissingInputError(f"{operand}: no masks; give TIFF, PNG or .npy files")
    return paths


def _recorded_mask(folder: Path, stem: str) -> Path:
    path = folder / f"{stem}.tif"
    if not path.is_file():
        raise MissingInputError(
            f"{path}: no such mask, though {folder / STITCH_RECORD} names it; stitch again"
        )
    return path


def _refuse_mixed_runs(
    paths: Sequence[Path], operand: Path, sources: dict[str, SourceImage], record: dict[str, Any]
) -> None:
    """Refuse masks that are not those that the record beside them speaks of."""
    remedy = "stitch again, or score masks that are no longer those of stitch without its record"
    there = operand.glob("*.tif") if operand.is_dir() else paths
    strangers = sorted(path for path in there if path.stem not in sources)
    if sources and strangers:
        raise InputError(
            f"{strangers[0]}: {strangers[0].parent / STITCH_RECORD} does not name it, so masks of "
            "two runs are mixed; keep each run in a folder of its own"
        )
    known = record.get("mask_sha256", {})
    if not isinstance(known, dict):
        raise InputError(f"{paths[0].parent / STITCH_RECORD}: damaged mask_sha256; stitch again")
    for path in paths:
        if known.get(path.name) not in (None, sha256_of_file(path)):
            raise InputError(f"{path}: is not the mask that {STITCH_RECORD} speaks of; {remedy}")


def _recorded_legend(record: dict[str, Any], path: Path) -> Legend | None:
    text = record.get("label_legend")
    if text is None:
        return None
    with named(path):
        return legend_from_toml(str(text))


def _recorded_leaks(record: dict[str, Any], path: Path) -> tuple[str, ...]:
    leaks = record.get("leaks") or []
    if not isinstance(leaks, list):
        raise InputError(f"{path}: damaged list leaks; stitch again")
    return tuple(map(str, leaks))


def _recorded_models(record: dict[str, Any], path: Path) -> tuple[str, ...]:
    try:
        return tuple(str(row["sha256"]) for row in record.get("models") or ())
    except (TypeError, KeyError) as error:
        raise InputError(f"{path}: damaged list models ({error}); stitch again") from None


def _recorded_making(record: dict[str, Any], path: Path) -> dict[str, Any]:
    made_with = record.get("made_with") or {}
    if not isinstance(made_with, dict):
        raise InputError(f"{path}: damaged made_with; stitch again")
    return made_with


def _recorded_search(record: dict[str, Any], path: Path) -> bool | None:
    searched = record.get("searched")
    if not isinstance(searched, bool | None):
        raise InputError(f"{path}: damaged value of searched; stitch again")
    return searched


def _recorded_stitching(record: dict[str, Any], path: Path) -> Stitching:
    try:
        settings, inputs = record.get("settings", {}), record.get("inputs", {})
        hashes = [value for name, value in inputs.items() if Path(name).name == PREDICT_RECORD]
        blend, abstain = str(settings.get("blend", "hann")), float(settings.get("abstain", 0))
        if blend not in get_args(Blend):
            raise ValueError(f"no blend {blend}")
        return Stitching(blend, abstain, hashes[0] if hashes else None)
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: damaged settings or inputs ({error}); stitch again") from None


def _refuse_unpaired(labels: Path, naming: Naming, paired: set[Path]) -> None:
    maps = [
        path
        for path in list_labels([labels], Reporter(), naming.recursive)
        if stem_of(path).endswith(naming.label_suffix)
    ]
    unpaired = [path for path in maps if path not in paired]
    if unpaired:
        more = f" (and {len(unpaired) - 1} more)" if len(unpaired) > 1 else ""
        raise InputError(
            f"{unpaired[0]}{more}: has no mask; segment its micrograph too, or score without "
            "--strict"
        )


def _pair_images(pairs: Sequence[Pair], images: Path, report: Reporter) -> list[Pair]:
    by_stem = {stem_of(path): path for path in list_images([images], report)}
    for pair in pairs:
        if stem_of(pair.mask) not in by_stem:
            raise InputError(f"{pair.mask}: no micrograph {stem_of(pair.mask)}.* in {images}")
    return [replace(pair, image=by_stem[stem_of(pair.mask)]) for pair in pairs]


def _recorded_image(pair: Pair, mask_set: MaskSet) -> Path | None:
    """Micrograph that the mask was made from, if it is where the record says, unchanged."""
    source = mask_set.sources.get(pair.mask.stem)
    # A record may come from anywhere, and must not make us read any file it likes to name; so
    # nothing is decoded but the very bytes that were segmented.
    return source and find_micrograph(source, mask_set.folder, None)
