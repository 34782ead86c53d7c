"""What a study will cost, from records that are there and from short trials."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mstool.design.costs import Cost, extend, kinds_of
from mstool.design.jobs import Job
from mstool.errors import InputError
from mstool.io.records import read_record
from mstool.io.split_csv import read_split
from mstool.io.tables import to_csv
from mstool.io.tiff import uncompressed_bytes
from mstool.nn.outlook import validations_left
from mstool.pipeline.study.plan_file import Study
from mstool.pipeline.train.train_flags import TrainSettings
from mstool.reporting import Reporter
from mstool.reports.core_time import spent_core_s

_LONGER = 3  # epochs of the longer trials; the shorter has one
_NOTHING = "nothing"  # is known of what a job costs
_UNTRIED = ("explain", "domain-shift")  # are as long as they are; only records tell
_HEADER = ("verb", "commands", "done", "core_hours", "core_hours_left", "disk_gb", "known_from")


def estimate_study(study: Study, trainings: Mapping[str, TrainSettings], report: Reporter) -> str:
    """Core-hours and disk of each verb and of all, as CSV.

    What is done is taken from its record, what is like something done costs as much, and of the
    rest one job of each kind is tried: a training on one fold for a few epochs, and what comes
    after it on the micrographs of that fold. Probabilities take the disk that they would without
    compression, which is the most they can.

    Parameters
    ----------
    study : Study
        The study.
    trainings : mapping
        Settings of each training by target.
    report : Reporter
        Who is told what is tried.

    Raises
    ------
    InputError
        If a trial fails.
    """
    plain = {target: settings.as_record() for target, settings in trainings.items()}
    kinds = kinds_of(study.jobs, plain)
    with tempfile.TemporaryDirectory(prefix="mstool-trial-") as folder:
        trials = Trials(study, trainings, Path(folder), report)
        spent = {job.target: cost for job in study.jobs if (cost := trials.recorded(job))}
        known = {kinds[target]: (cost, "records") for target, cost in spent.items()}
        for job in study.jobs:
            if kinds[job.target] not in known and job.stage not in _UNTRIED:
                known[kinds[job.target]] = trials.estimate(job), "a trial"
    done = {job.target for job in study.jobs if (study.folder / job.target).is_file()}
    rows = [
        _row([job for job in study.jobs if job.stage == stage], done, spent, kinds, known)
        for stage in dict.fromkeys(job.stage for job in study.jobs)
    ]
    for row in rows:
        if _NOTHING in row[-1]:
            report.note(f"{row[0]}: some have no record to go by yet, and are not in the sum")
    return to_csv(_HEADER, [*map(_round, rows), _round(_sum(rows))])


@dataclass
class Trials:
    """Short runs of jobs in a temporary folder, of which nothing stays but what they cost.

    Attributes
    ----------
    study, trainings, report
        As for `estimate_study`.
    folder : Path
        Where they write.
    """

    study: Study
    trainings: Mapping[str, TrainSettings]
    folder: Path
    report: Reporter
    _costs: dict[str, Cost] = field(default_factory=dict)
    _starts: dict[str, float] = field(default_factory=dict)
    _cores: dict[str, float] = field(default_factory=dict)  # busy in a trial, by target

    def recorded(self, job: Job) -> Cost | None:
        """Cost of a job that is done and knows it; but not how long the program loads."""
        target = self.study.folder / job.target
        if not target.is_file():
            return None
        core_s = 0.0 if job.stage == "split" else _core_seconds(read_record(target, job.stage))
        if core_s is None:
            return None
        return Cost(self._start(job, job.argv) + core_s, _size_of(self.study.folder / job.made))

    def estimate(self, job: Job) -> Cost:
        """Cost of a job as a whole; what it needs and is not there is made on one fold."""
        if job.stage != "train" and self._has_inputs(job):
            return self._run(job, [*job.argv[:-1], str(self._place(job.made))])
        cost = self._try(job)
        if job.stage in ("tile", "split"):
            return cost
        start_s = self._start(job, self._words(job))
        if job.stage == "train":
            n_folds = len(self._folds(job)) if "all" in job.argv else 1
            return self._within_budget(job, cost.times(n_folds, start_s))
        if job.stage == "score":
            masks = [need for need in job.needs if need.endswith("/stitch.json")]
            return cost.times(len(masks) * self._share(job), start_s)
        return cost.times(self._share(job), start_s)

    def _try(self, job: Job) -> Cost:
        """Cost of a job on one fold; of training, extended to all its epochs."""
        if job.target not in self._costs:
            self.report.detail(f"trying {' '.join(job.argv)}")
            for need in self._needed(job):
                self._try(need)
            self._costs[job.target] = (
                self._train(job) if job.stage == "train" else self._run(job, self._words(job))
            )
        return self._costs[job.target]

    def _train(self, job: Job) -> Cost:
        """Cost of all epochs and validations on one fold, from trials of few."""
        fit = self.trainings[job.target].fit
        n_validations = validations_left(0, fit.epochs, fit.validate_every)
        longer, one = min(_LONGER, fit.epochs), self._train_briefly(job, 1, 1)
        if longer == 1:
            return one
        if n_validations == fit.epochs:
            return extend(one, self._train_briefly(job, longer, 1), longer, fit.epochs)
        seldom = self._train_briefly(job, longer, longer)
        cost = extend(one, seldom, longer, fit.epochs)
        if n_validations == 1:
            return cost
        often = extend(seldom, self._train_briefly(job, longer, 1), longer, n_validations)
        return Cost(cost.core_s + often.core_s - seldom.core_s, cost.n_bytes)

    def _train_briefly(self, job: Job, n_epochs: int, validate_every: int) -> Cost:
        words = self._words(job)
        words[words.index("--test-fold") + 1] = str(self._folds(job)[0])
        brief = ["--epochs", str(n_epochs), "--validate-every", str(validate_every), "--overwrite"]
        return self._run(job, [*words, *brief])

    def _within_budget(self, job: Job, cost: Cost) -> Cost:
        """Cost of a training that ends with its --max-time, on as many cores as its trial took."""
        budget_s = self.trainings[job.target].fit.max_time_s
        if budget_s is None:
            return cost
        start_s = self._start(job, self._words(job))
        return Cost(min(cost.core_s, start_s + budget_s * self._cores[job.target]), cost.n_bytes)

    def _run(self, job: Job, words: Sequence[str]) -> Cost:
        core_s, elapsed_s = self._measure(job, [*words, "-q"])
        self._cores[job.target] = core_s / elapsed_s
        place = self._place(job.made)
        if job.stage == "predict":  # what a network has hardly learnt yet compresses too well
            return Cost(core_s, sum(map(uncompressed_bytes, place.rglob("*.tif"))))
        return Cost(core_s, _size_of(place))

    def _measure(self, job: Job, words: Sequence[str]) -> tuple[float, float]:
        """Run a verb; give the time that it took of cores, with its children, and its own [s]."""
        started = time.monotonic()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "mstool", *words],
                cwd=self.study.folder,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            lines = said.read().decode(errors="replace").split("\n")
        if process.returncode:
            last = [line for line in lines if line][-1:] or ["it said nothing"]
            raise InputError(f"{self.study.path}: the trial of {job.made} failed: {last[0]}")
        return usage.ru_utime + usage.ru_stime, time.monotonic() - started

    def _start(self, job: Job, words: Sequence[str]) -> float:
        """Time that the verb of a job takes to begin [core-s], measured once."""
        if job.stage not in self._starts:
            self._starts[job.stage], _ = self._measure(job, [*words, "--dry-run"])
        return self._starts[job.stage]

    def _words(self, job: Job) -> list[str]:
        """Command line of a job that writes into the temporary folder, on one fold."""
        made = {each.made for each in self.study.jobs} - {*self._spared(job)}
        words = [str(self._place(word)) if word in made else word for word in job.argv]
        if job.stage == "predict":
            words[words.index("--select") + 1] = "test"
        return [word for word in words if word not in self._spared(job)]

    def _spared(self, job: Job) -> list[str]:
        """Folders that a trial does without: masks of all runs of a score but the first."""
        if job.stage != "score":
            return []
        return [each.made for each in self._makers(job) if each.stage == "stitch"][1:]

    def _needed(self, job: Job) -> list[Job]:
        """Jobs whose artefacts a trial of this one needs."""
        spared = self._spared(job)
        return [each for each in self._makers(job) if each.made not in spared]

    def _makers(self, job: Job) -> list[Job]:
        """Jobs that make what this one needs."""
        return [each for each in self.study.jobs if each.target in job.needs]

    def _has_inputs(self, job: Job) -> bool:
        return all((self.study.folder / need).exists() for need in job.needs)

    def _place(self, made: str) -> Path:
        """Where an artefact lies: tiles and splits that are there are used."""
        owner = next((job for job in self.study.jobs if job.made == made), None)
        is_there = owner is not None and (self.study.folder / owner.target).is_file()
        if is_there and owner.stage in ("tile", "split"):
            return Path(made)
        return self.folder / made

    def _split_of(self, job: Job) -> Path:
        """Split that a job's model was trained on."""
        while job.stage != "train":
            job = self._needed(job)[-1]
        name = job.argv[job.argv.index("--split") + 1]
        made = {each.made for each in self.study.jobs}
        return self.study.folder / (self._place(name) if name in made else name)

    def _folds(self, job: Job) -> list[int]:
        rows = read_split(self._split_of(job))
        if self.study.plan.folds is not None:
            return list(self.study.plan.folds)
        return sorted({row.fold for row in rows})

    def _share(self, job: Job) -> float:
        """Micrographs of a job for each one of the trial."""
        rows = read_split(self._split_of(job))
        if self.study.plan.folds is not None:
            return 1.0
        first = self._folds(job)[0]
        return len(rows) / sum(row.fold == first for row in rows)


