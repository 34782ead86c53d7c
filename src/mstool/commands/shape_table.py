"""Boundary and object scores as tables for people; imported late, since rich is slow to load."""

from typing import Any

from rich.table import Table
from rich.text import Text

_BOUNDARIES = {
    "IoU": "boundary_iou",
    "F1": "boundary_f1",
    "prec.": "boundary_precision",
    "recall": "boundary_recall",
}
_OBJECTS = {
    "truth": "n_truth",
    "mask": "n_mask",
    "matched": "n_matched",
    "prec.": "precision",
    "recall": "recall",
    "F1": "f1",
    "IoU": "matched_iou",
}


def tabulate_shapes(record: dict[str, Any]) -> list[Table]:
    """Tables of what a score says of boundaries and objects, at most 80 columns wide."""
    tables = []
    if record["boundaries"]:
        tables.append(_tabulate_boundaries(record["boundaries"]))
    if record["objects"]:
        tables.append(_tabulate_objects(record["objects"]))
    return tables


def _tabulate_boundaries(boundaries: dict[str, Any]) -> Table:
    pooled = boundaries["pooled"]
    unit = "px" if _is_undefined(pooled["hausdorff95_um"]) else "um"
    columns = _BOUNDARIES | {
        f"95 % HD, {unit}": f"hausdorff95_{unit}",
        f"mean, {unit}": f"surface_distance_{unit}",
    }
    table = _start(f"boundaries, tolerance {boundaries['tolerance']}", columns)
    for name in pooled["boundary_iou"]:
        table.add_row(Text(name), *(_number(pooled[key][name]) for key in columns.values()))
    return table


def _tabulate_objects(objects: dict[str, Any]) -> Table:
    table = _start("objects, matched at IoU above 0.5", _OBJECTS)
    for name, entry in objects.items():
        table.add_row(Text(name), *(_number(entry["pooled"][key]) for key in _OBJECTS.values()))
    return table


def _start(title: str, columns: dict[str, str]) -> Table:
    table = Table(title=title, box=None, padding=(0, 1))
    table.add_column("class", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _is_undefined(values: dict[str, float | None]) -> bool:
    return all(value is None for value in values.values())


def _number(value: float | None) -> str:
    if isinstance(value, int):
        return str(value)
    return "-" if value is None else f"{value:.3f}"
