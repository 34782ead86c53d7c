"""Groups of options, under which help and man pages list them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import typer
from typer.core import TyperCommand

from mstool.errors import UsageError


class Group(StrEnum):
    """Heading over options, in the order in which help gives them."""

    INPUT = "Input"
    LABELS = "Labels"
    TILES = "Tiles"
    FOLDS = "Folds"
    MICROGRAPHS = "Micrographs"
    MICROSTRUCTURE = "Microstructure"
    IMAGING = "Imaging"
    NETWORK = "Network"
    QUESTION = "Question"
    METHODS = "Methods"
    TRAINING = "Training"
    AUGMENTATION = "Augmentation"
    SIMULATION = "Simulation"
    REPAIR = "Repair"
    METRICS = "Metrics"
    CHECKS = "Checks"
    RUNNING = "Running"
    OUTPUT = "Output"
    COMMON = "Common"

    def __call__(self, *flags: str, **settings: Any) -> Any:
        """Give an option of this group; settings as for ``typer.Option``.

        Whether a file may be read is found out by reading it: that it may not is no wrong usage.
        """
        return typer.Option(*flags, rich_help_panel=self, readable=False, **settings)


def operand(**settings: Any) -> Any:
    """Give an operand; settings as for ``typer.Argument``. On reading, see `Group`."""
    return typer.Argument(readable=False, **settings)


class GroupedCommand(TyperCommand):
    """Command whose help lists options by group, in plain text.

    What is wrong with the value of an option is said of the configuration file that it is from.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        with _naming_configuration(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with _naming_configuration(ctx):
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options under the heading of their group."""
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Arguments", *Group)}
        for parameter in self.get_params(ctx):
            title = getattr(parameter, "rich_help_panel", None) or Group.COMMON  # that of --help
            if parameter.param_type_name == "argument":
                title = "Arguments"
            if record := parameter.get_help_record(ctx):
                rows[title].append(record)
        width = min(30, max(len(term) for found in rows.values() for term, _ in found))
        for title, found in rows.items():
            if found:
                with formatter.section(title):
                    formatter.write_dl([(term.ljust(width), text) for term, text in found])


@contextmanager
def _naming_configuration(ctx: Any) -> Iterator[None]:
    """Put the name of the configuration file in front of what is said of an option from it.

    Raises
    ------
    UsageError
        If the verb, or the library that reads its options, refuses such a value.
    """
    try:
        yield
    except Exception as error:  # typer has its own copy of click, or click's
        path = ctx.params.get("config")
        is_of_library = hasattr(error, "format_message")
        if path is None or not (is_of_library or isinstance(error, UsageError)):
            raise
        message = error.format_message().rstrip(".") if is_of_library else str(error)
        told = set(re.findall(r"--?[a-z][a-z0-9-]*", message))
        if not told & _flags_from_configuration(ctx):
            raise
        raise UsageError(f"{path}: {message}") from error


def _flags_from_configuration(ctx: Any) -> set[str]:
    """Flags of the options whose value is that of the configuration file."""
    given = [one for one in ctx.command.params if one.name in (ctx.default_map or {})]
    sources = {one: ctx.get_parameter_source(one.name) for one in given}
    return {
        flag
        for one, source in sources.items()
        if source is None or source.name != "COMMANDLINE"
        for flag in one.opts
    }
