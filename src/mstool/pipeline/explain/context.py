"""How far the network looks, against tiles and phases."""

from collections.abc import Sequence

import numpy as np

from mstool.explanations.reach import (
    Effective,
    Reach,
    advise,
    draw_centre,
    thickness_of_phases,
)
from mstool.explanations.regions import Region
from mstool.explanations.sizes import measure_phases
from mstool.nn.checkpoint import Checkpoint
from mstool.nn.effective_field import EffectiveField, effective_receptive_field
from mstool.nn.receptive_field import field_width
from mstool.pictures.field_widths import draw_receptive_field
from mstool.pipeline.explain.question import Question, alike

N_CENTRES = 20


def check_context(question: Question, regions: Sequence[Region], checkpoint: Checkpoint) -> Reach:
    """Receptive fields, compared with tile size and phases; ``receptive_field.png`` is drawn."""
    found = _effective_field(question, regions)
    theoretical = field_width(question.segmenter.network, checkpoint.spec.n_channels)
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
    )
    question.draw("receptive_field.png", figure)
    return Reach(
        int(theoretical) if is_known else None,
        bool(np.isposinf(theoretical)),
        Effective(*radii, found.sigma_px, found.n, *(radius * size for radius in radii)),
        question.settings.window,
        tile,
        phases,
        2 * found.r95_px / phases[question.settings.class_name].thickness_px,
        advise(found.r95_px, theoretical, tile, thickness),
        theoretical * size if is_known else np.nan,
    )


def _effective_field(question: Question, regions: Sequence[Region]) -> EffectiveField:
    """Effective receptive field at pixels of the regions, the same share near boundaries."""
    rng, usable = question.rng(76), alike(regions)
    chosen = [usable[number % len(usable)] for number in range(N_CENTRES)]
    centres = [
        draw_centre(region.inside, near_boundary=number % 2 == 0, rng=rng)
        for number, region in enumerate(chosen)
    ]
    images = np.stack([region.image for region in chosen])
    return effective_receptive_field(
        question.segmenter, images, centres, question.class_index, question.compute
    )
