"""Micrographs of the source under growing doses of change, and what each dose costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mstool.io.masks import write_indexed_png
from mstool.pipeline.shift.network import Network
from mstool.pipeline.shift.sets import MicrographSet, to_stored, to_unit, write_image
from mstool.reporting import Reporter
from mstool.scores.statistics import mean_iou_with_interval
from mstool.shift.doses import FAMILIES, apply_dose, breaking_dose
from mstool.shift.estimates import Case, accuracy_of, estimate_accuracies, signs_of
from mstool.shift.readings import Reading, add_readings

CROP_PX = 256
_IGNORED = 255


@dataclass(frozen=True)
class Piece:
    """A part of a micrograph of the source that is changed.

    Attributes
    ----------
    name, group : str
        Of the micrograph.
    image : ndarray of float32, shape (h, w, C)
        Grey levels from 0 to 1.
    labels : ndarray of uint8, shape (h, w)
        Truth, or the prediction on the unchanged piece.
    """

    name: str
    group: str
    image: np.ndarray
    labels: np.ndarray


def cut_pieces(
    source: MicrographSet,
    chosen: Sequence[int],
    levels: tuple[float, float],
    network: Network | None,
    has_truth: bool,
    edge: int = CROP_PX,
) -> list[Piece]:
    """Cut the middle of the first field of some micrographs.

    Parameters
    ----------
    source : MicrographSet
        The source.
    chosen : sequence of int
        Numbers of the micrographs.
    levels : tuple of float
        Stored values of black and white.
    network : Network or None
        Predicts labels where there is no truth; None leaves one phase.
    has_truth : bool
        Whether truth is used; a piece without a labelled pixel is left out.
    edge : int
        Of a piece, at most [px].

    Returns
    -------
    list of Piece
        One of each micrograph.
    """
    pieces = []
    for number in chosen:
        sample = source.samples[number]
        field, truth = sample.fields[0], sample.truths[0]
        cut = tuple(
            slice((n - min(n, edge)) // 2, (n - min(n, edge)) // 2 + edge) for n in field.shape[:2]
        )
        image = field[cut]
        if has_truth and truth is not None:
            labels = truth[cut]
            if (labels == _IGNORED).all():
                continue
        elif network is not None:
            labels = network.probabilities(image).argmax(axis=0).astype(np.uint8)
        else:
            labels = np.zeros(image.shape[:2], np.uint8)
        pieces.append(Piece(sample.name, sample.group, to_unit(image, levels), labels))
    return pieces


def read_pieces(
    network: Network, pieces: Sequence[Piece], change: Callable[[Piece], Piece], dtype: str
) -> list[Reading]:
    """Reading of each piece after a change."""
    found = []
    for piece in pieces:
        changed = change(piece)
        image = to_stored(changed.image, network.levels, dtype)
        found.append(network.read(image, changed.labels)[0])
    return found


def dosed(piece: Piece, family: str, dose: float, seed: int) -> Piece:
    """Piece under a dose; random parts belong to the micrograph and grow with the dose."""
    stream = seed + sum(piece.name.encode())
    changed = apply_dose(family, dose, piece.image, piece.labels, stream)
    return Piece(piece.name, piece.group, *changed)


def measure_robustness(
    network: Network,
    pieces: Sequence[Piece],
    doses: dict[str, tuple[float, ...]],
    dtype: str,
    tolerance: float,
    seed: int,
    is_late: Callable[[], bool],
    report: Reporter,
) -> dict[str, Any]:
    """Score of the network at every dose of every family.

    Returns
    -------
    dict
        Under ``families`` the curves with their breaking doses, under ``cases`` what estimates are
        calibrated on, under ``undosed`` the score on unchanged pieces, under ``left_out`` families
        that there was no time for.
    """
    base = read_pieces(network, pieces, lambda piece: piece, dtype)
    pooled = add_readings(base)
    nominal = pooled.mean_iou
    families: dict[str, Any] = {}
    cases, left_out = [_case("none", 0.0, pooled, pooled)], []
    groups = [piece.group for piece in pieces]
    total = sum(len([dose for dose in row if dose != 0]) for row in doses.values())
    with report.progress("simulated doses", total) as advance:
        for family, row in doses.items():
            if is_late():
                left_out.append(f"simulated {family}")
                continue
            curve = []
            for dose in sorted({0.0, *row}):
                readings = base
                if dose != 0:
                    readings = read_pieces(
                        network, pieces, lambda p, d=dose, f=family: dosed(p, f, d, seed), dtype
                    )
                    advance(1)
                confusions = [r.confusion for r in readings]
                score, interval = mean_iou_with_interval(confusions, seed, groups)
                curve.append({"dose": dose, "mean_iou": score, "interval": interval})
                if dose != 0:
                    cases.append(_case(family, dose, add_readings(readings), pooled))
            families[family] = _curve(family, curve, nominal, tolerance)
    return {
        "n_pieces": len(pieces),
        "undosed": nominal,
        "families": families,
        "cases": [vars(case) for case in cases if np.isfinite(case.mean_iou)],
        "left_out": left_out,
    }


def cases_of(part: dict[str, Any]) -> list[Case]:
    """Cases from the record of `measure_robustness`."""
    return [Case(**row | {"signs": tuple(row["signs"])}) for row in part["cases"]]


def write_simulated(
    folder: Path,
    pieces: Sequence[Piece],
    doses: dict[str, tuple[float, ...]],
    levels: tuple[float, float],
    dtype: str,
    pixel_size_um: float | None,
    colours: np.ndarray | None,
    seed: int,
) -> None:
    """Write every piece under every dose, and where `colours` are given its labels.

    Files are ``FAMILY/DOSE/images/NAME.tif`` and ``FAMILY/DOSE/labels/NAME.png``.
    """
    for family, row in doses.items():
        for dose in row:
            for piece in pieces:
                changed = dosed(piece, family, dose, seed)
                place = folder / family / f"{dose:g}"
                stem = Path(piece.name).stem
                path = place / "images" / f"{stem}.tif"
                write_image(path, changed.image, levels, dtype, pixel_size_um)
                if colours is not None:
                    (place / "labels").mkdir(exist_ok=True)
                    label_path = place / "labels" / f"{stem}.png"
                    write_indexed_png(label_path, changed.labels, colours)


def _case(family: str, dose: float, reading: Reading, undosed: Reading) -> Case:
    return Case(
        family,
        dose,
        signs_of(reading, undosed),
        reading.mean_iou,
        accuracy_of(reading),
        estimate_accuracies(undosed, reading),
    )


def _curve(family, curve, nominal, tolerance) -> dict[str, Any]:
    sides = {}
    for side, sign in (("down", -1), ("up", 1)):
        rows = [row for row in curve if row["dose"] * sign >= 0]
        rows.sort(key=lambda row: abs(row["dose"]))
        if len(rows) > 1:
            doses = [row["dose"] for row in rows]
            drops = [nominal - row["mean_iou"] for row in rows]
            sides[side] = breaking_dose(doses, drops, tolerance)
    return {"unit": FAMILIES[family].unit, "curve": curve, "breaking_dose": sides}
