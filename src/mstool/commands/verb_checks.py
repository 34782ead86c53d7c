"""Commands of a study, as the verbs themselves would read them."""

from collections.abc import Callable, Mapping
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any

import typer

from mstool.errors import MstoolError, UsageError
from mstool.pipeline.study.plan_file import Study


def parse_calls(ctx: typer.Context, study: Study) -> dict[str, dict[str, Any]]:
    """Values of the parameters of every command, by target; nothing is run.

    Parameters
    ----------
    ctx : typer.Context
        Of any verb of the program.
    study : Study
        The study.

    Raises
    ------
    UsageError
        If a verb would refuse its options; the message names the artefact and the option.
    """
    commands = ctx.find_root().command.commands  # type: ignore[attr-defined]
    values = {}
    with chdir(study.folder):
        for job in study.jobs:
            where = study.name_job(job)
            try:
                context = commands[job.stage].make_context(job.stage, [*job.argv[1:]])
            except MstoolError as error:
                raise UsageError(f"{where}: {error}") from None
            except Exception as error:  # typer has its own copy of click, or click's
                if not hasattr(error, "format_message"):
                    raise
                raise UsageError(f"{where}: {error.format_message().rstrip('.')}") from None
            values[job.target] = context.params
    return values


def make_parser(
    ctx: typer.Context, folder: Path
) -> Callable[[tuple[str, ...]], Mapping[str, Any] | None]:
    """Give a function that reads words after ``mstool``, as if typed in a folder.

    It gives the values of all parameters by name, and None where the verb would refuse the words.
    """
    commands = ctx.find_root().command.commands  # type: ignore[attr-defined]

    @cache
    def parse(words: tuple[str, ...]) -> Mapping[str, Any] | None:
        if not words or words[0] not in commands or {"-h", "--help"} & {*words}:
            return None
        try:
            with chdir(folder):
                return commands[words[0]].make_context(words[0], [*words[1:]]).params
        except Exception:  # of any version, and whatever an old option has become
            return None

    return parse
