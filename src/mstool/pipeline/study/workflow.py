"""What a study is turned into: a table of its cells, or a file for the program that runs it."""

from pathlib import Path

from mstool.design.makefile import render_makefile
from mstool.design.slurm import render_slurm
from mstool.design.snakefile import render_snakefile
from mstool.design.study_plan import name_columns
from mstool.errors import UsageError
from mstool.io.tables import to_csv
from mstool.pipeline.plain_output import write_output
from mstool.pipeline.study.plan_file import Study
from mstool.reporting import Reporter

_RENDERERS = {"make": render_makefile, "slurm": render_slurm, "snakemake": render_snakefile}


def cells_as_csv(study: Study) -> str:
    """Cells of a study, a row each: name, data set, level of each factor, seeds, folds, score."""
    factors = [factor.name for factor in study.plan.factors]
    rows = [
        (
            cell.name,
            cell.data,
            *(cell.levels.get(factor, "") for factor in factors),
            " ".join(map(str, cell.seeds)),
            "all" if cell.folds is None else " ".join(map(str, cell.folds)),
            cell.score,
        )
        for cell in study.cells
    ]
    before, after = ("cell", "data"), ("seeds", "folds", "score")
    return to_csv((*before, *name_columns(factors, before + after), *after), rows)


def render(study: Study, engine: str) -> str:
    """File that makes `engine` run the study, for the folder of the plan.

    Raises
    ------
    UsageError
        If a name cannot be written in it.
    """
    try:
        return _RENDERERS[engine](study.jobs, study.path.name, len(study.cells))
    except UsageError as error:
        raise UsageError(f"{study.path}: {error}") from None


def write_workflow(study: Study, out: Path, text: str, overwrite: bool, report: Reporter) -> None:
    """Write such a file beside the plan.

    Raises
    ------
    UsageError
        If it is to lie elsewhere, where its paths would lead nowhere.
    OutputExistsError
        If another one is there, and `overwrite` is not set.
    """
    if out.parent.resolve() != study.folder.resolve():
        raise UsageError(f"--out {out}: must lie beside {study.path}, to whose folder paths belong")
    write_output(out, text, overwrite, report)
