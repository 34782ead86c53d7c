"""What the flags of pretrain say, and the settings that follow."""

from dataclasses import dataclass
from typing import Any

from mstool.nn.augment import Augmentation, load_augmentation
from mstool.nn.device import Compute
from mstool.nn.fit_state import FitSettings, describe_settings
from mstool.nn.weights import locate_weights


@dataclass(frozen=True)
class PretrainSettings:
    """What to learn and how.

    Attributes
    ----------
    method : {"masked", "contrast"}
        See `MaskedSet` and `ViewSet`.
    encoder, weights : str
        As the flags have them.
    augmentation : Augmentation
        Ranges.
    crop : int or None
        Least edge of crops [px]; None for that of the tiles.
    test_fold : int or None
        Fold of the split that is not looked at.
    fit : FitSettings
        Of the loop.
    precision : str
        As resolved.
    threads : str
        As ``--threads`` has it.
    """

    method: str
    encoder: str
    weights: str
    augmentation: Augmentation
    crop: int | None
    test_fold: int | None
    fit: FitSettings
    precision: str
    threads: str

    def as_record(self) -> dict[str, Any]:
        """All that decides the weights; see `describe_settings`."""
        return describe_settings(self)


@dataclass(frozen=True)
class PretrainFlags:
    """What the flags of the command line say, one field each."""

    method: str
    encoder: str
    weights: str
    augment: str
    crop: int | None
    test_fold: int | None
    epochs: int
    batch_size: int
    lr: float
    max_time_s: float | None
    threads: str
    seed: int


def resolve_pretraining(flags: PretrainFlags, compute: Compute) -> PretrainSettings:
    """Check flags and fill in what they leave open.

    Raises
    ------
    UsageError
        If a value is wrong.
    """
    fit = FitSettings(
        epochs=flags.epochs,
        batch_size=flags.batch_size,
        lr=flags.lr,
        encoder_lr_factor=1.0 if flags.weights == "none" else 0.3,
        weight_decay=1e-2,
        ema=0.99,
        patience=0,
        validate_every=1,
        max_time_s=flags.max_time_s,
        workers=compute.usual_workers,
        seed=flags.seed,
    )
    return PretrainSettings(
        flags.method,
        flags.encoder,
        locate_weights(flags.weights),
        load_augmentation(flags.augment),
        flags.crop,
        flags.test_fold,
        fit,
        compute.precision,
        flags.threads,
    )
