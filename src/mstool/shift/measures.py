"""How far two sets are apart, and whether that is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mstool.chance.divisions import Division, smallest_p
from mstool.chance.p_values import holm, p_value
from mstool.shift import distances
from mstool.shift.appearance import (
    GLCM_DISTANCES_PX,
    GLCM_PROPERTIES,
    Appearance,
    mean_appearance,
)
from mstool.shift.classifier import Separation, separate
from mstool.shift.readings import SetReadings
from mstool.shift.sharpness import FREQUENCY
from mstool.shift.transfer import quantiles

_SHOWN_QUANTILES = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
_LEVELS_IN_DESCRIPTION = np.array([0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98])

Facts = dict[str, object]  # numbers for the record alone
Means = dict[str, Appearance]  # by set

_OF_VECTORS = {
    "mmd": distances.squared_mmd,
    "energy": distances.energy_distance,
    "frechet": distances.frechet_distance,
}


@dataclass(frozen=True)
class Tested:
    """P of one permutation test, alone and corrected for the number of tests; NaN if undefined."""

    p: float
    p_holm: float
    detected: bool


@dataclass(frozen=True)
class Significance:
    """All tests together, by name."""

    alpha: float  # chance of a false alarm over all of them [1]
    smallest_p: float  # that so many units and permutations allow
    can_detect: bool  # whether that is small enough
    few_permutations: bool  # whether more of them would make it so
    p: dict[str, Tested]

    @property
    def detected(self) -> bool:
        """Whether any test tells the sets apart."""
        return any(test.detected for test in self.p.values())

    @property
    def least_p(self) -> float:
        """Smallest corrected p; 1 where no test has any."""
        return min((t.p_holm for t in self.p.values() if np.isfinite(t.p_holm)), default=1.0)


@dataclass(frozen=True)
class Measurements:
    """Distances of two sets, what they were taken of in either, and the tests of all of them."""

    tests: Significance
    intensity: Facts
    spectrum: Facts
    texture: Facts
    features: Facts  # distances beside those of random divisions
    classifier: Facts  # how well sets can be told apart


def measure(
    source: Sequence[Appearance],
    target: Sequence[Appearance],
    division: Division,
    networks: tuple[SetReadings, SetReadings] | None,
    alpha: float,
    permutations: int,
    seed: int,
) -> Measurements:
    """Distances of two sets with their permutation tests.

    A network, if there is one, adds what it makes of source and target; `alpha` is the chance of a
    false alarm over all tests, and `permutations` are those that the division was made with.
    """
    both = [*source, *target]
    weights = division.weights
    vectors = describe_all(both)
    values = _image_statistics(both, vectors, weights)
    separations = {"image": separate(vectors, division.unit, division.sides, seed)}
    if networks is not None:
        features = network_features(networks)
        values |= _network_statistics(networks, features, weights)
        separations["network"] = separate(features, division.unit, division.sides, seed)
    values |= {f"classifier_{name}": found.auc for name, found in separations.items()}
    means = {"source": mean_appearance(source), "target": mean_appearance(target)}
    n, m = division.n_units
    least = smallest_p(n, m, permutations), smallest_p(n, m, 10**9)
    return Measurements(
        tests=judge_tests(values, alpha, *least),
        intensity=_intensity(means, values),
        spectrum=_spectrum(means, values),
        texture=_texture(means, values),
        features=_describe_null(values, tuple(separations)),
        classifier={name: _describe_separation(found) for name, found in separations.items()},
    )


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


def network_features(networks: tuple[SetReadings, SetReadings]) -> np.ndarray:
    """One row a micrograph, source first: features of the network, standardised."""
    return distances.standardise(np.concatenate([one.features for one in networks]))


def judge_tests(
    values: dict[str, np.ndarray], alpha: float, least_p: float, least_ever: float
) -> Significance:
    """P of each statistic, (B,) with the real one first, alone and corrected for their number.

    `least_p` is the smallest that so many units and permutations allow, `least_ever` that which
    units alone would.
    """
    p = {name: p_value(statistic) for name, statistic in values.items()}
    corrected = holm(p)
    n_tests = sum(np.isfinite(value) for value in p.values())
    can_detect = bool(least_p * n_tests <= alpha)
    tested = {k: Tested(p[k], corrected[k], bool(corrected[k] <= alpha)) for k in p}
    few = bool(not can_detect and least_ever * n_tests <= alpha)
    return Significance(alpha, least_p, can_detect, few, tested)


def _image_statistics(both, vectors, weights) -> dict[str, np.ndarray]:
    histograms = np.stack([one.histogram for one in both])
    columns = {
        "quantiles": [quantiles(row, _SHOWN_QUANTILES) for row in histograms],
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
            for name, rows in columns.items()
        },
        "binary_patterns": distances.chi_square(patterns, *weights),
        **_vector_statistics("image", vectors, weights),
    }


def _network_statistics(networks, features, weights) -> dict[str, np.ndarray]:
    softmax = np.stack([r.mass / r.n_px for one in networks for r in one.readings])
    return {
        **_vector_statistics("network", features, weights),
        "softmax": distances.largest_ks(softmax, *weights),
    }


def _vector_statistics(kind, vectors, weights) -> dict[str, np.ndarray]:
    return {f"{kind}_{name}": of(vectors, *weights) for name, of in _OF_VECTORS.items()}


def _intensity(means: Means, values) -> Facts:
    return {
        "w1": values["intensity_w1"][0],
        "js_bit": values["intensity_js"][0],
        "ks": values["intensity_ks"][0],
        "quantile_levels": _SHOWN_QUANTILES,
        **{
            name: {
                "quantiles": quantiles(mean.histogram, _SHOWN_QUANTILES),
                "black_share": mean.histogram[0],
                "white_share": mean.histogram[-1],
            }
            for name, mean in means.items()
        },
    }


def _spectrum(means: Means, values) -> Facts:
    shown = "log_power", "sharpness", "noise"
    return {
        "rms_log_power": values["spectrum"][0],
        "frequency_per_px": FREQUENCY,
        **{name: {key: getattr(mean, key) for key in shown} for name, mean in means.items()},
    }


def _texture(means: Means, values) -> Facts:
    return {
        "chi_square": values["binary_patterns"][0],
        "co_occurrence_rms": values["co_occurrence"][0],
        "co_occurrence_distances_px": GLCM_DISTANCES_PX,
        **{
            name: {
                "binary_pattern": mean.binary_pattern,
                **dict(zip(GLCM_PROPERTIES, mean.co_occurrence.reshape(-1, 2), strict=True)),
            }
            for name, mean in means.items()
        },
    }


def _describe_null(values, kinds: Sequence[str]) -> Facts:
    """Distances of features beside those of random divisions, with the z that follows."""
    found: Facts = {}
    for kind in kinds:
        found[kind] = {name: _beside_null(values[f"{kind}_{name}"]) for name in _OF_VECTORS}
    return found | ({"softmax_ks": values["softmax"][0]} if "softmax" in values else {})


def _beside_null(statistic: np.ndarray) -> Facts:
    mean, sd = statistic[1:].mean(), statistic[1:].std()
    z = (statistic[0] - mean) / sd if sd > 0 else float("nan")
    return {"value": statistic[0], "null_mean": mean, "null_sd": sd, "z": z}


def _describe_separation(found: Separation) -> Facts:
    return {
        "auc": found.auc[0],
        "proxy_a_distance": found.proxy_a_distance[0],
        "null_auc_sd": found.auc[1:].std(),
    }
