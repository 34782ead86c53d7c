"""What was checked, and what pictures say of it: they are stamped last, when that is known."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstool.explanations.verdicts import DECISIVE
from mstool.io.atomic import atomic_path
from mstool.io.images import read_values
from mstool.pictures.save import save_figure
from mstool.pictures.stamp import stamp_picture

DRAWN = ".drawn"  # pictures as they are drawn, without a stamp


@dataclass(frozen=True)
class ChecksDone:
    """Which checks were made.

    Attributes
    ----------
    made : tuple of str
        In full.
    in_part : tuple of str
        With something left out for lack of time.
    left_out : tuple of str
        Asked for, and not made in full; those in part too.
    """

    made: tuple[str, ...]
    in_part: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def stamp(self) -> str:
        """What pictures say: nothing once all is made without which a map is not trustworthy."""
        needed = dict.fromkeys((*DECISIVE, *self.left_out))
        missing = [name for name in needed if name not in (*self.made, *self.in_part)]
        if not (self.made or self.in_part):
            return "not checked"
        words = {"not checked": missing, "checked in part": self.in_part}
        return "; ".join(f"{word}: {', '.join(names)}" for word, names in words.items() if names)

    @property
    def is_checked(self) -> bool:
        """Whether pictures need no stamp."""
        return not self.stamp


def list_done(asked: Sequence[str], parts: Mapping[str, Any]) -> ChecksDone:
    """See which checks were made.

    Parameters
    ----------
    asked : sequence of str
        Checks that were asked for.
    parts : mapping of str to object
        What was made, by check; None where there was no time.
    """
    in_part = tuple(name for name in asked if parts[name] is not None and parts[name].left_out)
    left_out = tuple(name for name in asked if parts[name] is None or name in in_part)
    return ChecksDone(tuple(name for name in asked if name not in left_out), in_part, left_out)


def place_pictures(out: Path, stamp: str) -> None:
    """Copy pictures to where they belong, with a stamp unless it is empty."""
    for drawn in sorted((out / DRAWN).rglob("*.png")):
        path = out / drawn.relative_to(out / DRAWN)
        path.parent.mkdir(parents=True, exist_ok=True)
        if stamp:
            save_figure(path, stamp_picture(read_values(drawn), stamp))
        else:
            with atomic_path(path) as temporary:
                shutil.copyfile(drawn, temporary)
