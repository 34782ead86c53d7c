"""Whether micrographs are as bright as those that a network learns from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mstool.io.conversions import mean_and_std

FAR = 1.0  # standard deviations: as far apart as phases are


@dataclass(frozen=True)
class Brightness:
    """Mean and standard deviation of all pixels of a micrograph, in stored pixel values."""

    mean: float
    std: float


@dataclass(frozen=True)
class Gap:
    """How far a micrograph is from the nearest to learn from.

    Attributes
    ----------
    name : str
        Of the micrograph.
    mean, nearest : float
        Its mean, and the nearest of those to learn from, in stored pixel values.
    n_std : float
        Between them, in standard deviations of the pixels of a micrograph: the median of those
        to learn from. Infinity where these are flat.
    """

    name: str
    mean: float
    nearest: float
    n_std: float


def measure_brightness(images: Iterable[np.ndarray]) -> Brightness:
    """Brightness of a micrograph from its tiles, all pixels and channels alike."""
    return Brightness(*mean_and_std(images))


def find_widest_gap(
    shown: Mapping[str, Brightness], learnt: Mapping[str, Brightness]
) -> Gap | None:
    """Micrograph whose brightness is farthest from any to learn from.

    Parameters
    ----------
    shown, learnt : mapping of str to Brightness
        By name: those that are to be recognised, and those to learn from, at least one.

    Returns
    -------
    Gap or None
        None without any that are shown, and where all are as bright as one to learn from.
    """
    means = np.array([one.mean for one in learnt.values()])
    spread = float(np.median([one.std for one in learnt.values()]))
    gaps = []
    for name, one in shown.items():
        nearest = float(means[np.abs(means - one.mean).argmin()])
        off = abs(one.mean - nearest)
        gaps.append(Gap(name, one.mean, nearest, off / spread if spread else off and np.inf))
    return max((gap for gap in gaps if gap.n_std > 0), key=lambda gap: gap.n_std, default=None)
