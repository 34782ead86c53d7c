"""Maps of whole fields: arrays and pictures."""

from typing import Any

import numpy as np
from scipy import ndimage

from mstool.explanations.controls import control_maps
from mstool.io.atomic import atomic_path
from mstool.nn.attribution import Attribution, attribute
from mstool.pictures.attribution import Panel, draw_attribution
from mstool.pictures.save import save_figure
from mstool.pipeline.explain.fields import Field
from mstool.pipeline.explain.study import Study


def write_maps(study: Study) -> list[dict[str, Any]]:
    """Explain every field; give what the record says of each."""
    rows = []
    with study.report.progress("maps", len(study.fields)) as advance:
        for number, field in enumerate(study.fields):
            if study.is_late and rows:
                study.left_out.append(f"maps of {len(study.fields) - number} images")
                break
            rows.append(_write_field(study, field, number))
            advance(1, field.name)
    return rows


def _write_field(study: Study, field: Field, number: int) -> dict[str, Any]:
    subject = study.ask(field.image, field.region)
    found = attribute(subject, study.methods)
    stem = field.name.rpartition(".")[0] or field.name
    arrays = study.out / "maps" / f"{stem}_{study.settings.class_name}.npz"
    arrays.parent.mkdir(exist_ok=True)
    _write_arrays(arrays, field, found)
    pictures = _draw(study, field, found, stem, number)
    inside = field.probabilities[study.class_index][field.region]
    return {
        "image": field.name,
        "window": [field.window.row, field.window.col, field.window.height, field.window.width],
        "region_px": int(field.region.sum()),
        "thickness_px": median_thickness(field.region),
        "mean_probability": float(inside.mean()),
        "arrays": arrays.relative_to(study.out).as_posix(),
        "pictures": pictures,
        "methods": {
            label: {
                "completeness_error": attribution.completeness_error,
                "n_steps": attribution.n_steps,
                "native_shape": list(attribution.native.shape),
                "is_zero": not np.any(attribution.values),
            }
            for label, attribution in found.items()
        },
    }


def median_thickness(region: np.ndarray) -> float:
    """Twice the largest distance to the edge, median over components [px]."""
    components, n = ndimage.label(region)
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    return float(np.median(2 * ndimage.maximum(depth, components, range(1, n + 1)) - 1))


def _write_arrays(path, field: Field, found: dict[str, Attribution]) -> None:
    """Raw maps at full and at native resolution, and the region."""
    arrays = {label: attribution.values for label, attribution in found.items()}
    natives = {
        f"{label} native": attribution.native
        for label, attribution in found.items()
        if attribution.native.shape != attribution.values.shape
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, region=field.region, **arrays, **natives)


def _draw(
    study: Study, field: Field, found: dict[str, Attribution], stem: str, number: int
) -> list[str]:
    """One overlay a method, each beside the controls."""
    rng = np.random.default_rng([study.settings.seed, number])
    controls = [
        Panel(f"control: {name}", values, False)
        for name, values in control_maps(field.image, field.region, rng).items()
    ]
    names = []
    for method in study.methods:
        panels = [Panel(method.label, found[method.label].values, method.is_signed), *controls]
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in method.label)
        path = study.out / "overlays" / f"{stem}_{study.settings.class_name}_{safe}.png"
        path.parent.mkdir(exist_ok=True)
        figure = draw_attribution(
            field.image,
            panels,
            field.region,
            f"{field.name}: why {study.settings.class_name}?",
            field.pixel_size_um,
            stamp=study.settings.stamp,
        )
        save_figure(path, figure)
        names.append(path.relative_to(study.out).as_posix())
    return names
