"""A score as a table for people; imported late, since rich is slow to load.

Records are taken as they are in files, where what is undefined is None.
"""

import contextlib
import sys
from pathlib import PurePath
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mstool.commands.shape_table import tabulate_shapes
from mstool.commands.tool_table import tabulate_tools
from mstool.io.plain import to_plain
from mstool.reporting import printable

_NUMBER_TITLES = ("IoU", "interval", "prec.", "recall", "support", "true %", "pred. %")


def print_table(record: dict[str, Any], masks: PurePath) -> None:
    """Print the tables of a score of `masks`, comparisons among them, on standard error.

    The record may have been read, or not been written yet.
    """
    if sys.stderr is not None:  # the score stands even if nobody can see the table
        with contextlib.suppress(OSError):
            console, record = Console(stderr=True), _printable(to_plain(record))
            masks = PurePath(printable(str(masks)))
            console.print(tabulate(record))
            versus = [tabulate_versus(entry, masks) for entry in record["versus"]]
            for table in (*tabulate_shapes(record), *tabulate_tools(record), *versus):
                console.print(table)


def _printable(value: Any) -> Any:
    """The same with text, keys among it, that a terminal shows as it is."""
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return printable(value) if isinstance(value, str) else value


def tabulate(record: dict[str, Any]) -> Table:
    """Table of the record of a score, at most 80 columns wide."""
    n_images, runs = record["n_images"], record.get("runs") or ()
    of_runs = f" in {len(runs)} runs" if runs else ""
    table = Table(
        title=f"pooled over {n_images} micrograph{'s' * (n_images != 1)}{of_runs}",
        caption=Text(_caption(record)),
        caption_justify="left",
        box=None,
        padding=(0, 1),
    )
    table.add_column("class", overflow="fold")
    for title in _NUMBER_TITLES:
        table.add_column(title, justify="right", no_wrap=True)
    _add_classes(table, record)
    table.add_section()
    _add_means(table, record)
    table.add_section()
    _add_parts(table, record)
    return table


def tabulate_versus(entry: dict[str, Any], masks: PurePath) -> Table:
    """Table of one comparison of a score record of `masks`, at most 80 columns wide."""
    ours, theirs = _short_names([str(masks), entry["masks"]])
    table = Table(
        title=Text(f"{ours} minus {theirs}"),
        caption=Text(_versus_caption(entry)),
        caption_justify="left",
        box=None,
        padding=(0, 1),
    )
    table.add_column("IoU of", overflow="fold")
    for title in ("difference", "interval", "p", "p, Holm"):
        table.add_column(title, justify="right", no_wrap=True)
    keys = ("difference", "interval", "p", "p_holm")
    rows = {name: [entry[key]["iou"][name] for key in keys] for name in entry["difference"]["iou"]}
    rows["all, mean"] = [entry[key]["mean_iou"] for key in keys]
    for name, (difference, interval, *chances) in rows.items():
        table.add_row(
            Text(name),
            "-" if difference is None else f"{difference:+.3f}",
            "-" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}",
            *(_number(p, 4) for p in chances),
        )
    return table


def _add_classes(table: Table, record: dict[str, Any]) -> None:
    pooled, interval = record["pooled"], record["interval"]
    for name, row in zip(record["classes"], pooled["confusion"], strict=True):
        fraction = record["phase_fraction"][name]
        table.add_row(
            Text(name),
            _number(pooled["iou"][name]),
            _range(interval and interval["iou"][name]),
            _number(pooled["precision"][name]),
            _number(pooled["recall"][name]),
            _pixels(sum(row)),
            _percent(fraction["truth"]),
            _percent(fraction["predicted"]),
        )


def _add_means(table: Table, record: dict[str, Any]) -> None:
    interval = record["interval"]
    majority, otsu = record["baselines"]["majority"], record["baselines"]["otsu"]
    table.add_row(
        Text("mean", "bold"),
        Text(_number(record["pooled"]["mean_iou"]), "bold"),
        _range(interval and interval["mean_iou"]),
    )
    table.add_row(Text(f"mean, always {majority['class']}"), _number(majority["mean_iou"]))
    table.add_row("mean, Otsu", "-" if otsu is None else _number(otsu["mean_iou"]))


def _add_parts(table: Table, record: dict[str, Any]) -> None:
    """A row a fold, and a row a run."""
    for row in record.get("folds") or ():
        name = "folds of several models" if row["fold"] is None else f"fold {row['fold']}"
        n_pixels = sum(map(sum, row["confusion"]))
        cells = (_number(row["mean_iou"]), "", "", "", _pixels(n_pixels))
        table.add_row(f"mean, {name}", *cells)
    for name, row in zip(_run_names(record), record.get("runs") or (), strict=True):
        table.add_row(Text(f"mean, {name}"), _number(row["mean_iou"]))


