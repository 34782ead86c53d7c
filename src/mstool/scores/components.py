"""Variance of scores, taken apart by what they have in common: run, fold, micrograph."""

from collections.abc import Mapping, Sequence

import numpy as np

REST = "rest"


def variance_components(values: np.ndarray, factors: Mapping[str, Sequence]) -> dict[str, float]:
    """Variance that each factor adds to a score, by the method of moments.

    Each score is taken as a mean plus one random effect a factor, drawn anew for each of its
    levels, plus a rest. With ``T_A`` the sum over levels of A of (sum of scores)^2 / number, and
    ``T_0`` the sum of squares, the expectations of these sums are linear in the variances, ::

        E T_A = n mu^2 + sum_B v_B sum_a sum_b n_ab^2 / n_a + levels(A) v_rest
        E T_0 = n mu^2 + n sum_B v_B + n v_rest

    and so the variances solve as many equations as there are of them, after T of the mean alone is
    taken from each: method 1 of Henderson [1]_. Levels may be crossed or nested, and of unlike
    size; in balanced designs it is the analysis of variance.

    Parameters
    ----------
    values : ndarray of float, shape (N,)
        Scores; those that are NaN are left out.
    factors : mapping of str to sequence, length N
        Level of each score in each factor. A factor that divides the scores as an earlier one does,
        or that has one level alone, or one a score, cannot be told apart and is left out; see
        `list_included`.

    Returns
    -------
    dict of str to float
        Variance by factor, and under ``rest``. An estimate may be negative, which says that the
        variance is too small to be told from chance; NaN where the factors cannot be told apart.

    References
    ----------
    .. [1] Henderson, C. R. (1953). Estimation of variance and covariance components. Biometrics 9,
       226-252.

    Examples
    --------
    >>> variance_components(np.array([1.0, 1.0, 3.0, 3.0]), {"fold": [0, 0, 1, 1]})
    {'fold': 2.0, 'rest': 0.0}
    """
    values = np.asarray(values, float)
    is_defined = ~np.isnan(values)
    values = values[is_defined]
    kept = _told_apart(factors, is_defined)[0]
    members = {name: _membership(partition) for name, partition in kept.items()}
    n = len(values)
    if n < 2:
        return {**dict.fromkeys(members, np.nan), REST: np.nan}
    whole = np.ones((1, n))
    tables = [*members.values(), np.eye(n)]  # the rest has a level a score
    base_sum, base_row = _moments(values, whole, tables)
    found = [_moments(values, table, tables) for table in tables]
    sums = np.array([total for total, _ in found]) - base_sum
    coefficients = np.stack([row for _, row in found]) - base_row
    if np.linalg.matrix_rank(coefficients) < len(tables):
        return {**dict.fromkeys(members, np.nan), REST: np.nan}
    solved = np.linalg.solve(coefficients, sums)
    return dict(zip((*members, REST), solved.tolist(), strict=True))


def list_included(values: np.ndarray, factors: Mapping[str, Sequence]) -> dict[str, list[str]]:
    """Factors whose variance is in that of each component, since they divide the scores alike.

    The parameters are those of `variance_components`, and so are the names. What has one level
    alone is in none: no score tells how it varies.

    Examples
    --------
    >>> list_included(np.array([1.0, 2.0]), {"fold": ["a", "b"], "run": [0, 0]})
    {'rest': ['fold']}
    """
    return _told_apart(factors, ~np.isnan(np.asarray(values, float)))[1]


def _moments(
    values: np.ndarray, table: np.ndarray, tables: Sequence[np.ndarray]
) -> tuple[float, np.ndarray]:
    """T of a factor, and what each variance is multiplied with in its expectation."""
    n_of = table.sum(axis=1)
    total = float(((table @ values) ** 2 / n_of).sum())
    row = [(((table @ other.T) ** 2).sum(axis=1) / n_of).sum() for other in tables]
    return total, np.array(row)


def _told_apart(
    factors: Mapping[str, Sequence], is_defined: np.ndarray
) -> tuple[dict[str, tuple[int, ...]], dict[str, list[str]]]:
    """Level of each defined score, from 0, in what can be told apart, and what is within each."""
    n = int(is_defined.sum())
    names = {tuple(range(n)): REST}  # by the way that they divide the scores
    kept, included = {}, {REST: []}
    for name, levels in factors.items():
        used = [level for level, is_used in zip(levels, is_defined, strict=True) if is_used]
        numbers = {level: number for number, level in enumerate(dict.fromkeys(used))}
        partition = tuple(numbers[level] for level in used)
        if len(numbers) < 2:
            continue
        if partition in names:
            included[names[partition]].append(name)
        else:
            names[partition], kept[name], included[name] = name, partition, []
    return kept, included


def _membership(partition: tuple[int, ...]) -> np.ndarray:
    """Matrix (levels, N) of 0 and 1."""
    return (np.arange(max(partition) + 1)[:, None] == np.array(partition)).astype(float)
