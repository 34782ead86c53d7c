"""Cores by affinity and by quotas of control groups, read from made files."""

import math
import os

import pytest

from mstool.nn import cores
from mstool.nn.cores import available_cores, cpu_quota


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Callable that makes ``proc`` and ``sys`` of files by path, on a machine of 16 cores."""
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)

    def make(cgroup, files):
        for name, text in {"proc/self/cgroup": cgroup, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


V2 = "0::/user/job\n"
V1 = "5:memory:/m\n4:cpu,cpuacct:/job/step\n0::/\n"


@pytest.mark.parametrize(
    ("cgroup", "files", "quota"),
    [
        (V2, {}, math.inf),
        (V2, {"user/job/cpu.max": "max 100000\n"}, math.inf),
        (V2, {"user/job/cpu.max": "250000 100000\n"}, 2.5),
        (V2, {"user/job/cpu.max": "max 100000\n", "user/cpu.max": "300000 100000\n"}, 3),
        (V2, {"user/job/cpu.max": "400000 100000\n", "user/cpu.max": "800000 100000\n"}, 4),
        ("0::/of/the/host\n", {"cpu.max": "200000 50000\n"}, 4),  # seen inside a container
        (V2, {"other/cpu.max": "100000 100000\n"}, math.inf),
        (V2, {"user/job/cpu.max": "nonsense\n"}, math.inf),
        (V1, {"cpu,cpuacct/job/step/cpu.cfs_quota_us": "-1\n"}, math.inf),
        *[
            (
                V1,
                {
                    f"{mount}/cpu.cfs_quota_us": "150000\n",
                    f"{mount}/cpu.cfs_period_us": "100000\n",
                },
                1.5,
            )
            for mount in ("cpu,cpuacct/job/step", "cpu,cpuacct/job", "cpu/job/step", "cpu")
        ],
        (
            V1,
            {
                "cpu/job/step/cpu.cfs_quota_us": "-1\n",
                "cpu/job/step/cpu.cfs_period_us": "100000\n",
                "cpu/job/cpu.cfs_quota_us": "700000\n",
                "cpu/job/cpu.cfs_period_us": "100000\n",
            },
            7,
        ),
        (
            "5:memory:/m\n",
            {"memory/m/cpu.cfs_quota_us": "1\n", "memory/m/cpu.cfs_period_us": "1\n"},
            math.inf,
        ),
    ],
)
def test_quota_is_the_least_of_the_groups_around(system, cgroup, files, quota):
    root = system(cgroup, {f"sys/fs/cgroup/{name}": text for name, text in files.items()})
    assert cpu_quota(root) == quota


@pytest.mark.parametrize(
    ("limit", "n"), [("max", 16), ("3990", 3), ("400", 1), ("1000", 1), ("99000", 16)]
)
def test_cores_are_whole_and_never_none(system, limit, n):
    root = system("0::/\n", {"sys/fs/cgroup/cpu.max": f"{limit} 1000\n"})
    assert available_cores(root) == n


def test_without_control_groups_affinity_counts(tmp_path):
    assert cpu_quota(tmp_path) == math.inf
    assert 1 <= available_cores(tmp_path) <= os.cpu_count()
