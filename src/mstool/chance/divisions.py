"""Whether two sets differ by more than chance, with the micrograph or the specimen as the unit.

Patches of one micrograph are alike: shuffled one by one they find a difference between any two
sets. Here whole units change sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

_MOST_ENUMERATED = 2000


@dataclass(frozen=True)
class Division:
    """Every way to divide the units between the sets; the first is the real one."""

    sides: np.ndarray  # True where a unit is in the source: (B, U)
    unit: np.ndarray  # number of the unit of each micrograph, source first: (N,)

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """How each micrograph counts in the means of source and target; see `weights_of`."""
        return weights_of(self.sides, self.unit)

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
    return Division(draw_sides(unit_is_source, permutations, seed), unit)


def draw_sides(unit_is_source, n_permutations, seed):
    """Sides (B, U) of a `Division` of units, given those that they are on: bool (U,).

    They are drawn at random, unless there are so few ways to divide the units that all are taken.
    """
    n_units, n_source = len(unit_is_source), int(unit_is_source.sum())
    if comb(n_units, n_source) <= _MOST_ENUMERATED:
        sides = np.zeros((comb(n_units, n_source), n_units), bool)
        for row, chosen in zip(sides, combinations(range(n_units), n_source), strict=True):
            row[list(chosen)] = True
        is_real = (sides == unit_is_source).all(axis=1)
        return np.concatenate([sides[is_real], sides[~is_real]])
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.permutation(unit_is_source) for _ in range(n_permutations)])
    return np.concatenate([unit_is_source[None], drawn])


def smallest_p(n_source, n_target, n_permutations):
    """Least p that so many units allow.

    Two sets of the same size can be swapped without a change, so that each value comes twice, among
    those that are drawn at random too.

    Examples
    --------
    >>> smallest_p(3, 3, 999)
    0.1
    """
    ways = comb(n_source + n_target, n_source)
    least = (2 if n_source == n_target else 1) / ways
    return least if ways <= _MOST_ENUMERATED else max(least, 1 / (n_permutations + 1))


def number_units(groups: Sequence[str], is_source: np.ndarray) -> np.ndarray:
    """Number of the unit of each micrograph, (N,); one name in both sets is two units."""
    keys = list(zip(groups, is_source.tolist(), strict=True))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys])


def weights_of(sides, unit):
    """How each micrograph counts in the means of source and target: two (B, N), rows sum to 1."""
    source = sides[:, unit].astype(float)
    target = 1.0 - source
    return source / source.sum(axis=1, keepdims=True), target / target.sum(axis=1, keepdims=True)
