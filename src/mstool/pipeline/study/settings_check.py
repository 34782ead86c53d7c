"""Settings of the commands of a study, checked as the verbs themselves check them."""

import json
from collections.abc import Callable, Mapping
from contextlib import chdir
from typing import Any

from mstool.errors import MstoolError
from mstool.io.plain import to_plain
from mstool.io.records import pick
from mstool.nn.device import choose_compute
from mstool.pipeline.mask_files import MaskSettings
from mstool.pipeline.split import SplitSettings
from mstool.pipeline.study.plan_file import Study
from mstool.pipeline.tile import TileSettings
from mstool.pipeline.train.train_flags import TrainFlags, TrainSettings, resolve_settings
from mstool.reporting import Reporter

Flags = Mapping[str, Any]  # value of each parameter of a verb


def check_settings(
    study: Study, flags: Mapping[str, Flags], report: Reporter
) -> dict[str, TrainSettings]:
    """See that the options of each command go together; give the settings of each training.

    What two cells train alike under two names is said: it is done twice.

    Parameters
    ----------
    study : Study
        The study.
    flags : mapping
        Values of the parameters of each verb, by target of the job.
    report : Reporter
        Who is told.

    Returns
    -------
    dict of str to TrainSettings
        By target.

    Raises
    ------
    MstoolError
        As the verbs, if options cannot be combined; the message names the artefact.
    """
    trainings: dict[str, TrainSettings] = {}
    alike: dict[str, str] = {}
    for job in study.jobs:
        if job.stage not in _RESOLVERS:
            continue
        try:
            with chdir(study.folder):
                settings = _RESOLVERS[job.stage](flags[job.target])
        except MstoolError as error:
            raise type(error)(f"{study.name_job(job)}: {error}") from None
        if job.stage == "train":
            trainings[job.target] = settings
            twin = alike.setdefault(_fingerprint(settings, job.needs), job.made)
            if twin != job.made:
                report.note(
                    f"warning: {twin} and {job.made} are the same training, done twice; in the "
                    "plan say which level is the base's, with base = LEVEL"
                )
    return trainings


def _resolve_training(flags: Flags) -> TrainSettings:
    # where it will run may be elsewhere, so this machine's devices say nothing
    return resolve_settings(pick(TrainFlags, flags), choose_compute("cpu", "fp32"))


# What each verb checks before it looks at its inputs; how micrographs are read is no part of it.
_RESOLVERS: Mapping[str, Callable[[Flags], Any]] = {
    "tile": lambda flags: pick(TileSettings, {**flags, "reading": None}),
    "split": lambda flags: pick(SplitSettings, flags),
    "train": _resolve_training,
    "stitch": lambda flags: pick(MaskSettings, flags),
}


def _fingerprint(settings: TrainSettings, needs: tuple[str, ...]) -> str:
    return json.dumps([to_plain(settings.as_record()), needs], sort_keys=True)
