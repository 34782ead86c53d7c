"""A study as a Snakefile: one rule an artefact."""

import re
import shlex
from collections.abc import Sequence

from mstool.design.jobs import RESULTS, Job, report_argv
from mstool.errors import UsageError

_HEAD = """\
# The study of {plan}: {n_cells} cells, {n_jobs} commands. Written by mstool study.
#
#   snakemake --rerun-triggers mtime --rerun-incomplete --cores 2
#
# Run it in the folder of the plan. Records are marked as updated, not made, so that snakemake
# leaves them where they are, and the commands can tell what is done.

MSTOOL = config.get("mstool", "mstool")
FLAGS = config.get("flags", "")


rule all:
    input: "report.html"
"""
_RULE = """

rule {name}:
    input:
        {needs}
    output:
        update({target})
    shell:
        {command}
"""


def render_snakefile(jobs: Sequence[Job], plan: str, n_cells: int) -> str:
    """Snakefile that runs jobs, for the folder of the plan; parameters of `render_makefile`.

    Raises
    ------
    UsageError
        If snakemake has no way to write the name of a file.
    """
    made = {job.target for job in jobs}
    parts = [_HEAD.format(plan=" ".join(plan.split()), n_cells=n_cells, n_jobs=len(jobs))]
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.stage] = number = counts.get(job.stage, 0) + 1
        needs = job.needs if any(need in made for need in job.needs) else (plan, *job.needs)
        parts.append(_rule(f"{job.stage.replace('-', '_')}_{number}", needs, job.target, job.argv))
    results = tuple(job.target for job in jobs if job.stage in RESULTS)
    parts.append(_rule("report", results, "report.html", report_argv(plan)))
    return "".join(parts)


def _rule(name: str, needs: Sequence[str], target: str, argv: Sequence[str]) -> str:
    return _RULE.format(
        name=name,
        needs=",\n        ".join(_file(need) for need in needs),
        target=_file(target),
        command=repr(f"{{MSTOOL}} {_tame_braces(shlex.join(argv))} {{FLAGS}}"),
    )


def _file(name: str) -> str:
    if re.search(r"[\n\r\0{}]", name):
        raise UsageError(
            f"{name!r}: snakemake cannot name this file; rename it, or give a link to it"
        )
    return repr(name)


def _tame_braces(text: str) -> str:
    """Text in which snakemake finds no wildcards."""
    return text.replace("{", "{{").replace("}", "}}")
