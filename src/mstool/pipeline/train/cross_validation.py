"""Fit one model a fold, each fold being the test of one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mstool.errors import CheckFailed, Interrupted
from mstool.io.outputs import OutputFolder
from mstool.io.records import read_record, sha256_of_file
from mstool.io.split_csv import read_split
from mstool.micrographs.tile_folder import open_tile_folder
from mstool.nn.checkpoint import MODEL
from mstool.nn.device import Compute
from mstool.nn.fit_state import FitSettings
from mstool.pipeline.fold_models import CV_RECORD, fold_folder
from mstool.pipeline.job import Job
from mstool.pipeline.train.shared_views import refuse_shared_folds
from mstool.pipeline.train.train import RECORD, train_model, training_inputs
from mstool.pipeline.train.train_flags import TrainSettings
from mstool.splits.roles import choose_roles

_LEAST_SHARE_S = 1.0


def train_folds(
    tiles: Path,
    split: Path,
    settings: TrainSettings,
    compute: Compute,
    cache: Path | None,
    job: Job,
    stop_requested: Callable[[], int | None],
) -> None:
    """Train a network for each fold of a split, and write a folder of model folders.

    The parameters are those of `train_model`, which makes each of them. They are trained one after
    the other: a network takes all threads by itself, and most of the memory.

    Raises
    ------
    CheckFailed
        If some folds failed; the others are kept.
    Interrupted
        If stopped; the same command goes on in the same fold.
    """
    fold_of, out = _read_folds(tiles, split, settings.allow_leak), job.out
    folds = sorted(set(fold_of.values()))
    names = [fold_folder(fold) for fold in folds]
    earlier = [path.name for path in sorted(out.glob(fold_folder("[0-9]*")))]  # of another split
    work = job.claim(
        CV_RECORD,
        (*dict.fromkeys([*names, *earlier]),),
        settings.as_record(),
        training_inputs(tiles, split, settings),
        lambda: [out / name / MODEL for name in names],
    )
    if work is None:
        return
    shares, failures = BudgetShares(settings.fit.max_time_s, folds, job), {}
    with work.filling():
        if not settings.allow_leak:  # which would fail fold by fold
            refuse_shared_folds(open_tile_folder(tiles), fold_of, split, job.report)
        for fold, name in zip(folds, names, strict=True):
            if (code := stop_requested()) is not None:
                raise Interrupted(
                    f"{out}: stopped before fold {fold}; run the same command to go on", code
                )
            alone = replace(settings, test_fold=fold, fit=shares.give(fold, settings.fit))
            report = replace(job.report, verb=f"{job.report.verb}: fold {fold}")
            fold_job = Job(out / name, overwrite=False, report=report)
            try:
                train_model(tiles, split, alone, compute, cache, fold_job, stop_requested)
            except Exception as error:  # whatever it is, the other folds can be trained
                report.note(f"failed: {error}")
                failures[fold] = error
        _refuse_failures(failures, folds, out)
    rows = [_describe(fold, out) for fold in folds]
    work.finish(work.describe(compute.name, compute.n_threads) | {"folds": rows})
    job.report.note(f"{out}: {len(folds)} models; {_closing_words(rows)}")


class BudgetShares:
    """What each fold gets of ``--max-time``: a like part of what earlier ones have left.

    A fold that was begun keeps its share, which is one of its settings.

    Parameters
    ----------
    max_time_s : float or None
        Budget for all folds [s]; None for none.
    folds : sequence of int
        In the order in which they are trained.
    job : Job
        Whose folder holds those of the folds, and whose clock counts.
    """

    def __init__(self, max_time_s: float | None, folds: Sequence[int], job: Job):
        self.max_time_s, self.folds, self.job = max_time_s, folds, job
        self._earlier = self._finished()

    def give(self, fold: int, fit: FitSettings) -> FitSettings:
        """Settings of the training loop of a fold whose turn it is."""
        if self.max_time_s is None:
            return fit
        return replace(fit, max_time_s=self._begun_with(fold) or self._share(fold))

    def _finished(self) -> dict[int, dict[str, Any]]:
        """Records of the folds that are trained."""
        records = {fold: self.job.out / fold_folder(fold) / RECORD for fold in self.folds}
        return {fold: read_record(path) for fold, path in records.items() if path.is_file()}

    def _begun_with(self, fold: int) -> float | None:
        claim = OutputFolder(self.job.out / fold_folder(fold), RECORD, ()).claim_path
        record = self._earlier.get(fold) or (read_record(claim) if claim.is_file() else {})
        return record.get("settings", {}).get("fit", {}).get("max_time_s")

    def _share(self, fold: int) -> float:
        # what failed counts by the clock, what was stopped and taken up by what its record says
        by_clock = time.monotonic() - self.job.run.clock + _training_s(self._earlier)
        spent = max(by_clock, _training_s(self._finished()))
        n_left = sum(each >= fold and each not in self._earlier for each in self.folds)
        return max(_LEAST_SHARE_S, round((self.max_time_s - spent) / n_left, 1))


def _training_s(records: dict[int, dict[str, Any]]) -> float:
    return sum(record["train_s"] for record in records.values())


def _read_folds(tiles: Path, split: Path, allow_leak: bool) -> dict[str, int]:
    """Fold of each micrograph; each fold can be the test, and what stops all is found here."""
    rows, sources = read_split(split), open_tile_folder(tiles).sources
    for fold in sorted({row.fold for row in rows}):
        choose_roles(rows, sources, fold, None, str(split), allow_leak)
    return {row.source: row.fold for row in rows}


def _refuse_failures(failures: dict[int, Exception], folds: Sequence[int], out: Path) -> None:
    """End with the error itself if no fold can be trained, else with one that names the folds."""
    if not failures:
        return
    first, error = next(iter(failures.items()))
    if len(failures) == len(folds):
        raise error
    more = f", and so did {', '.join(map(str, [*failures][1:]))}" if len(failures) > 1 else ""
    reason = f"{error}".partition(";")[0] or type(error).__name__
    raise CheckFailed(
        f"{out}: fold {first} failed{more} ({reason}); the others are kept: mend this, and run the "
        "same command again"
    ) from error


def _describe(fold: int, out: Path) -> dict[str, Any]:
    folder = out / fold_folder(fold)
    record = read_record(folder / RECORD)
    return {
        "fold": fold,
        "sha256": sha256_of_file(folder / MODEL),
        "train_s": record["train_s"],
        "train_core_s": record.get("train_core_s"),  # records of older versions lack it
        "validation": record["validation"],
        "test": record["sources"]["test"],
    }


def _closing_words(rows: Sequence[dict[str, Any]]) -> str:
    scores = [row["validation"].get("val_mean_iou") for row in rows]
    known = [score for score in scores if score is not None]
    if not known:
        return "nothing could be validated"
    return (
        f"best validation mean IoU {min(known):.4f} to {max(known):.4f}; predict --select "
        "out-of-fold tests them"
    )
