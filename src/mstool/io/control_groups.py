"""Control groups of Linux: a batch system or a container gives less than the machine has."""

from collections.abc import Iterator
from pathlib import Path


def groups_around(controller: str, root: Path = Path("/")) -> Iterator[Path]:
    """Folders of the groups that this process is in, and of those around them.

    Parameters
    ----------
    controller : str
        ``cpu`` or ``memory``; version 1 of control groups has a tree for each.
    root : Path
        Where ``proc`` and ``sys`` are.

    Yields
    ------
    Path
        A folder, which need not exist: inside a container the path may be that of the host. None
        where there are no control groups.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # not Linux
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # version 2 names no controller; version 1 mounts them under one or all of their names
        for name in {"", controller, controllers}:
            group = mounts / name / path.lstrip("/")
            yield from (group, *group.parents)
