"""The plan of a study on disk."""

from dataclasses import dataclass
from pathlib import Path

from mstool.design.cells import Cell, list_cells
from mstool.design.jobs import Job, list_inputs, list_jobs
from mstool.design.plan_table import parse_plan
from mstool.design.study_plan import Options, Plan
from mstool.errors import MissingInputError, UsageError
from mstool.io.parsing import read_toml


@dataclass(frozen=True)
class Study:
    """A plan, and what follows from it.

    Attributes
    ----------
    path : Path
        The plan's file. All paths of the others are relative to its folder.
    plan : Plan
        What it says.
    cells : tuple of Cell
        Combinations of levels that are run.
    jobs : tuple of Job
        Commands that make their artefacts.
    """

    path: Path
    plan: Plan
    cells: tuple[Cell, ...]
    jobs: tuple[Job, ...]

    @property
    def folder(self) -> Path:
        """Where artefacts lie."""
        return self.path.parent

    def name_job(self, job: Job) -> str:
        """Plan, artefact and verb of a job, as a message begins."""
        return f"{self.path}: for {job.made}: mstool {job.stage}"


def read_study(path: Path, options: Options) -> Study:
    """Read a plan; no file but the plan itself need be there.

    Parameters
    ----------
    path : Path
        TOML file.
    options : mapping
        Options that the verbs have.

    Raises
    ------
    MissingInputError, InputError
        If the file is not there, or is not TOML.
    UsageError
        If a key is unknown, its value has no sense, or cells contradict each other.
    """
    table = _read_toml(path)
    try:
        plan = parse_plan(table, options)
        cells = list_cells(plan)
        jobs = list_jobs(plan, cells, _find_files(path.parent, cells))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return Study(path, plan, cells, jobs)


def check_inputs(study: Study) -> None:
    """See that all data are there.

    Raises
    ------
    MissingInputError
        If a file or folder is not.
    """
    for name in list_inputs(study.jobs):
        if not (study.folder / name).exists():
            raise MissingInputError(
                f"{study.path}: {name}: no such file or folder; paths are relative to the plan"
            )


def _read_toml(path: Path) -> dict[str, object]:
    if not path.is_file():
        raise MissingInputError(f"{path}: no such plan; see man mstool-plan for how to write one")
    return read_toml(path)


def _find_files(folder: Path, cells: tuple[Cell, ...]) -> set[str]:
    """Values of options that are names of files, such as a file of weights."""
    values = {value for cell in cells for value in cell.settings.values() if isinstance(value, str)}
    return {value for value in values if value and _is_file(folder / value)}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name at all: too long, or with NUL
        return False
