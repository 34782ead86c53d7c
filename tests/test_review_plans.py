"""The plans that answer the peer review are such that a study can be made of them."""

import tomllib
from pathlib import Path

import pytest
import typer

from mstool.cli import make_app
from mstool.commands.verb_options import list_verb_options
from mstool.design.cells import list_cells
from mstool.design.plan_table import parse_plan

PLANS = Path(__file__).parents[1] / "studies" / "review"
if not PLANS.is_dir():
    pytest.skip("not a checkout", allow_module_level=True)


@pytest.mark.parametrize(("name", "n_cells"), [("phantoms", 41), ("uhcs", 9), ("super1", 5)])
def test_plan_of_the_review_has_its_cells(name, n_cells):
    options = list_verb_options(typer.Context(typer.main.get_command(make_app())))
    table = tomllib.loads((PLANS / f"{name}.toml").read_text(encoding="utf-8"))
    assert len(list_cells(parse_plan(table, options))) == n_cells
