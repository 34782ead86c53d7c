"""How two sets are compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from mstool.errors import UsageError
from mstool.shift.choice import NONE
from mstool.shift.doses import FAMILIES, parse_doses

AUTO = "auto"
IMAGE_REPAIRS = ("histogram", "reinhard", "curve", "fourier")
MODEL_REPAIRS = ("adabn", "adabn-mixed", "tent")
REPAIRS = (NONE, *IMAGE_REPAIRS, *MODEL_REPAIRS)


@dataclass(frozen=True)
class ShiftSettings:
    """All that decides the result, besides inputs."""

    size: int  # edge of a field of view [px]
    fields: int  # of each micrograph, at most
    scale: float  # magnification of both sets
    group_by: str | None  # finds the specimen in a file name
    grey: bool  # turns colour to grey
    pixel_size_um: float | None  # of both sets
    permutations: int
    alpha: float  # chance of a false alarm over all tests
    tolerance: float  # loss of mean IoU from which a shift is harmful
    doses: dict[str, tuple[float, ...]]  # by family
    simulated_images: int  # micrographs of the source that are changed, at most
    repairs: tuple[str, ...]  # that are tried
    is_auto: bool  # the best of them is chosen, and not the one that was named
    save_simulated: bool
    advise: int  # target micrographs to annotate next; 0 for no advice
    precision: str  # of the network
    seed: int

    def __post_init__(self):
        """Refuse numbers that mean nothing."""
        for flag, value in (("--alpha", self.alpha), ("--tolerance", self.tolerance)):
            if not 0 < value < 1:
                raise UsageError(f"{flag} {value:g}: must lie between 0 and 1")


def parse_simulations(texts: Sequence[str] | None) -> dict[str, tuple[float, ...]]:
    """Doses by family from ``gamma``, ``etch=0:1:0.2``, ``all`` or ``none``.

    All families at their usual doses where nothing is asked for.

    Raises
    ------
    UsageError
        If a family is unknown or its doses are no numbers.
    """
    doses: dict[str, tuple[float, ...]] = {}
    for text in texts or ("all",):
        if text == "none":
            continue
        if text == "all":
            doses |= {name: family.doses for name, family in FAMILIES.items()}
            continue
        name, found = parse_doses(text)
        doses[name] = found
    return doses


def choose_doses(
    texts: Sequence[str] | None, save: bool, has_model: bool
) -> dict[str, tuple[float, ...]]:
    """Doses of `parse_simulations`, where something will come of them.

    Raises
    ------
    UsageError
        As there, and if they are neither shown to a network nor written, or there is none to write.
    """
    doses = parse_simulations(texts)
    if save and not doses:
        raise UsageError("--save-simulated: --simulate none leaves nothing to write; drop either")
    if texts and doses and not (save or has_model):
        raise UsageError(
            f"--simulate {texts[-1]}: needs a network; name one with --model, or give "
            "--save-simulated"
        )
    return doses


def parse_repairs(text: str) -> tuple[tuple[str, ...], bool]:
    """Repairs to try, and whether the best of them is to be chosen.

    Raises
    ------
    UsageError
        If one is unknown.

    Examples
    --------
    >>> parse_repairs("histogram")
    (('none', 'histogram'), False)
    """
    if text == AUTO:
        return REPAIRS, True
    names = [name.strip() for name in text.split(",")]
    if AUTO in names:
        raise UsageError(f"--mitigate {text}: auto tries everything and stands alone")
    for name in names:
        if name not in REPAIRS:
            raise UsageError(f"--mitigate {name}: use auto, {', '.join(REPAIRS)}")
    chosen = tuple(dict.fromkeys((NONE, *names)))
    return (chosen, len(chosen) > 2) if chosen != (NONE,) else ((), False)
