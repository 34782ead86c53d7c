"""What the flags of train say, and the settings that follow."""

from dataclasses import dataclass
from typing import Any

from mstool.errors import UsageError
from mstool.io.records import pick
from mstool.nn.augment import Augmentation, load_augmentation
from mstool.nn.decoder_width import parse_decoder_width
from mstool.nn.device import Compute
from mstool.nn.finetune import parse_finetune
from mstool.nn.fit_state import FitSettings, describe_settings
from mstool.nn.losses import parse_loss
from mstool.nn.model import DEFAULT_ENCODER, PIXEL, PLAIN
from mstool.nn.pixel_classifier import DEFAULT_FEATURES, parse_features
from mstool.nn.unet_plain import check_depth
from mstool.nn.weights import locate_weights

ALL_FOLDS = "all"  # each fold of the split is the test in turn

# Options that an architecture has to itself.
_ONLY = {
    "depth": (PLAIN,),
    "padding": (PLAIN,),
    "width": (PLAIN, PIXEL),
    "features": (PIXEL,),
    "pixels": (PIXEL,),
    "views": (PIXEL,),
}
_USUAL = {
    "finetune": "full",
    "loss": "ce+dice",
    "epochs": 40,
    "lr": 1e-3,
    "weight_decay": 1e-2,
    "validate_every": 1,
}
# A head that reads single pixels learns in seconds, which looking at whole micrographs takes too.
_USUAL_OF_PIXELS = {
    "finetune": "decoder",
    "loss": "ce",
    "epochs": 10,
    "lr": 3e-3,
    "weight_decay": 0.1,
    "features": DEFAULT_FEATURES,
    "pixels": 200_000,
    "views": 3,
}


@dataclass(frozen=True)
class TrainSettings:
    """What to train and how.

    Attributes
    ----------
    arch, encoder, depth, width, padding, features, decoder_channels
        See `ModelSpec`.
    pixels, views : int or None
        See `fill_bank`; None but for a pixel classifier.
    weights, finetune, loss
        As the flags have them.
    class_weights : str or tuple of float
        ``none``, ``balanced`` or one a class.
    augmentation : Augmentation
        Ranges.
    crop : int or None
        Edge of training crops [px]; None for that of the tiles.
    test_fold, val_fold : int or None
        See `choose_roles`; `test_fold` may be `ALL_FOLDS`.
    max_images : int or None
        Training micrographs to keep.
    fit : FitSettings
        Of the loop.
    precision : str
        As resolved.
    threads : str
        ``auto`` or a number.
    calibrate : bool
        Whether to fit a temperature in the end.
    allow_leak : bool
        Whether to train although the roles share something.
    """

    arch: str
    encoder: str | None
    depth: int
    width: int
    padding: str
    features: str | None
    decoder_channels: tuple[int, ...] | None
    pixels: int | None
    views: int | None
    weights: str
    finetune: str
    loss: str
    class_weights: str | tuple[float, ...]
    augmentation: Augmentation
    crop: int | None
    test_fold: int | str | None
    val_fold: int | None
    max_images: int | None
    fit: FitSettings
    precision: str
    threads: str
    calibrate: bool
    allow_leak: bool = False

    def as_record(self) -> dict[str, Any]:
        """All that decides the weights; see `describe_settings`."""
        record = describe_settings(self)
        if not self.allow_leak:  # which changes no weights
            del record["allow_leak"]
        return record


@dataclass(frozen=True)
class TrainFlags:
    """What the flags of the command line say, one field each; None where nothing is said."""

    arch: str
    encoder: str | None
    weights: str | None
    depth: int | None
    width: int | None
    padding: str | None
    features: str | None
    decoder_width: str | None
    pixels: int | None
    views: int | None
    finetune: str | None
    loss: str | None
    class_weights: str
    augment: str
    crop: int | None
    test_fold: int | str | None
    val_fold: int | None
    max_images: int | None
    epochs: int | None
    batch_size: int
    lr: float | None
    encoder_lr_factor: float | None
    weight_decay: float | None
    ema: float
    patience: int
    validate_every: int | None
    max_time_s: float | None
    workers: int | None
    threads: str
    allow_leak: bool
    seed: int
    calibrate: bool


def resolve_settings(flags: TrainFlags, compute: Compute) -> TrainSettings:
    """Check flags and fill in what they leave open.

    Raises
    ------
    UsageError
        If a value is wrong, or an option does not belong to the architecture.
    """
    _check_network(flags)
    _check_folds(flags)
    values = vars(flags) | _choose_network(flags) | _choose_training(flags)
    parse_loss(values["loss"])
    parse_finetune(values["finetune"])
    _check_numbers(values)
    if flags.workers is None:
        values["workers"] = compute.usual_workers
    values |= {
        "class_weights": _parse_class_weights(flags.class_weights),
        "augmentation": load_augmentation(flags.augment),
        "precision": compute.precision,
    }
    return pick(TrainSettings, values | {"fit": pick(FitSettings, values)})


