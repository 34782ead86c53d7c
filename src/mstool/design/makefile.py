"""A study as a Makefile: one rule an artefact, whose target is the record that is written last."""

import re
import shlex
from collections.abc import Iterable, Sequence

from mstool.design.jobs import RESULTS, Job
from mstool.errors import UsageError

_SECTIONS = {
    "tile": ("TILES", "Tiles. Whoever changes the plan has everything below checked again."),
    "split": ("SPLITS", "Folds, the same for all cells that do not vary them."),
    "train": ("MODELS", "Models, of each seed."),
    "predict": ("PROBS", "Probabilities of micrographs that the model has not seen."),
    "stitch": ("MASKS", "Masks."),
    "score": ("SCORES", "Scores: of each seed where there are several, and of all together."),
    "explain": ("EXPLANATIONS", "Explanations, and whether they can be believed."),
    "domain-shift": ("SHIFTS", "Shifts to another batch."),
}
_HEAD = """\
# The study of {plan}: {n_cells} cells, {n_jobs} commands. Written by mstool study.
#
#   make -j2        do what is missing, two commands at a time, then write report.html
#   make -n         say what would be done
#   make -k         do all that can be done where something fails
#   make partial    report what is there by now, and say what is missing
#   make clean      remove what was made
#
# Whatever ends it, make again goes on where it was. After a change of the plan write this file
# anew: what other settings have made stops make with a message, and make FLAGS=--overwrite
# makes it afresh.

MSTOOL := mstool
FLAGS :=
PLAN := {plan}

# no rule of make's own may touch these files
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.PHONY: all report scores partial clean
"""
_REPORT = """
# Report

all: report.html

report: report.html

scores: {scores}

report.html: {results}
\t$(MSTOOL) report $(PLAN) -o $@ --overwrite $(FLAGS)

partial:
\t$(MSTOOL) report $(PLAN) -o report.html --overwrite $(FLAGS)
"""
_WIDTH = 96


def render_makefile(jobs: Sequence[Job], plan: str, n_cells: int) -> str:
    """Makefile that runs jobs, for the folder of the plan.

    Parameters
    ----------
    jobs : sequence of Job
        In the order of the verbs.
    plan : str
        Name of the plan's file.
    n_cells : int
        Cells that these jobs are for.

    Raises
    ------
    UsageError
        If make has no way to write the name of a file.
    """
    stages = list(dict.fromkeys(job.stage for job in jobs))
    names = {stage: _SECTIONS[stage][0] for stage in stages}
    made = {job.target for job in jobs}
    parts = [_HEAD.format(plan=_plain(plan), n_cells=n_cells, n_jobs=len(jobs))]
    results = [f"$({names[stage]})" for stage in stages if stage in RESULTS]
    for stage in stages:
        targets = [job.target for job in jobs if job.stage == stage]
        parts.append(_wrap(f"{names[stage]} :=", targets, "  ") + "\n")
    parts.append(_REPORT.format(scores="$(SCORES)", results=" ".join(results)))
    for stage in stages:
        rules = [_rule(job, made) for job in jobs if job.stage == stage]
        parts.append("\n".join([f"\n# {_SECTIONS[stage][1]}\n", *rules]))
    return "\n".join(parts).replace("\n\n\n", "\n\n") + _clean(names, jobs)


def _rule(job: Job, made: set[str]) -> str:
    # a user's file stands after another name, else one with = would set a variable
    needs = sorted(job.needs, key=lambda need: need not in made)
    if not any(need in made for need in needs):
        needs.insert(0, "$(PLAN)")
    out = "$@" if job.made == job.target else "$(@D)"
    names = [need if need in made or need == "$(PLAN)" else escape(need) for need in needs]
    words = [*map(_in_recipe, job.argv[:-1]), out, "$(FLAGS)"]
    recipe = _wrap("\t$(MSTOOL)", _pair_up(words), "\t  ")
    return _wrap(f"{job.target}:", names, "  ") + f"\n{recipe}\n"


def escape(name: str) -> str:
    """Name of a file as make reads it among the prerequisites of a rule.

    Raises
    ------
    UsageError
        If GNU make has no way to write it.
    """
    if re.search(r"[\n\r\\;\0]|^~|\(.*\)$", name):
        raise UsageError(
            f"{name!r}: make cannot name this file; rename it, or give a link with another name"
        )
    escaped = re.sub(r"([ \t#:|*?\[])", r"\\\1", name).replace("$", "$$")
    return escaped if re.match(r"[\w./]", name) else f"./{escaped}"


def _in_recipe(word: str) -> str:
    if "\n" in word:
        raise UsageError(f"{word!r}: make cannot hold a line break; leave it out")
    return shlex.quote(word).replace("$", "$$")


def _plain(plan: str) -> str:
    if not re.fullmatch(r"[\w.@+][\w.@+-]*", plan):
        raise UsageError(f"{plan}: use letters, digits and _.@+- in the name of a plan")
    return plan


def _wrap(start: str, words: Iterable[str], indent: str) -> str:
    """Line of words, continued on the next ones where it is long."""
    lines = [start]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _WIDTH and lines[-1].strip():
            lines.append(indent + word)
        else:
            lines[-1] += " " + word
    return " \\\n".join(lines)


def _pair_up(words: Iterable[str]) -> list[str]:
    """Words of a command, each flag together with its value."""
    pairs: list[str] = []
    for word in words:
        if (
            pairs
            and pairs[-1].startswith("-")
            and " " not in pairs[-1]
            and not word.startswith(("-", "$(F"))
        ):
            pairs[-1] += f" {word}"
        else:
            pairs.append(word)
    return pairs


def _clean(names: dict[str, str], jobs: Sequence[Job]) -> str:
    lines = []
    for stage, name in names.items():
        is_file = stage in ("split", "score")
        lines.append(f"\trm -f $({name})" if is_file else f"\trm -rf $(dir $({name}))")
    tops = " ".join(dict.fromkeys(job.target.partition("/")[0] for job in jobs))
    lines.append("\trm -f report.html report.csv report.json")
    lines.append(f"\tfind {tops} -type d -empty -delete 2> /dev/null || true")
    return "\n# All that was made; folders that hold something else stay.\n\nclean:\n" + "\n".join(
        [*lines, ""]
    )
