"""What layers of a network hold."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LayerFeatures:
    """Channels of one layer for one image."""

    picture: str  # file with the strongest channels, relative to the record
    arrays: str  # file with all of them
    n_channels: int
    n_dead: int  # channels that are zero everywhere
    strength: tuple[float, ...]  # mean absolute value of each channel, strongest first


def rank_channels(activation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Channels of one image, (C, h, w), in order of how much they hold.

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
