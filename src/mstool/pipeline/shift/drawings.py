"""Pictures of a comparison, each with its numbers beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mstool.labels.legend import legend_from_toml, palette
from mstool.nn.checkpoint import LoadedModel
from mstool.pictures.distributions import draw_embedding, draw_histograms, draw_spectra
from mstool.pictures.repairs import draw_examples, draw_mitigation
from mstool.pictures.robustness import draw_estimates, draw_robustness
from mstool.pictures.save import save_figure
from mstool.pipeline.shift.mitigate import Repair, own_statistics, repair_stored
from mstool.pipeline.shift.network import Network
from mstool.pipeline.shift.sets import MicrographSet, to_unit
from mstool.pipeline.shift.tables import write_table
from mstool.shift.appearance import Appearance
from mstool.shift.sharpness import FREQUENCY

_N_EXAMPLES, _EXAMPLE_PX = 2, 384


def draw_statistics(
    out: Path,
    source: MicrographSet,
    looks: tuple[Sequence[Appearance], Sequence[Appearance]],
    names: Sequence[str],
    vectors: np.ndarray,
    space: str,
    levels: tuple[float, float],
) -> None:
    """Draw histograms, spectra and the embedding.

    Parameters
    ----------
    out : Path
        Folder.
    source : MicrographSet
        For the pixel size.
    looks : tuple of sequence of Appearance
        Of source and target.
    names : sequence of str
        Of all micrographs, source first.
    vectors : ndarray of float, shape (N, D)
        Standardised features of all micrographs.
    space : str
        What the features are, in words.
    levels : tuple of float
        Stored values of black and white.
    """
    histograms = [np.stack([one.histogram for one in side]) for side in looks]
    save_figure(out / "histograms.png", draw_histograms(*histograms, "Grey levels", *levels))
    centres = levels[0] + (np.arange(256) + 0.5) / 256 * (levels[1] - levels[0])
    means = [rows.mean(axis=0) for rows in histograms]
    write_table(
        out / "histograms.csv",
        ("grey_level", "source", "target"),
        zip(centres, *means, strict=True),
    )
    powers = [np.stack([one.log_power for one in side]) for side in looks]
    figure = draw_spectra(FREQUENCY, *powers, "Power spectra", source.pixel_size_um)
    save_figure(out / "spectra.png", figure)
    write_table(
        out / "spectra.csv",
        ("cycles_per_px", "source_log_power", "target_log_power"),
        zip(FREQUENCY, *(rows.mean(axis=0) for rows in powers), strict=True),
    )
    points, explained = _principal(vectors)
    n_source = len(looks[0])
    title = f"Micrographs by {space}"
    save_figure(out / "embedding.png", draw_embedding(points, n_source, explained, title))
    sides = ["source"] * n_source + ["target"] * (len(points) - n_source)
    write_table(
        out / "embedding.csv",
        ("image", "set", "first", "second"),
        ((name, side, *row) for name, side, row in zip(names, sides, points, strict=True)),
    )


def draw_simulations(out: Path, part: dict[str, Any], tolerance: float) -> None:
    """Draw dose-response curves."""
    title = f"What simulated changes of {part['n_pieces']} source micrographs cost"
    figure = draw_robustness(part["families"], part["undosed"], tolerance, title)
    save_figure(out / "robustness.png", figure)
    write_table(
        out / "robustness.csv",
        ("family", "dose", "mean_iou", "low", "high"),
        (
            (family, row["dose"], row["mean_iou"], *row["interval"])
            for family, found in part["families"].items()
            for row in found["curve"]
        ),
    )


def draw_estimate(out: Path, part: dict[str, Any]) -> None:
    """Draw how good estimates are on kinds of change that they have not seen."""
    figure = draw_estimates(part["calibration"], part["mean_iou"], "Mean IoU without labels")
    save_figure(out / "estimates.png", figure)
    write_table(
        out / "estimates.csv",
        ("family", "dose", "estimated", "true"),
        ((r["family"], r["dose"], r["estimated"], r["true"]) for r in part["calibration"]),
    )


def draw_repairs(out: Path, part: dict[str, Any], source_score: float | None) -> None:
    """Draw how repairs compare."""
    figure = draw_mitigation(part["repairs"], part["chosen"], source_score, "Repairs of the target")
    save_figure(out / "mitigation.png", figure)
    write_table(
        out / "mitigation.csv",
        ("repair", "self_consistency", "mean_iou", "low", "high"),
        (
            (r["name"], r["self_consistency"], r["mean_iou"], *(r["interval"] or (None, None)))
            for r in part["repairs"]
        ),
    )


def draw_cases(
    out: Path,
    source: MicrographSet,
    target: MicrographSet,
    levels: tuple[float, float],
    network: Network | None,
    repair: Repair | None,
    model: LoadedModel | None,
) -> None:
    """Draw a micrograph of either set and what a repair makes of it, with predictions."""
    rows = []
    for number in range(min(_N_EXAMPLES, len(source.samples), len(target.samples))):
        ours, theirs = source.samples[number], target.samples[number]
        row = [
            _panel(f"source: {ours.name}", ours.fields[0], levels, network),
            _panel(f"target: {theirs.name}", theirs.fields[0], levels, network),
        ]
        if repair is not None and network is not None:
            own = own_statistics(theirs, levels)
            stored = repair_stored(repair, _middle(theirs.fields[0]), own, levels, target.dtype)
            fitted = network.with_segmenter(repair.segmenter)
            row.append(_panel(f"repaired ({repair.name})", stored, levels, fitted))
        rows.append(row)
    classes, colours = (), np.zeros((256, 3), np.uint8)
    if model is not None and network is not None:
        legend = legend_from_toml(model.checkpoint.legend)
        classes, colours = model.checkpoint.classes, palette(legend)
    title = "Source and target" if network is None else "Source and target; colours: prediction"
    figure = draw_examples(rows, classes, colours, title, source.pixel_size_um)
    save_figure(out / "examples.png", figure)


def _panel(name, field, levels, network):
    stored = _middle(field)
    labels = None
    if network is not None:
        labels = network.probabilities(stored).argmax(axis=0).astype(np.uint8)
    return name, to_unit(stored, levels), labels


def _middle(field: np.ndarray) -> np.ndarray:
    cut = tuple(
        slice(max(0, n - _EXAMPLE_PX) // 2, max(0, n - _EXAMPLE_PX) // 2 + _EXAMPLE_PX)
        for n in field.shape[:2]
    )
    return field[cut]


def _principal(vectors: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """First two principal components, signs fixed, and the share of variance of each."""
    centred = vectors - vectors.mean(axis=0)
    left, size, right = np.linalg.svd(centred, full_matrices=False)
    n = min(2, len(size))
    turn = np.sign(right[np.arange(n), np.abs(right[:n]).argmax(axis=1)])
    points = np.zeros((len(vectors), 2))
    points[:, :n] = left[:, :n] * size[:n] * turn
    total = max(float((size**2).sum()), 1e-12)
    return points, [float(size[k] ** 2 / total) if k < n else 0.0 for k in range(2)]
