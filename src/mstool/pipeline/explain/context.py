"""How far the network looks, against tiles and phases."""

from collections.abc import Sequence

import numpy as np

from mstool.explanations.reach import (
    Effective,
    Reach,
    advise,
    draw_centre,
    far_from_border,
    thickness_of_phases,
)
from mstool.explanations.regions import Region
from mstool.explanations.sizes import measure_phases
from mstool.nn.checkpoint import Checkpoint
from mstool.nn.effective_field import EffectiveField, effective_receptive_field
from mstool.nn.receptive_field import field_width
from mstool.pictures.field_widths import draw_receptive_field
from mstool.pipeline.explain.question import Question

N_CENTRES = 20


def check_context(question: Question, regions: Sequence[Region], checkpoint: Checkpoint) -> Reach:
    """Receptive fields, compared with tile size and phases; ``receptive_field.png`` is drawn."""
    theoretical = field_width(question.segmenter.network, checkpoint.spec.n_channels)
    found, edge, is_cut = _effective_field(question, regions, theoretical)
    is_known = np.isfinite(theoretical)
    size, tile = question.pixel_size_um or np.nan, checkpoint.tile_size
    phases = measure_phases((field.labels for field in question.fields), question.classes)
    thickness = thickness_of_phases(phases)
    radii = (found.r50_px, found.r68_px, found.r95_px)
    figure = draw_receptive_field(
        found.gradient,
        dict(zip(("r50", "r68", "r95"), radii, strict=True)),
        theoretical,
        tile,
        thickness,
        question.pixel_size_um,
        f"How far the network looks for {question.settings.class_name}",
        is_lower_bound=is_cut,
    )
    question.draw("receptive_field.png", figure)
    return Reach(
        int(theoretical) if is_known else None,
        bool(np.isposinf(theoretical)),
        Effective(*radii, found.sigma_px, found.n, *(radius * size for radius in radii), is_cut),
        edge,
        tile,
        phases,
        2 * found.r95_px / phases[question.settings.class_name].thickness_px,
        advise(found.r95_px, theoretical, tile, thickness, edge if is_cut else None),
        theoretical * size if is_known else np.nan,
    )


def _effective_field(
    question: Question, regions: Sequence[Region], theoretical: float
) -> tuple[EffectiveField, int, bool]:
    """Effective receptive field at pixels of the regions, the same share near boundaries.

    Windows are wide enough for all that the network can look at, as far as fields are. Also their
    edge [px], and whether the network may look further.
    """
    rng, fields = question.rng(76), {field.name: field.image for field in question.fields}
    sides = [min(fields[region.field].shape[:2]) for region in regions]
    wanted = theoretical + 1 if np.isfinite(theoretical) else np.inf
    edge = int(min(max(sides), max(question.settings.window, wanted)))
    usable = [region for region, side in zip(regions, sides, strict=True) if side >= edge]
    whole = [_sees_whole(region, fields[region.field], theoretical) for region in usable]
    is_cut = not any(mask.any() for mask in whole)
    if is_cut:
        whole = [region.inside for region in usable]
    chosen = [pair for pair in zip(usable, whole, strict=True) if pair[1].any()]
    images, centres = [], []
    for number in range(N_CENTRES):
        region, allowed = chosen[number % len(chosen)]
        row, col = draw_centre(region.inside, number % 2 == 0, rng, allowed)
        image, centre = _cut_around(fields[region.field], region.row + row, region.col + col, edge)
        images.append(image)
        centres.append(centre)
    found = effective_receptive_field(
        question.segmenter, np.stack(images), centres, question.class_index, question.compute
    )
    return found, edge, is_cut


def _sees_whole(region: Region, image: np.ndarray, theoretical: float) -> np.ndarray:
    """Pixels of a region from which the network looks at nothing beyond the field."""
    corner = (region.row, region.col)
    return far_from_border(region.inside, corner, image.shape[:2], theoretical / 2)


def _cut_around(
    image: np.ndarray, row: int, col: int, edge: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Square window with a pixel as near to its middle as the image allows, and where it is."""
    height, width = image.shape[:2]
    top = min(max(0, row - edge // 2), height - edge)
    left = min(max(0, col - edge // 2), width - edge)
    return image[top : top + edge, left : left + edge], (row - top, col - left)