def _run_names(record: dict[str, Any]) -> list[str]:
    return _short_names([row["masks"] for row in record.get("runs") or ()])


def _short_names(paths: list[str]) -> list[str]:
    """Names of folders, or whole paths where these are alike."""
    names = [PurePath(path).name for path in paths]
    return names if len(set(names)) == len(names) else paths


def _caption(record: dict[str, Any]) -> str:
    """Lines below the table that say what its numbers are."""
    lines = ["support: pixels"]
    if interval := record["interval"]:
        lines.append(_interval_line(interval))
        lines.append(f"  that of the mean held in {_held(interval['coverage']['mean_iou'])}")
        shares = [share for ends in interval["coverage"]["iou"].values() for share in ends]
        if known := [share for share in shares if share is not None]:
            lines.append(f"  those of classes held in {_held((min(known), max(known)))}")
    if variance := record.get("variance"):
        sds = [f"{name} {_number(row['sd'])}" for name, row in variance["components"].items()]
        lines.append(f"mean IoU of a micrograph varies (sd) by {', '.join(sds)}")
        lines += _variance_lines(variance["components"])
    if abstention := record["abstention"]:
        share = _percent(abstention["coverage"])
        lines.append(f"coverage: {share} % of the labelled pixels have a class")
    if found := record["calibration"]:
        lines.append(
            f"probabilities: calibration error {_number(found['ece'])}, Brier score "
            f"{_number(found['brier'])}"
        )
    if found := record.get("min_detectable"):
        lines.append(_least_line(found, record))
    if record["baselines"]["otsu"]:
        lines.append(
            "Otsu: its regions matched to classes with the truth in hand; other thresholds may do "
            "better"
        )
    return "\n".join(lines)


def _least_line(found: dict[str, Any], record: dict[str, Any]) -> str:
    interval = record["interval"]
    if interval is None:
        return "too few to show any difference to another model"
    return (
        f"another model, not at hand: these {interval['n_units']} {interval['unit']}s would show "
        f"it in {_share_of_studies(found)} if its mean is {_number(found['mean_iou'])} away or "
        f"more; assumed: it varies as this one, correlation {found['assumed_correlation']:g}"
    )


def _share_of_studies(entry: dict[str, Any]) -> str:
    return f"{100 * entry['power']:.0f} of 100 studies"


def _variance_lines(components: dict[str, Any]) -> list[str]:
    """What the less plain of the parts are."""
    known = {
        "training": "  training: chance in fitting one model; one fold of one run",
        "rest": "  rest: what no part explains, of one micrograph in one run",
    }
    lines = [words for name, words in known.items() if name in components]
    for name, row in components.items():
        if row["includes"]:
            lines.append(f"  {name}: with {' and '.join(row['includes'])}, not to be told apart")
    return lines


def _versus_caption(entry: dict[str, Any]) -> str:
    """Lines below a comparison."""
    exact = "exact" if entry["is_exact"] else "drawn"
    lines = [
        entry["advice"],
        f"p: of swapping the two in whole {entry['unit']}s, {exact}, smallest possible "
        f"{entry['smallest_p']:.2g}",
        "p, Holm: corrected for the number of comparisons; of classes for theirs too",
    ]
    if entry["interval"]["mean_iou"]:
        lines += [_interval_line(entry), f"  held in {_held(entry['coverage'])}"]
        lines.append("interval and p are of two methods, which may disagree near 5 %; the interval")
        lines.append(
            "  is of its row alone, so that of a class may leave out 0 where p, Holm is high"
        )
    return "\n".join(lines)


def _interval_line(entry: dict[str, Any]) -> str:
    runs = f" and {n_runs} runs" if (n_runs := entry.get("n_runs", 1)) > 1 else ""
    return (
        f"interval: {entry['level']:.0%}, {entry['method']}, over {entry['n_units']} "
        f"{entry['unit']}s{runs}"
    )


def _held(coverage: tuple[float, float]) -> str:
    ends = dict.fromkeys(f"{100 * share:.0f}" for share in coverage)
    return f"{' to '.join(ends)} of 100 simulated studies"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return _number(share and 100 * share, 1)


def _range(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.3f}-{bounds[1]:.3f}"


def _pixels(count: int) -> str:
    """At most seven characters."""
    return str(count) if count < 1e6 else f"{count / 1e6:.4g} M"
