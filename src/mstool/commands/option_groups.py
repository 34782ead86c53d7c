"""Groups of options, under which help and man pages list them."""

from enum import StrEnum
from typing import Any

import typer
from typer.core import TyperCommand


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
        """Give an option of this group; settings as for ``typer.Option``."""
        return typer.Option(*flags, rich_help_panel=self, **settings)


class GroupedCommand(TyperCommand):
    """Command whose help lists options by group, in plain text."""

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
