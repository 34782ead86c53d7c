"""Whether the records of a cell are of the commands that its plan has now."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mstool.design.jobs import Job
from mstool.pipeline.report.origins import Step

# Values of the parameters of a verb, by name, from the words after mstool; None if they are none.
Parse = Callable[[tuple[str, ...]], Mapping[str, Any] | None]

# Say where and how a command runs, and hardly change what it makes.
_OF_THE_RUN = {"overwrite", "quiet", "verbose", "config", "cache", "shard", "merge"}
_OF_THE_RUN |= {"device", "threads", "workers"}


def list_others(planned: Sequence[Job], steps: Sequence[Step], parse: Parse) -> tuple[Path, ...]:
    """Records of commands that are none of those planned, though of the same verb.

    Commands are told apart by what they come to, whatever is said and whatever is left to its
    default. What a record does not tell, or this version does not understand, is not held against
    it.
    """
    wanted: dict[str, list[dict[str, Any] | None]] = {}
    for job in planned:
        wanted.setdefault(job.stage, []).append(_matter(parse(job.argv)))
    return tuple(step.path for step in steps if _is_other(step, wanted.get(step.verb, []), parse))


def _is_other(step: Step, wanted: Sequence[Mapping[str, Any] | None], parse: Parse) -> bool:
    argv = (step.record.get("mstool") or {}).get("argv") or []
    asked = _matter(parse(tuple(map(str, argv[1:]))))
    return bool(wanted) and None not in wanted and asked is not None and asked not in wanted


def _matter(parameters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What decides the files that a command makes."""
    if parameters is None:
        return None
    return {name: value for name, value in parameters.items() if name not in _OF_THE_RUN}
