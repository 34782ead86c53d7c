"""Fields of view of micrographs, what the network says of them, and what is asked."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.explanations.field_of_view import Field, how_well_placed, select_pixels
from mstool.geometry.resample import nearest_indices
from mstool.io.conversions import without_alpha
from mstool.io.images import open_label_values
from mstool.micrographs.grey_range import describe_greys, sample_greys
from mstool.micrographs.needs import check_needs
from mstool.micrographs.sets import MicrographSet, View
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.device import Compute
from mstool.nn.infer import image_probabilities
from mstool.pipeline.explain.request import RegionChoice
from mstool.reporting import Reporter


def read_fields(
    micrographs: MicrographSet,
    model: LoadedModel,
    class_index: int,
    choice: RegionChoice,
    size: int,
    compute: Compute,
    report: Reporter,
) -> list[Field]:
    """Read, predict, and find the region in each image.

    Of a large image it is the field with most of the region, and among equals with the region
    nearest to its middle.

    Raises
    ------
    InputError
        If images do not fit the model, or the region is in none of them.
    """
    check_needs([model.needs], micrographs.given(()), Reporter())
    fields, greys = [], []
    for name, views in groupby(_views(micrographs, size), key=lambda view: view.name):
        found, best = None, (0, -np.inf)
        for view in views:
            greys.append(sample_greys(view.image))
            probabilities = image_probabilities(model.segmenter, view.image, compute)
            region = _find_region(choice, class_index, probabilities, view)
            if (placed := how_well_placed(region)) > best:
                best = placed
                found = Field(
                    *(name, view.source, view.group, view.image, view.truth, view.window),
                    *(view.pixel_size_um, probabilities, region),
                )
        if found is None:
            report.note(f"{name}: left out, since nothing in it is {choice.kind} of that class")
            continue
        fields.append(found)
    check_needs([model.needs], micrographs.given(describe_greys(greys)), report)
    if not fields:
        raise InputError("no image holds the region that --region and --class ask for")
    return fields


def _views(micrographs: MicrographSet, size: int) -> Iterator[View]:
    for member in micrographs.members:
        yield from micrographs.views(member, size)


def _find_region(
    choice: RegionChoice,
    class_index: int,
    probabilities: np.ndarray,
    view: View,
) -> np.ndarray:
    """Pixels that are asked about, bool (H, W)."""
    if choice.path is not None:
        return _read_mask(choice.path, view)
    if choice.kind == "errors" and view.truth is None:
        raise UsageError("--region errors: needs --labels, or tiles with labels")
    return select_pixels(
        choice.kind, choice.numbers, class_index, probabilities, view.truth, view.window
    )


def _read_mask(path: Path, view: View) -> np.ndarray:
    """Marked pixels of a field, bool (h, w); the nearest, of a mask of the file before scaling."""
    values = without_alpha(open_label_values(path)).read()
    values = values.any(axis=2) if values.ndim == 3 else values != 0
    if values.shape not in (view.extent, view.stored):
        sizes = dict.fromkeys((view.stored, view.extent))
        ours = " or ".join(f"{height} x {width}" for height, width in sizes)
        raise InputError(
            f"{path}: is {values.shape[0]} x {values.shape[1]} pixels, {view.name} is {ours}; draw "
            "the mask on the whole micrograph, or on the tile"
        )
    rows, cols = map(nearest_indices, values.shape, view.extent)
    height, width = view.image.shape[:2]
    top, left = view.window.row, view.window.col
    return values[np.ix_(rows[top : top + height], cols[left : left + width])]
