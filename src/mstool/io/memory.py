"""What an image takes in memory, held against its file and the machine before it is taken."""

import math
from pathlib import Path

from mstool.errors import InputError, UnavailableError
from mstool.io.control_groups import groups_around

# No codec makes pixels of so few bytes but of images that are nearly all one value.
MOST_RATIO = 2**17
_ALWAYS_BYTES = 2**26  # that are not worth a doubt


def refuse_hollow(path: Path, n_bytes: int, n_stored: int, most_ratio: int = MOST_RATIO) -> None:
    """Refuse an image that says it is far larger than the data stored for it can be.

    Parameters
    ----------
    path : Path
        The file.
    n_bytes : int
        Bytes of its pixels, by what its header says.
    n_stored : int
        Bytes that are stored for them.
    most_ratio : int
        Pixels in bytes that the compression makes of a byte, at most.

    Raises
    ------
    InputError
        If so.
    """
    if n_bytes > max(_ALWAYS_BYTES, most_ratio * n_stored):
        raise InputError(
            f"{path}: is damaged, it says that it holds {n_bytes / 1e6:.0f} MB of pixels, and has "
            f"{n_stored / 1e6:.3g} MB of data for them; copy it again, or save it anew"
        )


def refuse_beyond_memory(path: Path, n_bytes: int) -> None:
    """Refuse an image that has to be decoded whole, and is larger than the memory that is free.

    Raises
    ------
    UnavailableError
        If so.
    """
    if n_bytes > free_memory_bytes():
        raise UnavailableError(
            f"{path}: takes {n_bytes / 1e9:.1f} GB of memory to decode, more than is free; save it "
            "as TIFF in tiles, which is read by parts, or use a machine with more"
        )


def free_memory_bytes(root: Path = Path("/")) -> float:
    """Memory that can be had without swapping; 4 GiB where the system does not tell.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.

    Returns
    -------
    float
        What the machine has, or the least that a control group leaves [1]; 0 at least.

    References
    ----------
    .. [1] Linux kernel, Control Group v2, "Memory Interface Files"; Memory Controller (v1).
    """
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        free = float(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 4 * 2.0**30
    return max(0.0, min([free, *map(_left_by, groups_around("memory", root))]))


def _left_by(group: Path) -> float:
    """Memory that a control group leaves; infinite without a limit."""
    try:
        if (group / "memory.max").is_file():
            names, prefix = ("memory.max", "memory.current"), ""
        else:
            names, prefix = ("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_"
        limit, used = (float((group / name).read_text()) for name in names)
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # files that were read and written stay in memory until it is wanted
        cached = sum(float(kept.get(f"{prefix}{age}_file", 0)) for age in ("active", "inactive"))
        return limit - used + min(cached, used)
    except (OSError, ValueError):  # "max" is no limit
        return math.inf
