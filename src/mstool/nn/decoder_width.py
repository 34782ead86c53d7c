"""How many channels the decoder of a network has."""

from collections.abc import Sequence

from mstool.errors import UsageError

_FIVE_LEVELS = {"decoder_channels": (256, 128, 64, 32, 16)}
_ONE_NUMBER = {"decoder_channels": (256,)}

# Parameters of segmentation-models-pytorch that take channels, and what it gives them itself.
USUAL_CHANNELS: dict[str, dict[str, tuple[int, ...]]] = {
    "unet": _FIVE_LEVELS,
    "unetplusplus": _FIVE_LEVELS,
    "manet": _FIVE_LEVELS,
    "fpn": {"decoder_pyramid_channels": (256,), "decoder_segmentation_channels": (128,)},
    "deeplabv3": _ONE_NUMBER,
    "deeplabv3plus": _ONE_NUMBER,
    "upernet": _ONE_NUMBER,
    "pan": {"decoder_channels": (32,)},
    "pspnet": {"psp_out_channels": (512,)},
    "segformer": {"decoder_segmentation_channels": (256,)},
}

_MOST = 4096  # channels
_LARGEST_FACTOR = 4.0  # a single number above it is a count of channels
_FPN_GROUPS = 32  # in which fpn normalises its last channels


def parse_decoder_width(text: str, arch: str) -> tuple[int, ...]:
    """Read a factor such as ``0.5`` or a list such as ``64,48,32,16,8``.

    Parameters
    ----------
    text : str
        A factor up to 4 of the usual channels, rounded to whole ones, or channels, deepest first.
    arch : str
        Architecture that they are for.

    Returns
    -------
    tuple of int
        Channels of the decoder, as `decoder_arguments` takes them.

    Raises
    ------
    UsageError
        If the text is neither, or does not fit the architecture.
    """
    if arch not in USUAL_CHANNELS:
        raise UsageError(f"--decoder-width {text}: needs --arch {', '.join(USUAL_CHANNELS)}")
    usual = usual_channels(arch)
    try:
        numbers = [float(part) for part in text.split(",")]
        if len(numbers) == 1 and 0 < numbers[0] <= _LARGEST_FACTOR:
            channels = tuple(round(n * numbers[0]) for n in usual)
        else:
            channels = tuple(int(part) for part in text.split(","))
        decoder_arguments(arch, channels)
    except (ValueError, UsageError) as error:
        reason = f" ({error})" if isinstance(error, UsageError) else ""
        shown = ",".join(map(str, usual))
        raise UsageError(
            f"--decoder-width {text}: not for --arch {arch}{reason}; use a factor such as 0.5, or "
            f"channels as in {shown}"
        ) from None
    return channels


def decoder_arguments(
    arch: str, channels: Sequence[int] | None
) -> dict[str, int | tuple[int, ...]]:
    """Arguments with which segmentation-models-pytorch builds a decoder of these channels.

    Parameters
    ----------
    arch : str
        Architecture.
    channels : sequence of int, or None
        As many as `usual_channels` has; None for those.

    Returns
    -------
    dict of str to int or tuple of int
        By the name of the parameter; empty for None.

    Raises
    ------
    UsageError
        If they do not fit the architecture.
    """
    if channels is None:
        return {}
    usual = usual_channels(arch)
    if len(channels) != len(usual):
        raise UsageError(f"{len(channels)} numbers of channels where {arch} has {len(usual)}")
    if not all(type(n) is int and 1 <= n <= _MOST for n in channels):
        raise UsageError(f"channels must be whole numbers from 1 to {_MOST}")
    if arch == "fpn" and channels[-1] % _FPN_GROUPS:
        raise UsageError(f"the last channels of fpn must be a multiple of {_FPN_GROUPS}")
    names = USUAL_CHANNELS.get(arch, {})
    if len(names) == 1 and len(usual) > 1:
        return {name: tuple(channels) for name in names}
    return dict(zip(names, channels, strict=True))


def usual_channels(arch: str) -> tuple[int, ...]:
    """Channels that segmentation-models-pytorch gives a decoder; none where it has no such choice.

    Examples
    --------
    >>> usual_channels("fpn")
    (256, 128)
    """
    return sum(USUAL_CHANNELS.get(arch, {}).values(), ())
