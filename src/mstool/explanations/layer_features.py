"""What layers of a network hold."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LayerFeatures:
    """Channels of one layer for one image.

    Attributes
    ----------
    picture, arrays : str
        Files with the strongest and with all channels, relative to the record.
    n_channels, n_dead : int
        Channels, and those that are zero everywhere.
    strength : tuple of float
        Mean absolute value of each channel, strongest first.
    """

    picture: str
    arrays: str
    n_channels: int
    n_dead: int
    strength: tuple[float, ...]


def rank_channels(activation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Channels in order of how much they hold.

    Parameters
    ----------
    activation : ndarray of float, shape (C, h, w)
        Of one image.

    Returns
    -------
    order : ndarray of int, shape (C,)
        Channel indices by falling mean absolute value; equal ones by index, NaN last.
    strength : ndarray of float, shape (C,)
        Mean absolute value of each channel, in that order.
    """
    strength = np.abs(activation).mean(axis=(1, 2))
    order = np.argsort(-np.where(np.isnan(strength), -1.0, strength), kind="stable")
    return order, strength[order]


def count_dead(activation: np.ndarray) -> int:
    """Channels (C, h, w) that are zero everywhere."""
    return int((activation == 0).all(axis=(1, 2)).sum())
