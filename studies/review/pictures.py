"""Draw the pictures of studies/review.md, and write its tables, from the reports of its studies.

usage: pictures.py OUT REPORT.json [REPORT.json ...]

Each picture has the differences of some factors to the base, in all data sets that have them; each
table, a .md beside it, the scores. Reports may be of studies that are not finished.
"""

import json
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

from mstool.pictures.cell_plots import PlottedCell, draw_cells
from mstool.pictures.inline_svg import page_style
from mstool.reports.sentences import BETTER, WORSE

MATERIALS = ("steel", "alloy")  # data sets that are no phantoms
PICTURES = {
    "networks": ("network", "finetune"),
    "loss": ("loss",),
    "plain": ("plain",),
    "context": ("window", "scale"),
    "micrographs": ("micrographs",),
    "raters": ("raters",),
    "augment": ("augment",),
    "materials": ("network", "loss", "scale", "micrographs"),
}


def read_cells(paths, factors, are_materials):
    """Finished cells that differ in one of the factors alone, by level, then by data set."""
    cells = [cell for path in paths for cell in json.loads(path.read_text())["cells"]]
    cells = [cell for cell in cells if cell["status"] == "done" and cell["versus"]]
    cells = [cell for cell in cells if (cell["data"] in MATERIALS) == are_materials]
    chosen = [cell for cell in cells if len(cell["differs"]) == 1 and cell["differs"][0] in factors]
    labels = list(dict.fromkeys(cell["label"] for cell in chosen))
    return sorted(
        chosen, key=lambda cell: (factors.index(cell["differs"][0]), labels.index(cell["label"]))
    )


def plot(cells):
    """Differences of cells to their bases, a row each."""
    rows = []
    for cell in cells:
        versus = cell["versus"]
        rows.append(
            PlottedCell(
                f"{cell['label']} · {cell['data']}",
                versus["difference"],
                versus["interval"],
                tuple(versus["by_run"]),
                versus["verdict"] in (BETTER, WORSE),
            )
        )
    with page_style():
        figure = draw_cells(rows, "mean IoU less that of the base [1]", True)
        title = ", ".join(dict.fromkeys(cell["differs"][0] for cell in cells))
        figure.suptitle(f"{title}:\ndifferences to the base; diamonds: seeds", fontsize=11)
        FigureCanvasAgg(figure)
    return figure


def tabulate(cells):
    """Markdown of the same cells."""
    lines = ["| | data | mean IoU (95 %) | less the base (95 %) | p, Holm | training [core s] |"]
    lines.append("|---|---|---|---|---|---|")
    for cell in cells:
        versus = cell["versus"]
        lines.append(
            f"| {cell['label']} | {cell['data']} "
            f"| {cell['mean_iou']:.3f} {_span(cell['interval'])} "
            f"| {versus['difference']:+.3f} {_span(versus['interval'])} "
            f"| {versus['p_holm']:.2g} | {cell['cost']['train']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _span(interval):
    return "" if interval is None else f"({interval[0]:.3f} to {interval[1]:.3f})"


def main(out, *reports):
    """Draw all that the reports have cells for."""
    out, paths = Path(out), [Path(report) for report in reports]
    for name, factors in PICTURES.items():
        if cells := read_cells(paths, factors, name == "materials"):
            with page_style():
                plot(cells).savefig(out / f"{name}.png", dpi=130, metadata={"Software": None})
            (out / f"{name}.md").write_text(tabulate(cells))


if __name__ == "__main__":
    main(*sys.argv[1:])
