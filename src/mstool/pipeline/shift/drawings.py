"""Pictures of a comparison, each with its numbers beside it."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure

from mstool.io.atomic import write_text
from mstool.io.tables import to_csv
from mstool.labels.legend import palette
from mstool.nn.scan import Network
from mstool.pictures.distributions import draw_embedding, draw_histograms, draw_spectra
from mstool.pictures.repairs import draw_examples, draw_mitigation
from mstool.pictures.robustness import draw_estimates, draw_robustness
from mstool.pictures.save import save_figure
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.mitigate import Repair
from mstool.shift.appearance import LEVELS
from mstool.shift.choice import NONE
from mstool.shift.cost import Estimates
from mstool.shift.distances import principal_components
from mstool.shift.dosing import Robustness
from mstool.shift.findings import Findings
from mstool.shift.grey_levels import cut_middle, to_unit
from mstool.shift.measures import describe_all, network_features
from mstool.shift.mitigation import Mitigation
from mstool.shift.sharpness import FREQUENCY

_TABLES = {
    "histograms": ("grey_level", "source", "target"),
    "spectra": ("cycles_per_px", "source_log_power", "target_log_power"),
    "embedding": ("image", "set", "first", "second"),
    "robustness": ("family", "dose", "mean_iou", "low", "high"),
    "estimates": ("family", "dose", "estimated", "true"),
    "mitigation": ("repair", "self_consistency", "mean_iou", "low", "high"),
}
FILES = (*(f"{name}.{kind}" for name in _TABLES for kind in ("png", "csv")), "examples.png")
_N_EXAMPLES, _EXAMPLE_PX = 2, 384


def draw_all(c: Comparison, found: Findings, repair: Repair | None) -> None:
    """Draw every part that there is, and micrographs with the repair that is taken."""
    _draw_greys(c)
    _draw_spectra(c)
    _draw_embedding(c)
    if found.robustness and found.robustness.families:
        _draw_doses(c, found.robustness)
    if found.estimate:
        _draw_estimate(c, found.estimates)
    if found.mitigation:
        score = found.performance.source and found.performance.source.mean_iou
        _draw_repairs(c, found.mitigation, score)
    _draw_examples(c, None if repair is None or repair.name == NONE else repair)


def _save(c: Comparison, name: str, figure: Figure, rows: Iterable[Sequence]) -> None:
    save_figure(c.out / f"{name}.png", figure)
    write_text(c.out / f"{name}.csv", to_csv(_TABLES[name], rows))


def _draw_greys(c: Comparison) -> None:
    black, white = c.levels
    histograms = [np.stack([one.histogram for one in side]) for side in c.looks]
    means = [rows.mean(axis=0) for rows in histograms]
    figure = draw_histograms(*histograms, "Grey levels", *c.levels)
    rows = zip(black + LEVELS * (white - black), *means, strict=True)
    _save(c, "histograms", figure, rows)


def _draw_spectra(c: Comparison) -> None:
    powers = [np.stack([one.log_power for one in side]) for side in c.looks]
    means = [rows.mean(axis=0) for rows in powers]
    figure = draw_spectra(FREQUENCY, *powers, "Power spectra", c.pixel_size_um)
    _save(c, "spectra", figure, zip(FREQUENCY, *means, strict=True))


def _draw_embedding(c: Comparison) -> None:
    vectors, space = describe_all([*c.looks[0], *c.looks[1]]), "image statistics"
    if c.readings is not None:
        vectors, space = network_features(c.readings), "features of the network"
    points, explained = principal_components(vectors)
    n_source = len(c.source.samples)
    figure = draw_embedding(points, n_source, explained, f"Micrographs by {space}")
    names = [(sample.name, one.name) for one in c.sets for sample in one.samples]
    _save(c, "embedding", figure, ((*who, *p) for who, p in zip(names, points, strict=True)))


def _draw_doses(c: Comparison, found: Robustness) -> None:
    title = f"What simulated changes of {found.n_pieces} source micrographs cost"
    figure = draw_robustness(found.families, found.undosed, c.settings.tolerance, title)
    rows = (
        (family, row.dose, row.mean_iou, *row.interval)
        for family, scores in found.families.items()
        for row in scores.curve
    )
    _save(c, "robustness", figure, rows)


def _draw_estimate(c: Comparison, found: Estimates) -> None:
    figure = draw_estimates(found.calibration, found.mean_iou, "Mean IoU without labels")
    _save(c, "estimates", figure, (tuple(vars(row).values()) for row in found.calibration))


def _draw_repairs(c: Comparison, found: Mitigation, source_score: float | None) -> None:
    title = "Repairs of the target"
    figure = draw_mitigation(found.repairs, found.chosen, source_score, title)
    rows = ((r.name, r.self_consistency, r.mean_iou, *r.interval) for r in found.repairs)
    _save(c, "mitigation", figure, rows)


def _draw_examples(c: Comparison, repair: Repair | None) -> None:
    """Draw a micrograph of either set and what a repair makes of it, with predictions."""
    rows = []
    for ours, theirs in list(zip(c.source.samples, c.target.samples, strict=False))[:_N_EXAMPLES]:
        new = theirs.fields[0]
        row = [
            _panel(c, f"source: {ours.name}", ours.fields[0], c.network),
            _panel(c, f"target: {theirs.name}", new, c.network),
        ]
        if repair is not None:
            repaired = repair.for_sample(theirs, c.target.dtype)(new)
            row.append(_panel(c, f"repaired ({repair.name})", repaired, repair.network))
        rows.append(row)
    title, colours = "Source and target", np.zeros((256, 3), np.uint8)
    if c.model is not None:
        title += "; colours: prediction"
        colours = palette(c.legend)
    figure = draw_examples(rows, c.classes, colours, title, c.source.pixel_size_um)
    save_figure(c.out / "examples.png", figure)


def _panel(
    c: Comparison, name: str, field: np.ndarray, network: Network | None
) -> tuple[str, np.ndarray, np.ndarray | None]:
    """Middle of a field, which is repaired and predicted as a whole, as it was before."""
    classes = None if network is None else cut_middle(network.classes(field), _EXAMPLE_PX)
    return name, to_unit(cut_middle(field, _EXAMPLE_PX), c.levels), classes