def _core_seconds(record: dict[str, Any]) -> float | None:
    """Time of a core that a verb took [s], of all sessions if it was stopped; None if unknown."""
    of_folds = sum(part.get("train_core_s") or 0.0 for part in record.get("folds") or ())
    spent = spent_core_s(record)
    return None if spent is None else max(spent, of_folds)


def _size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files if each.is_file())


def _row(
    jobs: Sequence[Job],
    done: Collection[str],
    spent: Mapping[str, Cost],
    kinds: Mapping[str, Hashable],
    known: Mapping[Hashable, tuple[Cost, str]],
) -> list[Any]:
    costs, sources = {}, []
    for job in jobs:
        alike, source = known.get(kinds[job.target], (None, _NOTHING))
        costs[job.target] = spent.get(job.target, alike)
        sources.append(source)
    told = {target: cost for target, cost in costs.items() if cost is not None}
    left_s = sum(cost.core_s for target, cost in told.items() if target not in done)
    return [
        jobs[0].stage,
        len(jobs),
        sum(target in done for target in costs),
        sum(cost.core_s for cost in told.values()) / 3600,
        left_s / 3600,
        sum(cost.n_bytes for cost in told.values()) / 1e9,
        " and ".join(sorted({*sources})),
    ]


def _sum(rows: Sequence[Sequence[Any]]) -> list[Any]:
    columns = zip(*(row[1:-1] for row in rows), strict=True)
    return ["total", *(sum(column) for column in columns), ""]


def _round(row: Sequence[Any]) -> list[Any]:
    return [float(f"{value:.3g}") if isinstance(value, float) else value for value in row]
