"""The page of a report: everything in one file, and nothing that it would fetch."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mstool.reports import sentences

_TEMPLATE = "report.html"


def render_page(title: str, content: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """Give the page as HTML.

    Parameters
    ----------
    title : str
        Of the page.
    content : mapping
        What the JSON of the report says.
    shown : mapping
        Figures as SVG and micrographs, by section.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mstool.pipeline.report"),
        autoescape=True,  # names of files and cells may hold anything
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "score": lambda value: _plain(value, ".3f"),
        "signed": lambda value: _plain(value, "+.3f"),
        "p": lambda value: _plain(value, ".2g"),
        "percent": lambda value: "–" if value is None else f"{100 * value:.1f}",
        "interval": lambda ends: _interval(ends, ".3f"),
        "signed_interval": lambda ends: _interval(ends, "+.3f"),
        "seconds": _seconds,
        "whole": lambda value: _plain(value, ",.0f"),
        "command": _command,
        "verdict": lambda word: str(word).replace("_", " "),
    }
    template = environment.get_template(_TEMPLATE)
    return template.render(title=title, content=content, shown=shown, say=sentences)


def _plain(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form).replace("-", "−")


def _interval(ends: Sequence[float] | None, form: str) -> str:
    return "–" if ends is None else f"{_plain(ends[0], form)} to {_plain(ends[1], form)}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _command(argv: Sequence[str] | None) -> str:
    """Command line as one would type it."""
    if not argv:
        return "not recorded"
    return shlex.join([Path(argv[0]).name, *map(str, argv[1:])])
