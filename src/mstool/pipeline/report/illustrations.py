"""Figures and pictures of a report: which there are, and of what."""

from collections.abc import Mapping, Sequence
from typing import Any

from mstool.pipeline.report.figures import as_number, plot_calibration, plot_cells, plot_trainings
from mstool.pipeline.report.micrograph_views import class_colours, view_micrograph
from mstool.pipeline.report.reported_cells import ReportedCell
from mstool.reporting import Advance
from mstool.reports import sentences
from mstool.reports.pairing import best_cell


def illustrate(
    cells: Sequence[ReportedCell], content: Mapping[str, Any], no_pictures: bool, advance: Advance
) -> dict[str, Any]:
    """Figures and pictures of the page, by section.

    Parameters
    ----------
    content : mapping
        What the JSON of the report says.
    no_pictures : bool
        Whether micrographs are left out.
    advance : callable
        Told of each cell that is drawn.
    """
    by_name = {cell.name: cell for cell in cells}
    shown: dict[str, Any] = {
        "plots": _plot_factors(content),
        "curves": {},
        "calibration": {},
        "colours": {},
        "views": [],
    }
    for number, entry in enumerate(content["cells"]):
        cell = by_name[entry["name"]]
        advance(1, cell.name)
        if cell.record is None or cell.origins is None:
            continue
        shown["curves"][cell.name] = plot_trainings(cell.origins.trainings, f"l{number}")
        shown["calibration"][cell.name] = plot_calibration(cell.record, f"k{number}")
        shown["colours"][cell.name] = class_colours(cell.record)
    if not no_pictures:
        for data in content["data"]:
            entries = [entry for entry in content["cells"] if entry["name"] in data["cells"]]
            shown["views"] += _view_cells(entries, by_name)
    return shown


def _plot_factors(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A plot for each factor of each data set, of the cells that differ in it alone.

    Without factors, or where several vary together, all cells of a data set are in one plot too.
    """
    plots = []
    for data in content["data"]:
        done = [e for e in content["cells"] if e["data"] == data["name"] and e["status"] == "done"]
        groups = {
            factor: [e for e in done if e["is_base"] or e["differs"] == [factor]]
            for factor in content["factors"]
        }
        if not content["factors"] or any(len(entry["differs"]) > 1 for entry in done):
            groups = {"": done} | groups
        for factor, entries in groups.items():
            if len(entries) > 1 or (entries and not factor):
                plots.append(_describe_plot(data["name"], factor, entries, f"p{len(plots)}"))
    return plots


def _describe_plot(
    data: str, factor: str, entries: Sequence[Mapping[str, Any]], key: str
) -> dict[str, Any]:
    return {
        "data": data,
        "factor": factor,
        "figures": plot_cells(entries, key),
        "notes": sentences.say_of_figure(entries),
    }


def _view_cells(
    entries: Sequence[Mapping[str, Any]], by_name: Mapping[str, ReportedCell]
) -> list[dict[str, Any]]:
    """Worst and median micrograph of the base and of the best cell of a data set."""
    done = {entry["name"]: entry for entry in entries if entry["status"] == "done"}
    wanted = [name for name, entry in done.items() if entry["is_base"]]
    if done:
        best = best_cell({name: as_number(entry["mean_iou"]) for name, entry in done.items()})
        wanted += [best] if best not in wanted else []
    found = []
    for name in wanted:
        for place, chosen in (done[name]["micrographs"] or {}).items():
            cell = by_name[name]
            view, _, reason = view_micrograph(cell.path, cell.record, chosen["image"])
            found.append(
                {"cell": done[name], "place": place, **chosen, "view": view, "reason": reason}
            )
    return found
