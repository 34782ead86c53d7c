"""What a network asks of its input, checked in one place and said in one message."""

from collections.abc import Sequence
from dataclasses import dataclass

from mstool.errors import InputError
from mstool.micrographs.grey_range import compare_greys, levels_beside_bits
from mstool.micrographs.own_greys import OWN_GREYS
from mstool.reporting import Reporter

_SAME_SIZE = 0.02  # pixel sizes closer than this are the same
_OWN = f"--rescale-greys {OWN_GREYS}"


@dataclass(frozen=True)
class Needs:
    """What a network was trained on.

    Attributes
    ----------
    name : str
        Of the model, for messages.
    classes : tuple of str
        In order.
    n_channels : int
        1 for grey, 3 for colour.
    is_grey_in_colour : bool
        Whether its three channels were the same in training, so that grey does as well.
    dtype : str
        Of stored pixel values.
    greys : tuple of float
        Quantiles of stored values; empty if it does not know.
    pixel_size_um : float or None
        Of the training tiles [um/px].
    scale : float or None
        Magnification of the micrographs before training tiles were cut; None if it does not know.
    micrographs : frozenset of str
        Content hashes of those that were trained on, validated and tested.
    has_own_greys : bool
        Whether the greys of each micrograph were stretched by its own.
    """

    name: str
    classes: tuple[str, ...]
    n_channels: int
    is_grey_in_colour: bool
    dtype: str
    greys: tuple[float, ...] = ()
    pixel_size_um: float | None = None
    scale: float | None = None
    micrographs: frozenset[str] = frozenset()
    has_own_greys: bool = False


@dataclass(frozen=True)
class GivenMicrograph:
    """One micrograph of those that are to be shown to a network.

    Attributes
    ----------
    name : str
        Of the file.
    pixel_size_um : float or None
        After scaling [um/px].
    sha256 : str or None
        Content hash, where it is known.
    """

    name: str
    pixel_size_um: float | None
    sha256: str | None = None


@dataclass(frozen=True)
class Given:
    """What is to be shown to a network.

    Attributes
    ----------
    name : str
        Of the tile folder or the set, for messages.
    n_channels : int
        1 for grey, 3 for colour.
    dtype : str
        Of stored pixel values.
    classes : tuple of str, or None
        Of the label maps; None without.
    greys : tuple of float
        Quantiles of stored values; empty if they are not known.
    pixel_size_um : float or None
        That all share, after scaling [um/px].
    scale : float
        That has been applied.
    micrographs : tuple of GivenMicrograph
        Each of them, where that is known.
    levels : tuple of float, or None
        Greys of the files that are black and white as they are read; None if that is not known.
    has_own_greys : bool
        Whether the greys of each micrograph are stretched by its own.
    """

    name: str
    n_channels: int
    dtype: str
    classes: tuple[str, ...] | None = None
    greys: tuple[float, ...] = ()
    pixel_size_um: float | None = None
    scale: float = 1.0
    micrographs: tuple[GivenMicrograph, ...] = ()
    levels: tuple[float, float] | None = None
    has_own_greys: bool = False


def check_needs(needs: Sequence[Needs], given: Given, report: Reporter, verb: str = "tile") -> None:
    """See that micrographs are such as networks were trained on.

    Parameters
    ----------
    needs : sequence of Needs
        Of each network.
    given : Given
        The micrographs.
    report : Reporter
        Told what a network can stand and will suffer from: another pixel size, other grey levels.
    verb : str
        That reads the micrographs, whose flags mend what is in the way.

    Raises
    ------
    InputError
        If a network cannot take them. All that is in the way is in the message, with the one
        command that mends it.
    """
    for one in needs:
        wrong, flags = _list_obstacles(one, given)
        if wrong:
            raise InputError(
                f"{given.name}: {', and '.join(wrong)}; {_remedy(one, given, flags, verb)}"
            )
        for doubt in _list_doubts(one, given, verb):
            report.note(doubt)


def _remedy(needs: Needs, given: Given, flags: Sequence[str | None], verb: str) -> str:
    """What mends all that is in the way; `flags` has None for what no flag of `verb` removes."""
    remedies = []
    if needs.classes != (given.classes or needs.classes):
        remedies.append("use the legend that the model was trained with")
    if given.has_own_greys and not needs.has_own_greys:
        remedies.append(f"leave {_OWN} of mstool {verb} out")
    if None in flags:
        remedies.append("give such")
    elif flags:
        size = _scale_to(needs, given)
        own = _OWN if needs.has_own_greys else ""  # also where they are: files are read anew
        scale = f"--scale {size:.4g}" if size else ""
        remedies.append(
            f"mstool {verb} {' '.join(filter(None, [*flags, own, scale]))} makes them fit"
        )
    return "; ".join(remedies)


def _list_doubts(needs: Needs, given: Given, verb: str) -> list[str]:
    """What a network can stand, and may do worse with."""
    doubts = _list_other_sizes(needs, given)
    size = _scale_to(needs, given)
    if size and (given.pixel_size_um or _has_unknown_sizes(needs, given)):
        doubts.append(_size_in_words(needs, given, size))
    if needs.has_own_greys:  # of which no range tells anything
        return doubts
    greys = compare_greys(given.greys, needs.greys, given.dtype, given.levels, verb)
    if greys:
        doubts.append(f"warning: {given.name}: {greys}")
    return doubts


