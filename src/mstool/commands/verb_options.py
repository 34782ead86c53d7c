"""What the options of all verbs take, for plans that name them."""

import typer

from mstool.design.study_plan import VERBS, Option, Options


def list_verb_options(ctx: typer.Context) -> Options:
    """Options of the verbs that a study runs, by verb and by name without dashes.

    Parameters
    ----------
    ctx : typer.Context
        Of any verb of the program.
    """
    commands = ctx.find_root().command.commands  # type: ignore[attr-defined]
    return {
        verb: {
            max(parameter.opts, key=len).removeprefix("--"): _describe(parameter)
            for parameter in commands[verb].params
            if parameter.param_type_name == "option"
        }
        for verb in VERBS
    }


def _describe(parameter: typer.core.TyperOption) -> Option:
    if parameter.is_flag or parameter.count:
        return Option("switch", False)
    return Option("values" if parameter.multiple else "value", parameter.default)
