"""Boundaries and objects of masks and label maps, which need both whole, not in bands."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mstool.errors import InputError
from mstool.geometry.length import Length
from mstool.io.images import open_micrograph
from mstool.labels.legend import IGNORE_INDEX, Legend
from mstool.micrographs.label_maps import LabelMap, open_label_map
from mstool.micrographs.needs import is_same_size
from mstool.pipeline.score.entries import by_class
from mstool.pipeline.score.inputs import Pair
from mstool.reporting import Reporter
from mstool.scores.boundary_agreement import (
    BoundaryCounts,
    count_boundaries,
    pool_boundaries,
    score_boundaries,
)
from mstool.scores.frame_border import leave_out_border
from mstool.scores.metrics import nan_mean
from mstool.scores.object_detection import ObjectCounts, count_objects, score_objects

Entry = dict[str, Any]

_DISTANCES = ("hausdorff95", "surface_distance")
_COUNTS = ("n_truth", "n_mask", "n_unmatched")


@dataclass(frozen=True)
class ShapeQuestion:
    """What is asked beyond counts of pixels."""

    tolerance: Length | None  # of boundaries; None if they are not asked for
    objects: tuple[str, ...]  # classes that consist of objects
    ignore_border: int  # rim of micrographs that is left out [px]
    pixel_size_um: float | None  # instead of what the files say


@dataclass(frozen=True, eq=False)
class Shapes:
    """Counts of one pair; `boundaries` is None, and `objects` empty, where not asked for."""

    pixel_size_um: float | None
    boundaries: BoundaryCounts | None
    objects: dict[str, ObjectCounts]


def measure_shapes(
    pairs: Sequence[Pair],
    legends: tuple[Legend, Legend],
    question: ShapeQuestion,
    report: Reporter,
) -> list[Shapes]:
    """Compare boundaries and objects of each pair, where asked for.

    The pairs were compared pixel by pixel before, so that they have the same size, and where a mask
    has no class, it may. `legends` are those of masks and of label maps.

    Raises
    ------
    InputError
        If a tolerance is in um, and the pixel size of a micrograph is unknown.
    """
    if question.tolerance is None and not question.objects:
        return [Shapes(None, None, {})] * len(pairs)
    shapes, differing = [], {}
    with report.progress("comparing shapes", len(pairs)) as advance:
        for pair in pairs:
            mask_map = open_label_map(pair.mask, legends[0])
            label_map = open_label_map(pair.labels, legends[1])
            size = question.pixel_size_um
            if size is None:
                stated = _list_stated_sizes(pair, mask_map, label_map)
                size = next(iter(stated.values()), None)
                if not all(is_same_size(other, size) for other in stated.values()):
                    differing[pair.name] = stated
            shapes.append(_measure(mask_map, label_map, question, size))
            advance(1, pair.name)
    if differing:
        report.note(_differing_in_words(differing))
    return shapes


def pool_shapes(shapes: Sequence[Shapes]) -> Shapes:
    """Counts of one micrograph in several runs together."""
    first = shapes[0]
    if len(shapes) == 1:
        return first
    boundaries = first.boundaries and pool_boundaries([one.boundaries for one in shapes])
    objects = {
        name: sum((one.objects[name] for one in shapes), ObjectCounts()) for name in first.objects
    }
    return Shapes(first.pixel_size_um, boundaries, objects)


def describe_shapes(
    shapes: Sequence[Shapes], names: Sequence[str], question: ShapeQuestion
) -> Entry:
    """Entries ``boundaries`` and ``objects`` of a record, pooled and as a mean over micrographs.

    An entry that was not asked for is None.
    """
    boundaries = None
    if question.tolerance is not None:
        tolerance = {"tolerance": str(question.tolerance)}
        boundaries = tolerance | _describe_all_boundaries(shapes, names)
    return {"boundaries": boundaries, "objects": _describe_all_objects(shapes) or None}


def describe_image_shapes(shapes: Shapes, names: Sequence[str]) -> Entry:
    """Entries ``boundaries`` and ``objects`` of one micrograph, where asked for."""
    entry: Entry = {}
    if shapes.boundaries is not None:
        entry["boundaries"] = _describe_boundaries([shapes], names)
    if shapes.objects:
        entry["objects"] = {
            name: _describe_objects(counts) for name, counts in shapes.objects.items()
        }
    return entry


def _measure(
    mask_map: LabelMap, label_map: LabelMap, question: ShapeQuestion, size_um: float | None
) -> Shapes:
    truth, mask = label_map.read(), mask_map.read()
    truth = leave_out_border(truth, 0, len(truth), question.ignore_border)
    truth = np.where(mask == IGNORE_INDEX, mask, truth)  # where the mask abstains
    names, boundaries = label_map.legend.names, None
    if question.tolerance is not None:
        tolerance = question.tolerance.in_pixels(size_um)
        if tolerance is None:
            raise InputError(
                f"{mask_map.path}: its pixel size is unknown, and the tolerance is in um; give "
                "--pixel-size, or the tolerance in px"
            )
        boundaries = count_boundaries(truth, mask, len(names), tolerance)
    objects = {name: count_objects(truth, mask, names.index(name)) for name in question.objects}
    return Shapes(size_um, boundaries, objects)


def _list_stated_sizes(pair: Pair, mask_map: LabelMap, label_map: LabelMap) -> dict[str, float]:
    """Pixel sizes [um/px] by who states them, first what the mask was made with."""
    stated = {
        "the record of the mask": pair.pixel_size_um,
        "the mask": mask_map.values.pixel_size_um,
        "the micrograph": pair.image and open_micrograph(pair.image).pixel_size_um,
        "the label map": label_map.values.pixel_size_um,
    }
    return {name: size for name, size in stated.items() if size is not None}


def _differing_in_words(differing: dict[str, dict[str, float]]) -> str:
    image, stated = next(iter(differing.items()))
    (name, size), *others = stated.items()
    other, other_size = next(one for one in others if not is_same_size(one[1], size))
    more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
    return (
        f"{image}{more}: a pixel is {size:.4g} um by {name}, which is taken, and {other_size:.4g} "
        f"um by {other}; give --pixel-size if it matters"
    )


def _describe_all_boundaries(shapes: Sequence[Shapes], names: Sequence[str]) -> Entry:
    each = [_describe_boundaries([one], names) for one in shapes]
    return {
        "pooled": _describe_boundaries(shapes, names),
        "image_mean": {
            key: _mean_of([one[key] for one in each]) for key in each[0] if key not in _COUNTS
        },
    }


def _mean_of(values: Sequence[Any]) -> Any:
    """Mean of what is defined: of numbers, or by class."""
    if isinstance(values[0], dict):
        return {key: _mean_of([one[key] for one in values]) for key in values[0]}
    return float(nan_mean(np.array(values, float), axis=0))


def _describe_boundaries(shapes: Sequence[Shapes], names: Sequence[str]) -> Entry:
    """Scores of one or more micrographs together, by class, with counts of boundary pixels."""
    counts = pool_boundaries([one.boundaries for one in shapes])
    sizes = [one.pixel_size_um for one in shapes]
    lengths = {"px": score_boundaries(counts), "um": None}
    if None not in sizes:
        scaled = [one.boundaries.scaled(one.pixel_size_um) for one in shapes]
        lengths["um"] = score_boundaries(pool_boundaries(scaled))
    scores = lengths["px"]
    entry: Entry = {
        "mean_boundary_iou": float(nan_mean(scores.boundary_iou, axis=0)),
        "mean_boundary_f1": float(nan_mean(scores.boundary_f1, axis=0)),
    }
    nowhere = np.full(len(names), np.nan)
    for one in fields(scores):
        if one.name not in _DISTANCES:
            entry[one.name] = by_class(getattr(scores, one.name), names)
            continue
        for unit, found in lengths.items():
            values = nowhere if found is None else getattr(found, one.name)
            entry[f"{one.name}_{unit}"] = by_class(values, names)
    return entry | {key: by_class(getattr(counts, key), names) for key in _COUNTS}


def _describe_all_objects(shapes: Sequence[Shapes]) -> Entry:
    entry = {}
    for name in shapes[0].objects:
        each = [one.objects[name] for one in shapes]
        scores = [vars(score_objects(one)) for one in each]
        means = {key: _mean_of([one[key] for one in scores]) for key in scores[0]}
        entry[name] = {
            "pooled": _describe_objects(sum(each, ObjectCounts())),
            "image_mean": means,
        }
    return entry


def _describe_objects(counts: ObjectCounts) -> Entry:
    numbers = {key: getattr(counts, key) for key in ("n_truth", "n_mask", "n_matched")}
    return vars(score_objects(counts)) | numbers
