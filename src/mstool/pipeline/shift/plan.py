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
    """All that decides the result, besides inputs.

    Attributes
    ----------
    size, fields : int
        Edge of a field of view [px], and fields of each micrograph at most.
    scale : float
        Magnification of both sets.
    group_by : str or None
        Finds the specimen in a file name.
    grey : bool
        Whether colour is turned to grey.
    pixel_size_um : float or None
        Of both sets [um/px].
    permutations : int
        Of the tests.
    alpha : float
        Chance of a false alarm over all tests [1].
    tolerance : float
        Loss of mean IoU from which a shift is harmful [1].
    doses : dict of str to tuple of float
        Simulated doses by family.
    simulated_images : int
        Micrographs of the source that are changed, at most.
    repairs : tuple of str
        What is tried.
    is_auto : bool
        Whether the best of them is chosen, or the one that was named.
    save_simulated : bool
        Whether simulated images are written.
    advise : int
        Target micrographs to annotate next; 0 for no advice.
    precision : str
        Number format of the network.
    seed : int
        Source of all chance.
    """

    size: int
    fields: int
    scale: float
    group_by: str | None
    grey: bool
    pixel_size_um: float | None
    permutations: int
    alpha: float
    tolerance: float
    doses: dict[str, tuple[float, ...]]
    simulated_images: int
    repairs: tuple[str, ...]
    is_auto: bool
    save_simulated: bool
    advise: int
    precision: str
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
