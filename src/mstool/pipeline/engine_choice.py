"""Which program runs the networks, and what is known of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from mstool.errors import UsageError
from mstool.io.outputs import settings_in
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.device import Compute
from mstool.nn.engines import (
    TORCH,
    check_installed,
    convert,
    engine_version,
    graph_of,
    installed_engines,
    processor,
)
from mstool.nn.graph_folder import GraphFolder
from mstool.nn.infer import predict_images
from mstool.nn.model import Segmenter
from mstool.pipeline.job import Job
from mstool.pipeline.shards import find_setting

AUTO = "auto"

TRIAL_TILES = 4
LEAST_AGREEMENT = 0.9999  # share of pixels with the same label
_LEAST_SPEEDUP = 1.1  # below this it is not worth another program
_LEAST_PIXELS = 16 * 2**20  # below this a first trial takes longer than it saves
_REPEATS = 3


@dataclass(frozen=True)
class Trial:
    """How an engine did on some tiles, beside torch.

    Attributes
    ----------
    agreement : float
        Share of pixels with the same label, the least of all models.
    speedup : float
        Core-seconds of torch by those of the engine.
    """

    agreement: float
    speedup: float


@dataclass(frozen=True)
class EngineChoice:
    """Networks, and the engine that runs them."""

    name: str
    segmenters: tuple[Segmenter, ...]  # none where shards that ran them are joined
    trial: Trial | None = None  # None for torch

    def as_entry(self) -> dict[str, Any] | None:
        """Entry of a record; None where no network runs, and the engine need not be installed."""
        if not self.segmenters:
            return None
        facts = {"agreement": None, "speedup": None} if self.trial is None else asdict(self.trial)
        return {"name": self.name, "version": engine_version(self.name), **facts}


@dataclass(frozen=True)
class EngineRequest:
    """What is asked for, and what decides which engine is best."""

    asked: str  # "auto" or one of ENGINES
    models: Sequence[LoadedModel]
    size: int  # edge of the tiles [px]
    count_pixels: Callable[[], float]  # of all tiles together
    tiles: Callable[[], Sequence[np.ndarray]]  # reads some of them, as stored
    compute: Compute
    open_kept: Callable[[], GraphFolder]

    @cached_property
    def kept(self) -> GraphFolder:
        """Where graphs are kept, which is looked up where another engine than torch may run."""
        return self.open_kept()


def engine_of_job(request: EngineRequest, record: str, job: Job) -> EngineChoice:
    """Take the engine that has begun the folder of a job, or else as `choose_engine`.

    To join shards is to take theirs, and to run no network. `record` is the name of the file with
    which the folder is complete.

    Raises
    ------
    UnavailableError, UsageError
        As `choose_engine`.
    """
    if job.is_merge:
        known = find_setting(job.out, record, "engine") if request.asked == AUTO else request.asked
        return EngineChoice(known or TORCH, ())
    return choose_engine(replace(request, asked=begun_with(request.asked, record, job)))


def begun_with(asked: str, record: str, job: Job) -> str:
    """Engine with which work in the folder of a job was begun, where that is left to the tool.

    Of a shard, other shards of the same work count too, also those that are at work; and they alone
    do where the shard is begun afresh, since that is how one that differs is brought into line.
    """
    known = None if job.overwrite else settings_in(job.out, record).get("engine")
    if known is None and job.whole is not None:
        known = find_setting(job.whole.parent, record, "engine")
    is_there = known == TORCH or known in installed_engines()
    return known if asked == AUTO and is_there else asked


def choose_engine(request: EngineRequest) -> EngineChoice:
    """Take the engine that is asked for; for ``auto`` the fastest that gives the same labels.

    Engines are tried on some tiles once for these models, this size of tiles, number of threads,
    processor and versions; what came out is kept. Where labels differ, torch it is.

    Raises
    ------
    UnavailableError
        If the engine that is asked for is not installed.
    UsageError
        If it cannot run these networks, on this device or in this number format.
    """
    asked, compute = request.asked, request.compute
    is_possible = compute.device.type == "cpu" and compute.precision == "fp32"
    if asked not in (AUTO, TORCH):
        check_installed(asked)
        if not is_possible:
            raise UsageError(
                f"--engine {asked}: computes on the CPU and in fp32; give --device cpu "
                "--precision fp32 as well"
            )
    names = installed_engines() if asked == AUTO else (asked,)
    if asked == TORCH or not is_possible or not names:
        return _on_torch(request)
    trials = _recall(names, request)
    if _is_trial_due(trials, request):
        trials = _try_all(names, request)
    return _choose(trials or {}, request) or _on_torch(request)


def _is_trial_due(known: dict[str, Trial] | None, request: EngineRequest) -> bool:
    if request.asked != AUTO:  # one that auto found unable is tried again, to say why
        return request.asked not in (known or {})
    return known is None and request.count_pixels() >= _LEAST_PIXELS


def _on_torch(request: EngineRequest) -> EngineChoice:
    return EngineChoice(TORCH, tuple(request.compute.place(m.segmenter) for m in request.models))


def _run_by(name: str, request: EngineRequest) -> tuple[Segmenter, ...]:
    """Networks as another engine runs them."""
    found = []
    for model in request.models:
        make = partial(graph_of, model.segmenter, request.size)
        graph = request.kept.graph(model.sha256, request.size, make)
        found.append(convert(model.segmenter, request.size, graph, name))
    return tuple(found)


def _key(names: Sequence[str], request: EngineRequest) -> list[Any]:
    """What the outcome of a trial depends on, beside the libraries that write graphs."""
    here = [processor(), request.compute.n_threads]
    engines = [[name, engine_version(name)] for name in names]
    return [[model.sha256 for model in request.models], request.size, here, engines]


def _recall(names: Sequence[str], request: EngineRequest) -> dict[str, Trial] | None:
    facts = request.kept.read_facts(*_key(names, request))
    try:
        return None if facts is None else {name: Trial(**facts[name]) for name in facts}
    except TypeError:  # somebody has edited it
        return None


def _try_all(names: Sequence[str], request: EngineRequest) -> dict[str, Trial]:
    """Try engines, and keep what came out; those that cannot run a network are left out.

    Without a tile nothing comes out, and nothing is kept.
    """
    on_torch, tiles, trials = _on_torch(request).segmenters, request.tiles(), {}
    if not tiles:
        request.kept.report.note(f"no tile to try {' and '.join(names)} on; torch runs the network")
        return trials
    for name in names:
        request.kept.report.note(f"trying {name} beside torch on {len(tiles)} tiles")
        try:
            segmenters = _run_by(name, request)
        except UsageError as error:
            if request.asked != AUTO:
                raise UsageError(f"--engine {name}: {error}") from error
            request.kept.report.note(f"{name}: {error}")
            continue
        trials[name] = _try(segmenters, on_torch, tiles, request.compute)
    facts = {name: asdict(trial) for name, trial in trials.items()}
    request.kept.keep_facts(facts, *_key(names, request))
    return trials


def _try(
    segmenters: Sequence[Segmenter],
    on_torch: Sequence[Segmenter],
    tiles: Sequence[np.ndarray],
    compute: Compute,
) -> Trial:
    """Compare labels of each model, and times in alternation."""
    agreements = [
        np.mean(_labels([one], tiles, compute) == _labels([other], tiles, compute))
        for one, other in zip(segmenters, on_torch, strict=True)
    ]
    times = [
        [_core_s(partial(_labels, each, tiles[:1], compute)) for each in (on_torch, segmenters)]
        for _ in range(_REPEATS)
    ]
    torch_s, engine_s = np.min(times, axis=0)
    return Trial(float(min(agreements)), round(float(torch_s / max(engine_s, 1e-9)), 2))


def _choose(trials: dict[str, Trial], request: EngineRequest) -> EngineChoice | None:
    """The fastest engine whose labels are those of torch; None, with a note, where none is."""
    agreeing = {n: t for n, t in trials.items() if t.agreement >= LEAST_AGREEMENT}
    for name in trials.keys() - agreeing.keys():
        request.kept.report.note(
            f"{name} gives other labels than torch in {1 - trials[name].agreement:.3%} of pixels; "
            "torch runs the network"
        )
    if not agreeing:
        return None
    name = max(agreeing, key=lambda name: agreeing[name].speedup)
    trial = agreeing[name]
    if request.asked == AUTO and trial.speedup < _LEAST_SPEEDUP:
        return None
    request.kept.report.note(
        f"{name} runs the network, {trial.speedup:g} times as fast as torch; labels agree in "
        f"{trial.agreement:.4%} of pixels"
    )
    return EngineChoice(name, _run_by(name, request), trial)


def _labels(
    segmenters: Sequence[Segmenter], tiles: Sequence[np.ndarray], compute: Compute
) -> np.ndarray:
    return predict_images(segmenters, tiles, compute).argmax(axis=1)


def _core_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
