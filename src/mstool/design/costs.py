"""What jobs cost, and what that of a part says of the whole."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mstool.design.jobs import Job

# What decides how long a network looks at a tile.
_NETWORK = ("arch", "encoder", "depth", "width", "padding", "decoder_channels", "features")


@dataclass(frozen=True)
class Cost:
    """Seconds of one core, and bytes on disk."""

    core_s: float
    n_bytes: float

    def times(self, factor: float, start_s: float = 0.0) -> "Cost":
        """Cost of `factor` times the work, beginning but once, which takes `start_s` [core-s]."""
        work_s = max(self.core_s - start_s, 0.0)
        return Cost(start_s + factor * work_s, factor * self.n_bytes)


def extend(one: Cost, several: Cost, n_several: int, n: int) -> Cost:
    """Cost of a run of `n` epochs, or validations, from those of runs of one and of several.

    The disk is that of the latter.
    """
    each_s = max(several.core_s - one.core_s, 0.0) / (n_several - 1)
    return Cost(one.core_s + each_s * (n - 1), several.n_bytes)


def kinds_of(
    jobs: Sequence[Job], trainings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Hashable]:
    """Kind of each job by target: jobs of one kind cost about the same.

    Parameters
    ----------
    jobs : sequence of Job
        Of a study, in order.
    trainings : mapping
        Settings of each training by target, as in its record.
    """
    made = {job.made for job in jobs}
    by_target = {job.target: job for job in jobs}
    return {job.target: _kind_of(job, by_target, made, trainings) for job in jobs}


def _kind_of(
    job: Job,
    by_target: Mapping[str, Job],
    made: set[str],
    trainings: Mapping[str, Mapping[str, Any]],
) -> Hashable:
    tiles = next((need for need in job.needs if need.endswith("/tiles.json")), "")
    options = tuple(word for word in job.argv[1:-2] if word not in made)
    if job.stage in ("tile", "split"):
        return job.target
    if job.stage == "train":
        settings = {**trainings[job.target]}
        settings["fit"] = {**settings["fit"], "seed": None}
        split = job.argv[job.argv.index("--split") + 1]  # which says how many folds there are
        return job.stage, tiles, split, repr({**settings, "test_fold": None}), "all" in job.argv
    if job.stage == "predict":
        settings = trainings[model_target(job, trainings)]
        return job.stage, tiles, repr([settings[name] for name in _NETWORK]), options
    if job.stage == "stitch":
        before = by_target[job.needs[0]]
        return job.stage, before.needs[0], options
    if job.stage == "score":
        return job.stage, options, len(job.needs)
    return job.stage, options, repr(trainings[model_target(job, trainings)])


def model_target(job: Job, trainings: Mapping[str, Any]) -> str:
    """Target of the training whose model a job uses."""
    return next(need for need in job.needs if need in trainings)
