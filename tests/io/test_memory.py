"""Memory that is free, by the machine and by control groups, read from made files."""

import pytest

from mstool.io.memory import free_memory_bytes

GIB = 2**30
MACHINE = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable: {8 * GIB // 1024} kB\n"}
V2, V1 = "0::/job\n", "4:cpu:/j\n5:memory:/job\n"


def limits(limit, used, active=0, inactive=0):
    """Files of version 2 of control groups [GiB]."""
    stat = f"anon 7\nactive_file {int(active * GIB)}\ninactive_file {int(inactive * GIB)}\n"
    return {"memory.max": str(limit), "memory.current": str(used * GIB), "memory.stat": stat}


def below(folder, files):
    return {f"sys/fs/cgroup/{folder}{name}": text for name, text in files.items()}


OLD = {
    "memory.limit_in_bytes": str(4 * GIB),
    "memory.usage_in_bytes": str(3 * GIB),
    "memory.stat": f"active_file 1\ntotal_active_file 0\ntotal_inactive_file {GIB}\n",
}


@pytest.mark.parametrize(
    ("cgroup", "files", "free"),
    [
        (V2, {}, 8),
        (V2, below("job/", limits("max", 3)), 8),
        (V2, below("job/", limits(4 * GIB, 3)), 1),
        (V2, below("job/", limits(4 * GIB, 4, 1, 2)), 3),  # what files take is had for the asking
        (V2, below("", limits(2 * GIB, 0)) | below("job/", limits(4 * GIB, 0)), 2),
        (V2, below("job/", limits(2 * GIB, 3)), 0),
        (V2, below("other/", limits(2 * GIB, 0)), 8),
        (V1, below("memory/job/", OLD), 2),
        (V1, below("cpu/j/", OLD), 8),
    ],
)
def test_free_memory_is_the_least_of_machine_and_groups(tmp_path, cgroup, files, free):
    for name, text in {"proc/self/cgroup": cgroup, **MACHINE, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert free_memory_bytes(tmp_path) == free * GIB


def test_where_nothing_tells_four_gigabytes_are_taken_to_be_free(tmp_path):
    assert free_memory_bytes(tmp_path) == 4 * GIB
