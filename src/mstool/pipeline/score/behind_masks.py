"""Whether the probabilities behind masks are frequencies, and what leaving out the unsure buys."""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import InputError
from mstool.geometry.window import Window
from mstool.io.records import is_input
from mstool.io.tiles import PREDICT_RECORD
from mstool.labels.legend import Legend
from mstool.micrographs.label_maps import LabelMap, open_label_map
from mstool.pictures.save import save_figure
from mstool.pipeline.score.counts import check_same_size
from mstool.pipeline.score.entries import by_class
from mstool.pipeline.score.inputs import MaskSet, Pair
from mstool.pipeline.stitched import ProbabilityFolder, open_probabilities
from mstool.reporting import Reporter
from mstool.scores import calibration
from mstool.scores.calibration import ConfidenceCounts
from mstool.scores.frame_border import leave_out_border

_THRESHOLDS = (0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)  # of the record
_LEAST_RANKED = 3  # micrographs, below which a rank correlation says nothing


def open_behind(probs: Path, mask_set: MaskSet) -> ProbabilityFolder:
    """Open the probabilities that masks were stitched from.

    Raises
    ------
    InputError
        If they are others.
    MissingInputError
        As `open_probabilities`.
    """
    folder = open_probabilities(probs)
    stitching = mask_set.stitching
    if stitching is None or not is_input(probs / PREDICT_RECORD, stitching.predict_sha256):
        raise InputError(
            f"{probs}: {mask_set.folder} was not stitched from these probabilities; stitch them, "
            "and score those masks"
        )
    return folder


def count_behind(
    pairs: Sequence[Pair],
    mask_set: MaskSet,
    folder: ProbabilityFolder,
    label_legend: Legend,
    ignore_border: int,
    report: Reporter,
) -> list[ConfidenceCounts]:
    """Compare the probabilities of each micrograph, stitched, with its label map.

    Raises
    ------
    InputError
        If a label map has another size.
    """
    found = []
    with report.progress("calibration", len(pairs)) as advance:
        for pair in pairs:
            bands = folder.bands(pair.name, mask_set.stitching.blend)
            truth = open_label_map(pair.labels, label_legend)
            check_same_size(pair.mask, folder.sources[pair.name].shape, truth)
            found.append(_count(bands, truth, ignore_border))
            advance(1, pair.name)
    return found


def describe_calibration(
    pairs: Sequence[Pair], counts: Sequence[ConfidenceCounts], names: Sequence[str]
) -> dict[str, Any]:
    """Entry of the record: errors of all micrographs, and how well doubt ranks them."""
    pooled = reduce(add, counts)
    squares = calibration.brier_scores(pooled)
    errors = calibration.class_calibration_errors(pooled)
    return {
        "n_pixels": pooled.n_pixels,
        "ece": calibration.calibration_error(pooled),
        "brier": float(squares.sum()),
        "class_ece": by_class(errors, names),
        "class_brier": by_class(squares, names),
        "bins": _describe_bins(pooled),
        "coverage": _describe_coverage(pooled),
        "per_image": [_describe_image(p, c) for p, c in zip(pairs, counts, strict=True)],
        "rank_correlation": _rank_correlation(counts),
    }


def write_reliability(path: Path, counts: Sequence[ConfidenceCounts], legend: Legend) -> None:
    """Draw reliability and coverage of all micrographs into a PNG."""
    from mstool.pictures.reliability import draw_reliability  # 0.3 s that few scores need

    pooled, title = reduce(add, counts), f"probabilities of {len(counts)} micrographs"
    rows = zip(legend.classes, *calibration.class_reliability(pooled), strict=True)
    figure = draw_reliability(
        title,
        calibration.reliability(pooled),
        {phase.name: (np.array(phase.colour) / 255, bins) for phase, *bins in rows},
        calibration.calibration_error(pooled),
        vars(calibration.coverage_curve(pooled)),
    )
    save_figure(path, figure)


def _count(bands: Iterable[np.ndarray], truth: LabelMap, ignore_border: int) -> ConfidenceCounts:
    counts, row = [], 0
    for band in bands:
        window = Window(row, 0, *band.shape[1:])
        labels = leave_out_border(truth.read(window), row, truth.shape[0], ignore_border)
        counts.append(calibration.count_confidence(band, labels))
        row += window.height
    return reduce(add, counts)


def _describe_bins(counts: ConfidenceCounts) -> list[dict[str, Any]]:
    edges = np.linspace(0, 1, calibration.N_BINS + 1).round(4)
    rows = zip(edges, edges[1:], *calibration.reliability(counts), strict=False)
    keys = ("from", "to", "n_pixels", "confidence", "accuracy")
    return [dict(zip(keys, (value.item() for value in row), strict=True)) for row in rows]


def _describe_coverage(counts: ConfidenceCounts) -> list[dict[str, float]]:
    curve = vars(calibration.coverage_curve(counts))
    places = np.searchsorted(curve["threshold"], _THRESHOLDS)
    return [{key: float(values[place]) for key, values in curve.items()} for place in places]


def _describe_image(pair: Pair, counts: ConfidenceCounts) -> dict[str, Any]:
    return {
        "image": pair.name,
        "ece": calibration.calibration_error(counts),
        "expected_error": _expected_error(counts),
        "error": _error(counts),
    }


def _rank_correlation(counts: Sequence[ConfidenceCounts]) -> float:
    """Spearman's, of expected and true error over micrographs; NaN where it says nothing."""
    from scipy.stats import spearmanr  # 0.5 s that scores without probabilities do not need

    pairs = np.array([(_expected_error(one), _error(one)) for one in counts])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < _LEAST_RANKED or (np.ptp(pairs, axis=0) == 0).any():
        return float("nan")
    return float(spearmanr(*pairs.T).statistic)


def _expected_error(counts: ConfidenceCounts) -> float:
    return 1 - counts.confidence.sum() / counts.n_pixels if counts.n_pixels else float("nan")


def _error(counts: ConfidenceCounts) -> float:
    hits = np.trace(counts.confusion, axis1=1, axis2=2).sum()
    return float(1 - hits / counts.n_pixels) if counts.n_pixels else float("nan")
