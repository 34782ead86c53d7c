"""Maps of whole fields: arrays and pictures."""

from dataclasses import dataclass

import numpy as np

from mstool.explanations.controls import control_maps
from mstool.explanations.sizes import median_thickness
from mstool.nn.attribution import Attribution, Effort, Method, attribute
from mstool.pictures.map_panels import Panel, draw_attribution
from mstool.pipeline.explain.question import Question, file_word


@dataclass(frozen=True)
class MapFacts:
    """What is known of one map.

    Completeness and steps are those of integrated gradients; the error is NaN for other methods,
    and where image and baseline give the same target.
    """

    completeness_error: float  # share of the difference to the baseline that is missed [1]
    n_steps: int | None
    native_shape: tuple[int, ...]  # as the method gives it [px]
    stride_px: float  # pixels of the field that one of these stands for, along an axis
    is_zero: bool  # everywhere


@dataclass(frozen=True)
class FieldMaps:
    """Maps of one field of view; files are named relative to the record."""

    image: str  # name of the field
    window: tuple[int, int, int, int]  # row, column, height and width in the scaled micrograph
    region_px: int  # pixels asked about
    thickness_px: float  # their median thickness; NaN where they have no edge
    mean_probability: float  # of the class on them [1]
    arrays: str
    pictures: tuple[str, ...]  # one a method
    methods: dict[str, MapFacts]
    left_out: tuple[str, ...] = ()


def write_maps(question: Question, number: int) -> FieldMaps:
    """Explain one field of view."""
    field = question.fields[number]
    effort = Effort(fits=question.budget.fits)
    found = attribute(question.ask(field.image, field.region), question.methods, effort)
    stem = f"{field.stem}_{file_word(question.settings.class_name)}"
    arrays = f"maps/{stem}.npz"
    question.write_arrays(arrays, {"region": field.region, **_all_arrays(found)})
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
        arrays,
        tuple(pictures.values()),
        {label: _describe(attribution) for label, attribution in found.items()},
        tuple(
            f"steps of {label} in {field.name}"
            for label, attribution in found.items()
            if _is_cut(attribution, effort)
        ),
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
    stride = facts.stride_px
    if stride > field.thickness_px:
        lines.append(
            f"{field.image}: {label} has a network stride of {stride:.0f} px and cannot place "
            f"anything in regions {field.thickness_px:.0f} px thick"
        )
    return lines


def _is_cut(attribution: Attribution, effort: Effort) -> bool:
    """Whether integrated gradients could have had more steps, and needed them."""
    error, steps = attribution.completeness_error, attribution.n_steps
    return steps is not None and error > effort.tolerance and 2 * steps <= effort.most_steps


def _describe(attribution: Attribution) -> MapFacts:
    error = attribution.completeness_error
    return MapFacts(
        float("nan") if error is None else error,
        attribution.n_steps,
        attribution.native.shape,
        attribution.stride,
        not np.any(attribution.values),
    )


def _all_arrays(found: dict[str, Attribution]) -> dict[str, np.ndarray]:
    """Raw maps at full and, where it is another, at native resolution."""
    values = {label: attribution.values for label, attribution in found.items()}
    natives = {
        f"{label} native": attribution.native
        for label, attribution in found.items()
        if attribution.native.shape != attribution.values.shape
    }
    return values | natives


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
