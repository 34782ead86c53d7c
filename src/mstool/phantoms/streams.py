"""Independent random streams, so that one draw never disturbs another."""

from enum import IntEnum

import numpy as np

from mstool.errors import UsageError


class Stream(IntEnum):
    """What a random stream is for.

    The values are part of every phantom ever made: append, never renumber.
    """

    GRAINS = 0
    TEXTURE = 1
    ETCHING = 2
    PRECIPITATES = 3
    SCRATCHES = 4
    NOISE = 5
    RATER_HABITS = 6
    RATING = 7
    CUE = 8


def open_stream(seed, *key) -> np.random.Generator:
    """Random generator that depends on the seed and the key alone.

    Image 7 of a seed is therefore the same whether 8 or 800 images are made, and switching
    scratches on leaves the grains where they were.

    Parameters
    ----------
    *key : int
        What the stream is for: image index, `Stream`, rater index, ...

    Raises
    ------
    UsageError
        If the seed or a key is negative.
    """
    if min(seed, *key) < 0:
        raise UsageError(f"seed is {seed}, index is {key[0]}; neither may be negative")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(map(int, key))))