def _check_network(flags: TrainFlags) -> None:
    """Refuse options that the architecture would not look at, or has not."""
    for name, architectures in _ONLY.items():
        value = getattr(flags, name)
        if value is not None and flags.arch not in architectures:
            raise UsageError(f"--{name} {value}: needs --arch {' or '.join(architectures)}")
    if flags.encoder is not None and flags.arch == PLAIN:
        raise UsageError(f"--encoder {flags.encoder}: needs another --arch")
    if flags.depth is not None:
        check_depth(flags.depth)
    if flags.arch == PIXEL:
        _check_pixel_classifier(flags)
    elif flags.finetune == "decoder" and flags.encoder_lr_factor is not None:
        raise UsageError(
            f"--encoder-lr-factor {flags.encoder_lr_factor}: with --finetune decoder the encoder "
            "stays frozen; leave one out"
        )


def _check_pixel_classifier(flags: TrainFlags) -> None:
    """Refuse what one would not look at, having no encoder, or no more than a frozen one."""
    has_encoder = _has_encoder(flags)
    for name in ("encoder", "weights"):
        value = getattr(flags, name)
        if value not in (None, "none") and not has_encoder:
            raise UsageError(f"--{name} {value}: --features {flags.features} has no encoder")
    if flags.finetune not in (None, "decoder"):
        raise UsageError(f"--finetune {flags.finetune}: the encoder of {PIXEL} stays frozen")
    if flags.encoder_lr_factor is not None:
        raise UsageError(
            f"--encoder-lr-factor {flags.encoder_lr_factor}: the encoder of {PIXEL} stays frozen"
        )
    if flags.views == 1 and flags.augment not in ("default", "none"):
        raise UsageError(
            f"--augment {flags.augment}: with --views 1 the {PIXEL} sees the tiles as they are "
            "alone; give more --views"
        )
    if flags.patience and flags.validate_every is None:
        raise UsageError(
            f"--patience {flags.patience}: {PIXEL} is validated once, in the end; give "
            "--validate-every too"
        )


def _check_folds(flags: TrainFlags) -> None:
    if flags.test_fold == ALL_FOLDS and flags.val_fold is not None:
        raise UsageError(
            f"--val-fold {flags.val_fold}: with --test-fold all every fold is tested in turn, and "
            "the one after it validates; leave it out"
        )


def _has_encoder(flags: TrainFlags) -> bool:
    if flags.arch == PIXEL:
        return bool(parse_features(flags.features or DEFAULT_FEATURES).scales)
    return flags.arch != PLAIN


def _choose_network(flags: TrainFlags) -> dict[str, Any]:
    is_pixel = flags.arch == PIXEL
    has_encoder = _has_encoder(flags)
    width = flags.decoder_width
    return {
        "decoder_channels": None if width is None else parse_decoder_width(width, flags.arch),
        "encoder": flags.encoder or DEFAULT_ENCODER if has_encoder else None,
        "depth": flags.depth or 4,
        "width": flags.width or (128 if is_pixel else 32),
        "padding": flags.padding or "same",
        "weights": locate_weights(flags.weights or ("imagenet" if has_encoder else "none")),
    }


def _choose_training(flags: TrainFlags) -> dict[str, Any]:
    usual = _USUAL_OF_PIXELS if flags.arch == PIXEL else _USUAL
    values = {
        name: value if getattr(flags, name) is None else getattr(flags, name)
        for name, value in usual.items()
    }
    if flags.arch == PIXEL:
        values["validate_every"] = flags.validate_every or values["epochs"]
    if flags.encoder_lr_factor is None:
        values["encoder_lr_factor"] = 1.0 if _choose_network(flags)["weights"] == "none" else 0.3
    return values


def _check_numbers(values: dict[str, Any]) -> None:
    limits = {"weight_decay": 10, "encoder_lr_factor": 10, "ema": 1}
    for name, limit in limits.items():
        value = values.get(name) or 0.0
        if not 0 <= value < limit:
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"{flag} {value}: must be at least 0 and below {limit}")


def _parse_class_weights(text: str) -> str | tuple[float, ...]:
    if text in ("none", "balanced"):
        return text
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    is_usable = weights and all(0 <= weight < 1e6 for weight in weights) and max(weights) > 0
    if not is_usable:
        raise UsageError(f"--class-weights {text}: use none, balanced, or numbers such as 1,2,5")
    return weights
