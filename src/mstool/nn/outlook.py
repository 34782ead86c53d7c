"""What a training run can expect of the time that is left."""

import math
from typing import Any

_GAIN = 0.005  # of mean IoU, in one validation, that is no chance


def steps_in_budget(n_done: int, n_planned: int, needed_s: float, left_s: float) -> float:
    """Steps that will be done in all, if the rest goes on as it is.

    Parameters
    ----------
    n_done, n_planned : int
        Steps so far, and in all.
    needed_s, left_s : float
        Time that the rest would take, and time that there is [s]; infinite without a budget.

    Returns
    -------
    float
        Steps, `n_planned` at most.

    Examples
    --------
    >>> steps_in_budget(10, 100, needed_s=60.0, left_s=20.0)
    40.0
    """
    share = left_s / needed_s if needed_s > left_s else 1.0
    return n_done + (n_planned - n_done) * share


def validations_left(epoch: int, epochs: int, every: int) -> int:
    """Validations after `epoch` of `epochs`, one `every` so many epochs and one at the end.

    Examples
    --------
    >>> validations_left(1, 10, 4)
    3
    """
    is_extra = epochs % every > 0 and epoch < epochs
    return epochs // every - epoch // every + is_extra


def in_words(seconds: float) -> str:
    """Give a time in the unit that suits it, without digits that nobody can know.

    Examples
    --------
    >>> in_words(41.3), in_words(730), in_words(8000)
    ('41 s', '12 min', '2.2 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def is_still_rising(history: list[dict[str, Any]]) -> bool:
    """Whether the last validation beats all before by more than chance.

    Parameters
    ----------
    history : list of dict
        One row an epoch; ``val_mean_iou`` where there was a validation, NaN if it had no pixel.

    Returns
    -------
    bool
        False also where fewer than two validations have a score.
    """
    scores = [row["val_mean_iou"] for row in history if "val_mean_iou" in row]
    scores = [score for score in scores if not math.isnan(score)]
    return len(scores) > 1 and scores[-1] - max(scores[:-1]) >= _GAIN
