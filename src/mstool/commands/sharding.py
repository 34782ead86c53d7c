"""Options with which several processes do one piece of work, and what they mean for its job."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mstool.commands.option_groups import Group
from mstool.errors import UsageError

if TYPE_CHECKING:
    from mstool.nn.device import Compute
    from mstool.pipeline.job import Job

Shard = Annotated[
    str | None,
    Group.RUNNING(
        "--shard",
        metavar="I/N|auto",
        help="Do the share I of N of the work, I from 0 to N - 1, into a folder of its own beside "
        "--out; auto takes both from a SLURM array or torchrun.",
    ),
]
Merge = Annotated[
    bool,
    Group.RUNNING("--merge", help="Join all shards into --out, and take their folders away."),
]


def divide(job: "Job", shard: str | None, merge: bool, whole: Path) -> "Job":
    """Job of the shard that the options name, or that which joins them all.

    `whole` is the record of all of the work.

    Raises
    ------
    UsageError
        If they contradict each other.
    """
    from dataclasses import replace

    from mstool.pipeline.shards import parse_shard

    if shard is not None and merge:
        raise UsageError("--merge: joins all shards; leave --shard out")
    found = None if shard is None else parse_shard(shard, os.environ)
    return replace(job.divided(found, whole), is_merge=merge)


def resolve_precision(
    job: "Job", record: str, device: str, precision: Any
) -> tuple["Compute", str]:
    """On what to compute, and in which number format; to join shards is to take theirs."""
    from mstool.nn.device import choose_compute
    from mstool.pipeline.shards import find_setting

    if not job.is_merge:
        compute = choose_compute(device, precision)
        return compute, compute.precision
    compute = choose_compute("cpu", "fp32")
    found = find_setting(Path(job.out), record, "precision") or compute.precision
    return compute, found if precision == "auto" else precision
