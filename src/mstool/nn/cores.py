"""How many cores this process may use: those that it is bound to, and what its quota pays for."""

import math
import os
from pathlib import Path

from mstool.io.control_groups import groups_around


def available_cores(root: Path = Path("/")) -> int:
    """Cores that this process may use; fewer than the machine has under a batch system.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.

    Returns
    -------
    int
        Cores by affinity, or the quota of control groups rounded down where that is less, divided
        by the processes of torchrun that share them; 1 at least.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    bound = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, math.floor(min(bound, cpu_quota(root)) / processes_here()))


def processes_here() -> int:
    """Processes of this machine that torchrun has started for the same work; 1 without it."""
    n = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, int(n)) if n.isdigit() else 1


def cpu_quota(root: Path = Path("/")) -> float:
    """Quota of CPU time that control groups give this process.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.

    Returns
    -------
    float
        Cores [1], the least of the group and all groups around it; infinite without a quota.

    References
    ----------
    .. [1] Linux kernel, Control Group v2, "CPU Interface Files"; CFS Bandwidth Control (v1).
    """
    quotas = (_read_quota(folder) for folder in groups_around("cpu", root))
    return min(quotas, default=math.inf)


def _read_quota(group: Path) -> float:
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = (
                (group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period")
            )
        is_limited = quota != "max" and float(quota) > 0  # -1 in version 1
        return float(quota) / float(period) if is_limited else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
