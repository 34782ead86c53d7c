"""What the trainings of a study resolve to, as train itself resolves its flags."""

import json
from collections.abc import Mapping
from contextlib import chdir
from typing import Any

from mstool.errors import MstoolError
from mstool.io.plain import to_plain
from mstool.io.records import pick
from mstool.nn.device import choose_compute
from mstool.pipeline.study.plan_file import Study
from mstool.pipeline.train.train_flags import TrainFlags, TrainSettings, resolve_settings
from mstool.reporting import Reporter


def resolve_trainings(
    study: Study, flags: Mapping[str, Mapping[str, Any]], report: Reporter
) -> dict[str, TrainSettings]:
    """Settings of each training, by the target of its job.

    What two cells train alike under two names is said: it is done twice.

    Parameters
    ----------
    study : Study
        The study.
    flags : mapping
        Values of the parameters of train by target.
    report : Reporter
        Who is told.

    Raises
    ------
    MstoolError
        As `resolve_settings`, if options cannot be combined; the message names the model.
    """
    compute = choose_compute("cpu", "fp32")  # where it will run may be elsewhere
    resolved: dict[str, TrainSettings] = {}
    alike: dict[str, str] = {}
    for job in study.jobs:
        if job.stage != "train":
            continue
        try:
            with chdir(study.folder):
                settings = resolve_settings(pick(TrainFlags, flags[job.target]), compute)
        except MstoolError as error:
            raise type(error)(f"{study.path}: for {job.made}: mstool train: {error}") from None
        resolved[job.target] = settings
        twin = alike.setdefault(_fingerprint(settings, job.needs), job.made)
        if twin != job.made:
            report.note(
                f"warning: {twin} and {job.made} are the same training, done twice; in the plan "
                "say which level is the base's, with base = LEVEL"
            )
    return resolved


def _fingerprint(settings: TrainSettings, needs: tuple[str, ...]) -> str:
    return json.dumps([to_plain(settings.as_record()), needs], sort_keys=True)
