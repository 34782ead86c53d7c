"""Which repair to take when nobody knows the truth."""

from collections.abc import Mapping, Sequence

import numpy as np

from mstool.shift.readings import Reading

NONE = "none"
LEAST_GAIN = 0.02  # of self-consistency, that a repair must bring
LABEL_SHIFT = 0.05  # change of a phase fraction from which it is worth a word
_TIE = 0.01  # of self-consistency, that tells no repair from another
_LOST = 0.2  # a phase that falls below this share of what it was has been lost by the repair


def choose_repair(
    readings: Mapping[str, Reading], source: Reading, scores: Mapping[str, float] | None = None
) -> str:
    """Name of the repair whose predictions are most stable under mild changes of the images.

    "none" stays unless a repair is among `better_repairs`. Of several that are as good as equally
    stable, the one is taken under which phase fractions are nearest to those of the source.

    Parameters
    ----------
    readings, scores
        Of the target under each repair, ``none`` among them; scores are true ones.
    """

    def change(name):
        return np.abs(readings[name].fractions - source.fractions).max()

    candidates = better_repairs(readings, source, scores)
    best = max((_merit(readings[name], source) for name in candidates), default=0.0)
    equal = (name for name in candidates if _merit(readings[name], source) > best - _TIE)
    return min(equal, key=change, default=NONE)


def better_repairs(
    readings: Mapping[str, Reading], source: Reading, scores: Mapping[str, float] | None = None
) -> list[str]:
    """Names of the repairs that make predictions clearly more stable than they are without.

    Stability beyond that of the source is no merit. A repair under which a phase all but vanishes
    that is there without it is not better: a network that sees one phase everywhere is stable too.
    Where the truth is known, one that makes things worse is not either. Arguments are those of
    `choose_repair`.
    """
    own = readings[NONE]
    return [
        name
        for name, reading in readings.items()
        if name != NONE
        and _merit(reading, source) > own.self_consistency + LEAST_GAIN
        and not _loses_phase(reading, own, source)
        and (scores is None or scores[name] >= scores[NONE])
    ]


def suspect_label_shift(target: Sequence[float], source: Sequence[float]) -> bool:
    """Whether phase fractions differ by an amount that is worth a word."""
    return bool(np.abs(np.subtract(target, source)).max() > LABEL_SHIFT)


def spread_picks(
    uncertainty: Sequence[float], features: np.ndarray, source: np.ndarray, n: int
) -> list[int]:
    """Micrographs to annotate next: uncertain, unlike the source, and unlike each other.

    Greedy: each pick has the largest product of its uncertainty rank and its distance to all
    micrographs of the source and all earlier picks.

    Parameters
    ----------
    uncertainty : sequence of float, length M
        Larger is less certain.
    features, source : ndarray of float, shape (M, D) and (N, D)
        Of target and source, standardised.
    n : int
        Picks, at most M; they come first the most wanted.
    """
    order = np.argsort(np.argsort(uncertainty, kind="stable"), kind="stable")
    rank = (order + 1) / len(order)
    distance = np.linalg.norm(features[:, None] - source[None], axis=2).min(axis=1)
    picks: list[int] = []
    while len(picks) < min(n, len(rank)):
        value = rank * distance
        value[picks] = -1
        pick = int(np.argmax(value))
        picks.append(pick)
        distance = np.minimum(distance, np.linalg.norm(features - features[pick], axis=1))
    return picks


def _merit(reading: Reading, source: Reading) -> float:
    return min(reading.self_consistency, source.self_consistency)


def _loses_phase(reading: Reading, own: Reading, source: Reading) -> bool:
    wanted = np.minimum(own.fractions, source.fractions)
    return bool(((wanted > 0.01) & (reading.fractions < _LOST * wanted)).any())
