"""How far the network looks, against tiles and phases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from mstool.nn.checkpoint import LoadedModel
from mstool.nn.effective_field import effective_receptive_field
from mstool.nn.receptive_field import theoretical_receptive_field
from mstool.pictures.receptive_field import draw_receptive_field
from mstool.pictures.save import save_figure
from mstool.pipeline.explain.fields import Field
from mstool.pipeline.explain.study import LEAST_PX, Study, Unit

N_CENTRES = 20


def effective_field(study: Study, units: Sequence[Unit], n: int = N_CENTRES):
    """Effective receptive field at pixels of the regions, the same share near boundaries."""
    rng = np.random.default_rng([study.settings.seed, 76])
    shape = units[0].image.shape
    usable = [unit for unit in units if unit.image.shape == shape]
    images, centres = [], []
    for number in range(n):
        unit = usable[number % len(usable)]
        row, col = _centre(unit.region, near_boundary=number % 2 == 0, rng=rng)
        images.append(unit.image)
        centres.append((row, col))
    tensor = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return effective_receptive_field(
        study.segmenter, tensor, centres, study.class_index, study.compute
    )


def check_context(study: Study, units: Sequence[Unit], model: LoadedModel) -> dict[str, Any]:
    """Receptive fields in px and um, compared with tile size and phases, and advice.

    Returns
    -------
    dict
        For the record, with ``receptive_field.png`` written.
    """
    found = effective_field(study, units)
    device = study.compute.device
    study.segmenter.cpu()
    theoretical = theoretical_receptive_field(
        study.segmenter.network, model.checkpoint.spec.n_channels
    )
    study.segmenter.to(device)
    size_um, tile = study.fields[0].pixel_size_um, model.checkpoint.tile_size
    phases = measure_phases(study.fields, study.classes)
    radii = {"r50": found.r50_px, "r68": found.r68_px, "r95": found.r95_px}
    thickness = {
        name: sizes["thickness_px"]
        for name, sizes in phases.items()
        if sizes["thickness_px"] is not None
    }
    figure = draw_receptive_field(
        found.gradient,
        radii,
        theoretical,
        tile,
        thickness,
        size_um,
        f"How far the network looks for {study.settings.class_name}",
        stamp=study.settings.stamp,
    )
    save_figure(study.out / "receptive_field.png", figure)
    own = phases[study.settings.class_name]["thickness_px"]
    record: dict[str, Any] = {
        "theoretical_px": theoretical,
        "is_global": theoretical is None,
        "effective": {
            **{f"{name}_px": radius for name, radius in radii.items()},
            "sigma_px": found.sigma_px,
            "n": found.n,
        },
        "window_px": study.settings.window,
        "tile_size_px": tile,
        "phases": phases,
        "diameter_over_thickness": None if own is None else 2 * found.r95_px / own,
        "advice": advise(found.r95_px, theoretical, tile, thickness),
    }
    if size_um is not None:
        record["theoretical_um"] = None if theoretical is None else theoretical * size_um
        for name, radius in radii.items():
            record["effective"][f"{name}_um"] = radius * size_um
    return record


def measure_phases(fields: Sequence[Field], classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Median thickness and equivalent diameter of the regions of each class [px].

    The thickness of a region is twice its largest distance to another class; labels are used where
    there are any, else predictions. None for a class without regions of 60 px.
    """
    sizes: dict[str, list[tuple[float, float]]] = {name: [] for name in classes}
    for field in fields:
        labels = field.prediction if field.truth is None else field.truth
        for index, name in enumerate(classes):
            inside = labels == index
            components, n = ndimage.label(inside)
            depth = ndimage.distance_transform_edt(inside) if not inside.all() else inside * np.inf
            areas = np.bincount(components.ravel(), minlength=n + 1)[1:]
            deepest = ndimage.maximum(depth, components, range(1, n + 1)) if n else []
            for area, most in zip(areas, deepest, strict=True):
                if area >= LEAST_PX and np.isfinite(most):
                    sizes[name].append((2 * most - 1, 2 * np.sqrt(area / np.pi)))
    return {
        name: {
            "n_regions": len(found),
            "thickness_px": float(np.median([t for t, _ in found])) if found else None,
            "diameter_px": float(np.median([d for _, d in found])) if found else None,
        }
        for name, found in sizes.items()
    }


def advise(
    r95_px: float, theoretical: int | None, tile: int, thickness: dict[str, float]
) -> list[str]:
    """Sentences on overlap and tile size.

    Parameters
    ----------
    r95_px : float
        Radius that holds 95 % of the gradient [px].
    theoretical : int or None
        Theoretical receptive field [px]; None if it is global.
    tile : int
        Tile size [px].
    thickness : dict of str to float
        Median thickness of the regions of each phase [px].
    """
    overlap = int(np.ceil(2 * r95_px / 16) * 16)
    lines = [
        f"tile with --overlap {overlap} or more: predictions then rest on {overlap // 2} px of "
        "context on every side, where 95 % of the influence comes from"
    ]
    if tile < 3 * overlap:
        lines.append(
            f"tiles of {tile} px lose a third or more to that overlap; --size {4 * overlap} would "
            "lose a quarter"
        )
    if theoretical is None:
        lines.append("the network sees the whole tile (global operations): keep --size as trained")
    for name, size in thickness.items():
        if 2 * r95_px < size:
            lines.append(
                f"{name}: the network sees {2 * r95_px:.0f} px at a time and half of the regions "
                f"are thicker than {size:.0f} px, so their interior is decided without a boundary "
                "in view; a smaller --scale or a deeper network would show more"
            )
    return lines


def _centre(region: np.ndarray, near_boundary: bool, rng: np.random.Generator) -> tuple[int, int]:
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    limit = np.median(depth[region])
    wanted = region & ((depth <= limit) if near_boundary else (depth >= limit))
    row, col = np.unravel_index(rng.choice(np.flatnonzero(wanted)), region.shape)
    return int(row), int(col)
