"""Maps of whole fields: arrays and pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstool.explanations.controls import control_maps
from mstool.explanations.field_of_view import Field
from mstool.explanations.sizes import median_thickness
from mstool.io.atomic import atomic_path
from mstool.nn.attribution import Attribution, Effort, Method, attribute
from mstool.pictures.map_panels import Panel, draw_attribution
from mstool.pipeline.explain.question import Question, file_word


@dataclass(frozen=True)
class MapFacts:
    """What is known of one map.

    Attributes
    ----------
    completeness_error : float
        Share of the difference to the baseline that integrated gradients miss [1]; NaN for other
        methods, and where image and baseline give the same target.
    n_steps : int or None
        Steps that they took.
    native_shape : tuple of int
        As the method gives it [px].
    is_zero : bool
        Whether it is zero everywhere.
    """

    completeness_error: float
    n_steps: int | None
    native_shape: tuple[int, ...]
    is_zero: bool


@dataclass(frozen=True)
class FieldMaps:
    """Maps of one field of view.

    Attributes
    ----------
    image : str
        Name of the field.
    window : tuple of int
        Row, column, height and width in the scaled micrograph [px].
    region_px : int
        Pixels asked about.
    thickness_px : float
        Their median thickness [px]; NaN where they have no edge.
    mean_probability : float
        Of the class on them [1].
    arrays : str
        File with the maps, relative to the record.
    pictures : tuple of str
        Files, a method each.
    methods : dict of str to MapFacts
        By label.
    """

    image: str
    window: tuple[int, int, int, int]
    region_px: int
    thickness_px: float
    mean_probability: float
    arrays: str
    pictures: tuple[str, ...]
    methods: dict[str, MapFacts]


def write_maps(question: Question, number: int) -> FieldMaps:
    """Explain one field of view."""
    field = question.fields[number]
    found = attribute(question.ask(field.image, field.region), question.methods)
    stem = field.name.rpartition(".")[0] or field.name
    stem = f"{stem}_{file_word(question.settings.class_name)}"
    arrays = Path("maps") / f"{stem}.npz"
    (question.out / arrays).parent.mkdir(exist_ok=True)
    _write_arrays(question.out / arrays, field, found)
    pictures = {
        method: f"overlays/{stem}_{file_word(method.label)}.png" for method in question.methods
    }
    _draw(question, number, found, pictures)
    window = field.window
    return FieldMaps(
        field.name,
        (window.row, window.col, window.height, window.width),
        int(field.region.sum()),
        median_thickness(field.region),
        float(field.probabilities[question.class_index][field.region].mean()),
        arrays.as_posix(),
        tuple(pictures.values()),
        {label: _describe(attribution) for label, attribution in found.items()},
    )


def warn_of_map(field: FieldMaps, label: str) -> list[str]:
    """Sentences on a map that is incomplete, or coarser than what it is to show."""
    facts, lines = field.methods[label], []
    error = facts.completeness_error
    if error > Effort().tolerance:
        lines.append(
            f"{field.image}: {label} misses {error:.0%} of the difference to its baseline after "
            f"{facts.n_steps} steps; read it as a ranking of pixels at most"
        )
    stride = field.window[2] / facts.native_shape[0]
    if stride > field.thickness_px:
        lines.append(
            f"{field.image}: {label} has a network stride of {stride:.0f} px and cannot place "
            f"anything in regions {field.thickness_px:.0f} px thick"
        )
    return lines


def _describe(attribution: Attribution) -> MapFacts:
    error = attribution.completeness_error
    return MapFacts(
        float("nan") if error is None else error,
        attribution.n_steps,
        attribution.native.shape,
        not np.any(attribution.values),
    )


def _write_arrays(path: Path, field: Field, found: dict[str, Attribution]) -> None:
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
    question: Question, number: int, found: dict[str, Attribution], pictures: dict[Method, str]
) -> None:
    """One overlay a method, each beside the controls."""
    field = question.fields[number]
    controls = [
        Panel(f"control: {name}", values, False)
        for name, values in control_maps(field.image, field.region, question.rng(number)).items()
    ]
    title = f"{field.name}: why {question.settings.class_name}?"
    for method, name in pictures.items():
        own = Panel(method.label, found[method.label].values, method.is_signed)
        question.draw(
            name,
            draw_attribution(
                field.image, [own, *controls], field.region, title, field.pixel_size_um
            ),
        )
