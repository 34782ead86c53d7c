"""A training loop inside a job: with which threads it begins, from where, and how it is stopped."""

from collections.abc import Callable

from mstool.errors import Interrupted
from mstool.io.damage import reading
from mstool.nn.fit import Fit
from mstool.nn.fit_state import state_from
from mstool.nn.resume import read_state
from mstool.nn.threads import ThreadTrial, begin_trial
from mstool.pipeline.job import Job
from mstool.reporting import Reporter


def begin_threads(asked: str, may_try: bool, state: str, job: Job) -> ThreadTrial:
    """Set the threads to begin with: those of the unfinished run, or by the flag.

    `state` is that of the `Work`, here and in `go_on`.
    """
    folder = job.out / "resume"
    kept = read_state(folder) if state == "unfinished" else None
    with reading(folder, "cannot go on from here", "use --overwrite"):
        return begin_trial(asked, kept and kept.get("threads"), may_try, job.report)


def kept_views(state: str, job: Job) -> int | None:
    """Views of the tiles that an unfinished run has looked at; None where it does not say."""
    folder = job.out / "resume"
    kept = read_state(folder) if state == "unfinished" else None
    with reading(folder, "cannot go on from here", "use --overwrite"):
        return None if kept is None else state_from(kept).n_views


def note_large_crop(crop: int | None, tile: int, report: Reporter) -> None:
    """Say that crops are larger than tiles, of which they then show mirror images."""
    if crop is not None and crop > tile:
        report.note(
            f"--crop {crop}: larger than the tiles of {tile} pixels, which are filled up by "
            "reflection; to show more of the micrographs, cut larger tiles"
        )


def go_on(fit: Fit, state: str, job: Job) -> None:
    """Take up an unfinished run where it was left, and say so.

    Raises
    ------
    MissingInputError
        If not all processes of a team find it.
    """
    is_resumed = state == "unfinished" and fit.resume()
    fit.team.require_same(
        fit.state.n_steps,
        f"{fit.folder}: not all processes of torchrun see it; give an --out that all share",
    )
    if is_resumed:
        job.report.note(f"going on at epoch {fit.state.epoch + 1}, step {fit.state.n_steps}")


def run_to_end(fit: Fit, job: Job, stop_requested: Callable[[], int | None]) -> None:
    """Train to the end.

    Raises
    ------
    Interrupted
        If stopped; the same command goes on.
    """
    if not fit.run(job.report, lambda: stop_requested() is not None):
        raise Interrupted(
            f"{job.out}: stopped at epoch {fit.state.epoch + 1}; run the same command to go on",
            stop_requested() or 75,
        )
