"""Maps against controls on the same units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mstool.chance.swaps import sign_flip_p


@dataclass(frozen=True)
class Comparison:
    """A map against a control by one measure: two probabilities, and what they rest on."""

    p: float  # of so large an advantage if the sign of each difference were chance [1]
    p_equal: float  # of so small a one if it were the margin below which it does not count
    n_pairs: int  # units on which both are defined


def compare_pairs(
    ours: Sequence[float], control: Sequence[float], margin: float, *, is_more_better: bool = True
) -> Comparison:
    """Whether a map beats a control, or is shown to be no better.

    The second is a test of non-superiority [1]_: that the advantage is below a margin. Without it a
    map that fails and one that was hardly looked at could not be told apart.

    Parameters
    ----------
    ours, control : sequence of float, length n
        A pair a unit; pairs with NaN are left out and do not count.
    margin : float
        Advantage that counts, in the unit of the measure.
    is_more_better : bool
        Whether a larger measure is better.

    Returns
    -------
    Comparison
        Both p are NaN for fewer than two pairs.

    References
    ----------
    .. [1] Lakens, D. (2017). Social Psychological and Personality Science 8, 355-362.
    """
    advantage = np.asarray(ours, float) - np.asarray(control, float)
    advantage = advantage if is_more_better else -advantage
    advantage = advantage[np.isfinite(advantage)]
    return Comparison(
        sign_flip_p(advantage), sign_flip_p(margin - advantage), n_pairs=len(advantage)
    )
