"""Figures of a report, as SVG for its page."""

from collections.abc import Mapping, Sequence
from typing import Any

from mstool.pictures.calibration_plot import draw_calibration
from mstool.pictures.cell_plots import PlottedCell, draw_cells
from mstool.pictures.inline_svg import page_style, to_svg
from mstool.pictures.training_lines import draw_trainings
from mstool.pipeline.report.origins import Training
from mstool.reports.sentences import BETTER, WORSE

Entry = Mapping[str, Any]


def plot_cells(entries: Sequence[Entry], key: str) -> list[str]:
    """Scores of cells and, where any is compared, their differences to the base."""
    rows = [
        PlottedCell(
            entry["label"],
            as_number(entry["mean_iou"]),
            entry["interval"],
            tuple(map(as_number, entry["runs"])),
            True,
            entry["is_base"],
        )
        for entry in entries
    ]
    figures = [_plot(rows, "mean IoU [1]", False, f"{key}a")]
    compared = [entry for entry in entries if entry["versus"]]
    if compared:
        differences = [_plotted_difference(entry) for entry in compared]
        figures.append(_plot(differences, "mean IoU less that of the base [1]", True, f"{key}b"))
    return figures


def plot_trainings(trainings: Sequence[Training], key: str) -> str:
    """Learning curves of a cell; empty where no history is at hand."""
    repeats: dict[int, list] = {}
    for one in trainings:
        if one.history:
            repeats.setdefault(one.step.repeat, []).append(one.history)
    if not repeats:
        return ""
    with page_style():
        figure = draw_trainings(dict(sorted(repeats.items())))
        n_lines = sum(map(len, repeats.values()))
        return to_svg(figure, key, f"Learning curves of {n_lines} trainings")


def plot_calibration(record: Entry, key: str) -> str:
    """Reliability and coverage of a cell; empty where its record has none."""
    found = record["calibration"]
    if not found:
        return ""
    with page_style():
        figure = draw_calibration(found["bins"], found["coverage"], found["ece"])
        alt = f"Share of right pixels against probability; calibration error {found['ece']:.3f}"
        return to_svg(figure, key, alt)


def _plotted_difference(entry: Entry) -> PlottedCell:
    versus = entry["versus"]
    by_run = tuple(map(as_number, versus["by_run"]))
    is_told = versus["verdict"] in (BETTER, WORSE)
    return PlottedCell(
        entry["label"], as_number(versus["difference"]), versus["interval"], by_run, is_told
    )


def _plot(rows: Sequence[PlottedCell], axis: str, is_difference: bool, key: str) -> str:
    said = "; ".join(f"{row.name} {row.value:.3f}" for row in rows)
    with page_style():
        figure = draw_cells(rows, axis, is_difference)
        return to_svg(figure, key, f"{axis}: {said}; the numbers are in the main table")


def as_number(value: float | None) -> float:
    """Value of a record, in which null is NaN."""
    return float("nan") if value is None else value