def _list_obstacles(needs: Needs, given: Given) -> tuple[list[str], list[str | None]]:
    """What is in the way, and flags of tile that remove it: None where there is none."""
    wrong: list[str] = []
    flags: list[str | None] = []
    is_wider = needs.n_channels == 3 and given.n_channels == 1
    if needs.n_channels != given.n_channels and not (is_wider and needs.is_grey_in_colour):
        wrong.append(
            f"micrographs have {given.n_channels} channels, {needs.name} takes {needs.n_channels}"
        )
        flags.append("--grey" if needs.n_channels == 1 else None)
    if needs.dtype != given.dtype:
        wrong.append(f"pixels are {given.dtype}, {needs.name} was trained on {needs.dtype}")
        flags.append(_conversion(needs, given))
    if needs.has_own_greys and not given.has_own_greys:
        wrong.append(f"greys are read without {_OWN}, {needs.name} was trained with it")
        flags.append("")  # which `_remedy` knows
    if given.has_own_greys and not needs.has_own_greys:
        wrong.append(f"greys are read with {_OWN}, {needs.name} was trained without it")
    if given.classes is not None and given.classes != needs.classes:
        wrong.append(
            f"label maps have classes {', '.join(given.classes)}, {needs.name} has "
            f"{', '.join(needs.classes)}"
        )
    known = [one for one in given.micrographs if one.sha256 in needs.micrographs]
    is_certain = any(not (needs.pixel_size_um and one.pixel_size_um) for one in known)
    if is_certain and _scale_to(needs, given):
        wrong.append(f"{_scales_in_words(needs, given)}, from the same micrographs")
        flags.append("")  # which `_remedy` knows
    return wrong, flags


def _conversion(needs: Needs, given: Given) -> str | None:
    """Flags that give the pixels of training, with a range where files fill little of their type.

    None where there are none.
    """
    bits = {"uint8": "--bits 8", "uint16": "--bits 16"}.get(needs.dtype)
    if needs.has_own_greys:
        return bits
    types = given.dtype, needs.dtype
    levels = bits and levels_beside_bits(given.greys, needs.greys, types, given.levels)
    return f"{bits} --rescale-greys {levels[0]:g},{levels[1]:g}" if levels else bits


def _has_unknown_sizes(needs: Needs, given: Given) -> bool:
    """Whether no pixel size tells if some micrographs are at the scale of training."""
    sizes = [one.pixel_size_um for one in given.micrographs] or [given.pixel_size_um]
    return needs.pixel_size_um is None or None in sizes


def _list_other_sizes(needs: Needs, given: Given) -> list[str]:
    """What is said of micrographs of unlike pixel sizes, some of which are not that of training."""
    if needs.pixel_size_um is None or given.pixel_size_um is not None:
        return []
    sizes = {one.name: one.pixel_size_um for one in given.micrographs if one.pixel_size_um}
    others = [name for name in sizes if not is_same_size(sizes[name], needs.pixel_size_um)]
    if not others:
        return []
    more = f" (and {len(others) - 1} more another)" if len(others) > 1 else ""
    scale = given.scale * sizes[others[0]] / needs.pixel_size_um
    return [
        f"warning: {needs.name}: was trained at {needs.pixel_size_um:.4g} um/px, {others[0]} of "
        f"{given.name} has {sizes[others[0]]:.4g}{more}; take micrographs of each pixel size "
        f"apart; for that one, --scale {scale:.4g} makes them alike"
    ]


def _size_in_words(needs: Needs, given: Given, scale: float) -> str:
    if not (needs.pixel_size_um and given.pixel_size_um):
        return (
            f"warning: {_scales_in_words(needs, given)}, and no pixel size tells whether they are "
            f"alike; if they come from one microscope and magnification, --scale {scale:.4g} makes "
            "them so"
        )
    return (
        f"{needs.name}: was trained at {needs.pixel_size_um:.4g} um/px, {given.name} has "
        f"{given.pixel_size_um:.4g}; --scale {scale:.4g} makes them alike"
    )


def _scales_in_words(needs: Needs, given: Given) -> str:
    return (
        f"{needs.name} was trained on tiles cut with --scale {needs.scale:.4g}, those of "
        f"{given.name} were cut with {given.scale:.4g}"
    )


def is_same_size(one_um: float, other_um: float) -> bool:
    """Whether two pixel sizes are nearly the same."""
    return abs(one_um / other_um - 1) <= _SAME_SIZE


def _scale_to(needs: Needs, given: Given) -> float | None:
    """Magnification of the stored micrographs that gives the pixel size of training, if not that.

    None where it is that already. Where a pixel size is not known it is the magnification of
    training, or None if that is not known either.
    """
    theirs, ours = needs.pixel_size_um, given.pixel_size_um
    if theirs and ours:
        return None if is_same_size(ours, theirs) else given.scale * ours / theirs
    return None if is_same_size(given.scale, needs.scale or given.scale) else needs.scale
