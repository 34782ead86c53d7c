"""Ranges for training that cover the measured shift, and micrographs worth annotating."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mstool.errors import OutputExistsError
from mstool.io.atomic import write_text
from mstool.nn.augment import PRESETS, Augmentation, augmentation_to_toml
from mstool.nn.refit import fine_tune
from mstool.pipeline.shift.factors import Factors, factors_of
from mstool.pipeline.shift.network import Network, SetReadings
from mstool.pipeline.shift.sets import to_stored
from mstool.pipeline.shift.simulate import Piece, read_pieces
from mstool.reporting import Reporter
from mstool.shift.appearance import Appearance
from mstool.shift.choice import spread_picks
from mstool.shift.distances import standardise
from mstool.shift.readings import add_readings
from mstool.shift.sharpness import fit_named_spectrum
from mstool.shift.transfer import quantiles

_WIDER = 0.1  # by which ranges exceed what was measured
_SLIGHT = 0.1  # standard deviations: a change of brightness that is none
_EXPONENTS = np.exp(np.linspace(-np.log(6), np.log(6), 121))
_ANNOTATED = (1, 2, 4)
_N_STEPS = 60


def derive_augmentation(
    factors: Factors,
    source: Sequence[Appearance],
    target: Sequence[Appearance],
    std: float,
    levels: tuple[float, float],
) -> Augmentation:
    """Ranges that reach from no change to what single target micrographs show.

    Parameters
    ----------
    factors : Factors
        What moved between the sets.
    source, target : sequence of Appearance
        Of each micrograph.
    std : float
        Standard deviation of the training set, of the grey range: the unit of brightness and noise
        in augmentation [1].
    levels : tuple of float
        Black and white of the training set, of the grey range, between which augmentation applies
        gamma [1].

    Returns
    -------
    Augmentation
        Geometry as in the preset ``spatial``; a factor that did not move stays at none.
    """
    greys = _grey_ranges(factors, source, target, std, levels)
    powers = np.stack([one.log_power for one in source])
    names = [
        name
        for name in ("blur", "noise")  # where nothing explains the spectra these come nearest
        if name in factors.spectrum.moved or not factors.spectrum.is_explained
    ]
    blur, noise = (0.0, 0.0), (0.0, 0.0)
    if names:
        fits = [fit_named_spectrum(names, powers, one.log_power[None]) for one in target]
        blur = _from_zero([fit.blur_px for fit in fits])
        noise = _from_zero([fit.noise / std for fit in fits])
    zoom = PRESETS["spatial"].zoom
    if "magnification" in factors.moved:
        zoom = _hull([factors.spectrum.magnification, *zoom], is_factor=True)
    spatial = vars(PRESETS["spatial"]) | {"zoom": zoom}
    return Augmentation(**spatial | greys | {"blur_px": blur, "noise": noise})


def check_free(path: Path | None, overwrite: bool, record: Path) -> None:
    """Refuse a place for ranges that is taken, before the work that makes them.

    Where the work is done already, `write_augmentation` tells whether the file says the same.

    Raises
    ------
    OutputExistsError
        If there is a folder, or a file and no record yet.
    """
    if path is None:
        return
    if path.is_dir():
        raise OutputExistsError(f"{path}: is a folder; name a file for --derive-augmentation")
    if path.exists() and not overwrite and not record.exists():
        raise OutputExistsError(f"{path}: exists; name another file, or give --overwrite")


def write_augmentation(record: dict[str, Any], path: Path, overwrite: bool) -> None:
    """Write the ranges of a record for ``train --augment``, with what they were derived from.

    Raises
    ------
    OutputExistsError
        If another file is there.
    """
    text = _describe_ranges(record)
    if path.exists() and not overwrite and not _holds(path, text):
        raise OutputExistsError(
            f"{path}: exists and says something else; name another file, or give --overwrite"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _describe_ranges(record: dict[str, Any]) -> str:
    factors = factors_of(record["fit"])
    moved = ", ".join(factors.moved) or "nothing"
    head = (
        f"# derived from {record['n']['target']} target micrographs; moved: {moved}\n"
        "# look at it: mstool train TILES --augment THIS --preview FOLDER\n"
    )
    lacking = []
    if factors.spectrum.blur_px < 0:
        lacking.append("sharper")
    if factors.spectrum.noise < 0:
        lacking.append("less noisy")
    if lacking:
        head += (
            f"# the target is {' and '.join(lacking)}, which no augmentation makes of the source\n"
        )
    ranges = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record["augmentation"].items()
    }
    return head + augmentation_to_toml(Augmentation(**ranges))


def advise(
    names: Sequence[str],
    source: SetReadings,
    target: SetReadings,
    n: int,
) -> list[dict[str, Any]]:
    """Target micrographs to annotate next: uncertain, unlike the source and each other."""
    both = standardise(np.concatenate([source.features, target.features]))
    ours, theirs = both[: len(source.features)], both[len(source.features) :]
    doubt = [1 - reading.self_consistency for reading in target.readings]
    picks = spread_picks(doubt, theirs, ours, n)
    nearest = np.linalg.norm(theirs[:, None] - ours[None], axis=2).min(axis=1)
    return [
        {"image": names[pick], "uncertainty": doubt[pick], "distance": nearest[pick]}
        for pick in picks
    ]


def expect_gain(
    network: Network,
    pieces: Sequence[Piece],
    change: Callable[[Piece], Piece],
    dtype: str,
    seed: int,
    report: Reporter,
) -> dict[str, Any] | None:
    """Score after annotating 1, 2 and 4 micrographs, on source pieces changed as the target is.

    Parameters
    ----------
    network : Network
        At work.
    pieces : sequence of Piece
        With truth, of one size.
    change : callable
        Takes a piece and gives it as the target would show it.
    dtype : str
        Of stored values.
    seed : int
        Of batches.
    report : Reporter
        Progress.

    Returns
    -------
    dict or None
        ``before`` and ``after`` {number: mean IoU}; None with fewer than 4 specimens of one size.
    """
    same = [piece for piece in pieces if piece.image.shape == pieces[0].image.shape]
    groups = list(dict.fromkeys(piece.group for piece in same))
    if len(groups) < 4:
        return None
    for_training = set(groups[: len(groups) // 2])  # no specimen is on both sides
    changed = [change(p) for p in sorted(same, key=lambda p: p.group not in for_training)]
    n_training = sum(piece.group in for_training for piece in changed)
    images = torch.stack(
        [network.place(to_stored(one.image, network.levels, dtype)) for one in changed]
    )
    labels = torch.from_numpy(np.stack([one.labels for one in changed]).astype(np.int64))
    labels = labels.to(images.device)
    held = changed[n_training:]
    numbers = [k for k in _ANNOTATED if k <= n_training]
    after = {}
    with report.progress("what annotation would bring", len(numbers) * _N_STEPS) as advance:
        for k in numbers:
            fitted = fine_tune(
                network.segmenter, images[:k], labels[:k], seed, n_steps=_N_STEPS, on_step=advance
            )
            readings = read_pieces(network.with_segmenter(fitted), held, lambda one: one, dtype)
            after[str(k)] = add_readings(readings).mean_iou
    before = read_pieces(network, held, lambda one: one, dtype)
    return {"before": add_readings(before).mean_iou, "after": after}


def _grey_ranges(factors, source, target, std, levels) -> dict[str, Any]:
    """Gamma, contrast and brightness of each target micrograph against the pooled source."""
    moved = {"gamma", "gain", "offset"} & set(factors.transfer.moved)
    if not moved:
        return {}
    greys = quantiles(np.mean([one.histogram for one in source], axis=0))
    exponents = _EXPONENTS if "gamma" in moved else np.ones(1)
    rows = [_imitate(greys, quantiles(one.histogram), exponents, std, levels) for one in target]
    gamma, contrast, brightness = np.array(rows).T
    low, high = _hull(brightness, is_factor=False)
    found = {
        "gamma": _hull(gamma, is_factor=True),
        "contrast": _hull(contrast, is_factor=True),
        "brightness": max(abs(low), abs(high)),
    }
    if moved == {"gamma"} and found["brightness"] < _SLIGHT:  # gamma says it all
        return {"gamma": found["gamma"]}
    return found


def _imitate(greys, wanted, exponents, std, levels) -> tuple[float, float, float]:
    """Gamma, contrast and brightness of training that make one set of quantiles of another."""
    black, white = levels
    inner = np.clip((greys - black) / (white - black), 0, 1)
    curves = [
        (gamma, greys if gamma == 1 else black + (white - black) * inner**gamma)
        for gamma in exponents
    ]
    gamma, curve = min(curves, key=lambda pair: np.abs(pair[1] - wanted).mean())
    spread = max(float(curve.std()), 1e-6)
    return float(gamma), wanted.std() / spread, (wanted.mean() - curve.mean()) / std


def _hull(values, *, is_factor: bool) -> tuple[float, float]:
    """From no change to the 5 and 95 percentiles, widened by a tenth."""
    scaled = np.log(values) if is_factor else np.asarray(values)
    low, high = np.percentile(scaled, [5, 95])
    low, high = (1 + _WIDER) * min(0.0, low), (1 + _WIDER) * max(0.0, high)
    ends = (np.exp(low), np.exp(high)) if is_factor else (low, high)
    return round(float(ends[0]), 3), round(float(ends[1]), 3)


def _from_zero(values) -> tuple[float, float]:
    return 0.0, max(0.0, _hull(values, is_factor=False)[1])
