"""How far two sets are apart, and whether that is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mstool.pipeline.shift.network import SetReadings
from mstool.pipeline.shift.sets import MicrographSet, to_unit
from mstool.reporting import Reporter
from mstool.shift import distances
from mstool.shift.appearance import (
    GLCM_PROPERTIES,
    Appearance,
    describe,
    mean_appearance,
)
from mstool.shift.classifier import separate
from mstool.shift.permutation import (
    draw_sides,
    holm,
    number_units,
    p_value,
    smallest_p,
    weights_of,
)
from mstool.shift.sharpness import FREQUENCY
from mstool.shift.transfer import quantiles

_SHOWN_QUANTILES = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
_LEVELS_IN_DESCRIPTION = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98])


@dataclass(frozen=True)
class Division:
    """Every way to divide the units between the sets; the first is the real one.

    Attributes
    ----------
    sides : ndarray of bool, shape (B, U)
        True where a unit is in the source.
    unit : ndarray of int, shape (N,)
        Unit of each micrograph, source first.
    source, target : ndarray of float64, shape (B, N)
        Weights of each micrograph.
    """

    sides: np.ndarray
    unit: np.ndarray
    source: np.ndarray
    target: np.ndarray

    @property
    def n_units(self) -> tuple[int, int]:
        """Units of source and target."""
        n = int(self.sides[0].sum())
        return n, self.sides.shape[1] - n


def divide(source: Sequence[str], target: Sequence[str], permutations: int, seed: int) -> Division:
    """Divisions of two sets, given the group of each micrograph."""
    is_source = np.array([True] * len(source) + [False] * len(target))
    unit = number_units([*source, *target], is_source)
    unit_is_source = np.zeros(unit.max() + 1, bool)
    unit_is_source[unit[is_source]] = True
    sides = draw_sides(unit_is_source, permutations, seed)
    return Division(sides, unit, *weights_of(sides, unit))


def look_at(
    one: MicrographSet,
    levels: tuple[float, float],
    report: Reporter,
    change: Callable[[np.ndarray], np.ndarray] = lambda image: image,
) -> list[Appearance]:
    """Image statistics of each micrograph, its grey levels changed first."""
    found = []
    with report.progress(f"statistics of the {one.name}", len(one.samples)) as advance:
        for sample in one.samples:
            parts = [describe(change(to_unit(field, levels))) for field in sample.fields]
            found.append(mean_appearance(parts))
            advance(1)
    return found


def measure(
    source: Sequence[Appearance],
    target: Sequence[Appearance],
    division: Division,
    networks: tuple[SetReadings, SetReadings] | None,
    alpha: float,
    permutations: int,
    seed: int,
) -> dict[str, Any]:
    """Distances of two sets with their permutation tests.

    Parameters
    ----------
    source, target : sequence of Appearance
        Of each micrograph.
    division : Division
        Ways to divide them.
    networks : tuple of SetReadings, or None
        What a network makes of source and target.
    alpha : float
        Chance of a false alarm over all tests [1].
    permutations, seed : int
        As for `divide`.

    Returns
    -------
    dict
        Under ``intensity``, ``spectrum``, ``texture``, ``features``, ``classifier`` what was
        measured, and under ``tests`` the p of each, alone and corrected.
    """
    both = [*source, *target]
    weights = division.source, division.target
    histograms = np.stack([one.histogram for one in both])
    vectors = describe_all(both)
    values = _image_statistics(both, histograms, vectors, weights)
    separations = {"image": separate(vectors, division.unit, division.sides, seed)}
    if networks is not None:
        values |= _network_statistics(networks, weights)
        features = _features(networks)
        separations["network"] = separate(features, division.unit, division.sides, seed)
    for name, found in separations.items():
        values[f"classifier_{name}"] = np.abs(found.auc - 0.5)
    n, m = division.n_units
    return {
        "tests": judge_tests(
            values, alpha, smallest_p(n, m, permutations), smallest_p(n, m, 10**9)
        ),
        "intensity": _intensity(source, target, values),
        "spectrum": _spectrum(source, target, values),
        "texture": _texture(source, target, values),
        "features": _describe_null(values, networks is not None),
        "classifier": {
            name: {
                "auc": found.auc[0],
                "proxy_a_distance": found.proxy_a_distance[0],
                "null_auc_sd": found.auc[1:].std(),
            }
            for name, found in separations.items()
        },
    }


def describe_all(looks: Sequence[Appearance]) -> np.ndarray:
    """One row a micrograph: quantiles, power, patterns, co-occurrence, noise; standardised."""
    rows = [
        np.concatenate(
            [
                quantiles(one.histogram, _LEVELS_IN_DESCRIPTION),
                one.log_power.reshape(-1, 4).mean(axis=1),
                one.binary_pattern,
                one.co_occurrence,
                [np.log(one.noise + 1e-4), one.sharpness],
            ]
        )
        for one in looks
    ]
    return distances.standardise(np.stack(rows))


def judge_tests(
    values: dict[str, np.ndarray], alpha: float, least_p: float, least_ever: float
) -> dict[str, Any]:
    """P of each statistic, alone and corrected for their number.

    Parameters
    ----------
    values : dict of str to ndarray of float, shape (B,)
        By test; the first value is the real one.
    alpha : float
        Where a corrected p is a detection [1].
    least_p, least_ever : float
        Smallest p that so many units and permutations allow, and that units alone would [1].

    Returns
    -------
    dict
        ``alpha``, ``smallest_p``, ``can_detect``, ``few_permutations`` (more would let it), and
        ``p`` {test: {``p``, ``p_holm``, ``detected``}}.
    """
    p = {name: p_value(statistic) for name, statistic in values.items()}
    corrected = holm(p)
    n_tests = sum(np.isfinite(value) for value in p.values())
    return {
        "alpha": alpha,
        "smallest_p": least_p,
        "can_detect": bool(least_p * n_tests <= alpha),
        "few_permutations": bool(least_p * n_tests > alpha >= least_ever * n_tests),
        "p": {
            name: {
                "p": p[name],
                "p_holm": corrected[name],
                "detected": bool(corrected[name] <= alpha),
            }
            for name in p
        },
    }


def _image_statistics(both, histograms, vectors, weights) -> dict[str, np.ndarray]:
    levels = np.stack([quantiles(row, _SHOWN_QUANTILES) for row in histograms])
    column = {
        "quantiles": levels,
        "saturation": histograms[:, [0, -1]],
        "noise": [[np.log(one.noise + 1e-4)] for one in both],
        "sharpness": [[one.sharpness] for one in both],
        "spectrum": [one.log_power for one in both],
        "co_occurrence": distances.standardise([one.co_occurrence for one in both]),
    }
    patterns = np.stack([one.binary_pattern for one in both])
    return {
        "intensity_w1": distances.wasserstein(histograms, *weights),
        "intensity_js": distances.jensen_shannon(histograms, *weights),
        "intensity_ks": distances.kolmogorov_smirnov(histograms, *weights),
        **{
            name: distances.mean_difference(np.asarray(rows, float), *weights)
            for name, rows in column.items()
        },
        "binary_patterns": distances.chi_square(patterns, *weights),
        "image_mmd": distances.squared_mmd(vectors, *weights),
        "image_energy": distances.energy_distance(vectors, *weights),
        "image_frechet": distances.frechet_distance(vectors, *weights),
    }


def _features(networks) -> np.ndarray:
    return distances.standardise(np.concatenate([one.features for one in networks]))


def _network_statistics(networks, weights) -> dict[str, np.ndarray]:
    features = _features(networks)
    softmax = np.stack([r.mass / r.n_px for one in networks for r in one.readings])
    return {
        "network_mmd": distances.squared_mmd(features, *weights),
        "network_energy": distances.energy_distance(features, *weights),
        "network_frechet": distances.frechet_distance(features, *weights),
        "softmax": distances.largest_ks(softmax, *weights),
    }


def _intensity(source, target, values) -> dict[str, Any]:
    def summary(looks):
        pooled = np.mean([one.histogram for one in looks], axis=0)
        return {
            "quantiles": quantiles(pooled, _SHOWN_QUANTILES),
            "black_share": pooled[0],
            "white_share": pooled[-1],
        }

    return {
        "w1": values["intensity_w1"][0],
        "js_bit": values["intensity_js"][0],
        "ks": values["intensity_ks"][0],
        "quantile_levels": _SHOWN_QUANTILES,
        "source": summary(source),
        "target": summary(target),
    }


def _spectrum(source, target, values) -> dict[str, Any]:
    def summary(looks):
        return {
            "log_power": np.mean([one.log_power for one in looks], axis=0),
            "sharpness": np.mean([one.sharpness for one in looks]),
            "noise": np.mean([one.noise for one in looks]),
        }

    return {
        "rms_log_power": values["spectrum"][0],
        "frequency_per_px": FREQUENCY,
        "source": summary(source),
        "target": summary(target),
    }


def _texture(source, target, values) -> dict[str, Any]:
    def summary(looks):
        mean = np.mean([one.co_occurrence for one in looks], axis=0).reshape(-1, 2)
        return {
            "binary_pattern": np.mean([one.binary_pattern for one in looks], axis=0),
            **dict(zip(GLCM_PROPERTIES, mean, strict=True)),
        }

    return {
        "chi_square": values["binary_patterns"][0],
        "co_occurrence_rms": values["co_occurrence"][0],
        "co_occurrence_distances_px": (1, 3),
        "source": summary(source),
        "target": summary(target),
    }


def _describe_null(values, with_network: bool) -> dict[str, Any]:
    """Distances of features beside those of random divisions, with the z that follows."""
    found = {}
    for kind in ("image", "network") if with_network else ("image",):
        found[kind] = {}
        for name in ("mmd", "energy", "frechet"):
            statistic = values[f"{kind}_{name}"]
            mean, sd = statistic[1:].mean(), statistic[1:].std()
            found[kind][name] = {
                "value": statistic[0],
                "null_mean": mean,
                "null_sd": sd,
                "z": (statistic[0] - mean) / sd if sd > 0 else float("nan"),
            }
    if with_network:
        found["softmax_ks"] = values["softmax"][0]
    return found
