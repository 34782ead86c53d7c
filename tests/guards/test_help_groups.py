"""Help lists the options of a verb in groups."""

import re

import pytest
import typer

from mstool.cli import make_app
from mstool.commands.option_groups import Group

COMMANDS = typer.main.get_command(make_app()).commands
each_verb = pytest.mark.parametrize("verb", COMMANDS)


def groups_of(command):
    """Long flags by group, as the options themselves say, in the order of the groups."""
    options = [one for one in command.params if one.param_type_name == "option"]
    flags = {
        str(group): [one.opts[-1] for one in options if one.rich_help_panel == group]
        for group in Group
    }
    flags["Common"].append("--help")
    return {group: names for group, names in flags.items() if names}


@each_verb
def test_every_option_names_a_group(verb):
    lost = [
        parameter.opts
        for parameter in COMMANDS[verb].params
        if parameter.param_type_name == "option"
        and not isinstance(parameter.rich_help_panel, Group)
    ]
    assert not lost


@each_verb
def test_help_lists_each_option_once_under_its_group(verb, run_mstool):
    text = run_mstool(verb, "--help").stdout
    found = {}
    for heading, body in re.findall(r"^([A-Z]\w*):\n((?:  .*\n?)+)", text, re.M):
        found[heading] = re.findall(r"^  (?:-\w, )?(--[\w-]+)", body, re.M)
    assert found.pop("Arguments", []) == []
    assert found == groups_of(COMMANDS[verb])
    assert list(found) == list(groups_of(COMMANDS[verb]))


def test_explanations_begin_in_one_column(run_mstool):
    text = run_mstool("split", "--help").stdout.split("Arguments:\n")[1]
    rows = [line for line in text.splitlines() if re.match(r"  \S.{26,}", line)]
    assert len(rows) > 10
    assert len({re.match(r"  \S.*?  +(?=\S)", row).end() for row in rows}) == 1
