"""Rows, table and picture of the learning curves that few_images.sh measures.

python few_images.py rows SCORE.json SET,ARM,N,SEED CORE_S    rows of one cell, as CSV
python few_images.py table CSV [PICTURE.png]                  Markdown, and the curves
python few_images.py short CSV                                Markdown, a line an arm
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mstool.chance.intervals import mean_interval

POOLED = "pooled"
TITLES = {"phantom": "phantoms, 3 phases", "uhcs": "ultrahigh-carbon steel, 4 phases"}
SHORT = {"phantom": "phantoms", "uhcs": "steel"}
REFERENCES = {"scratch": "from scratch", "imagenet": "ImageNet encoder"}
ARMS = {  # in the order of the table
    "scratch": "U-Net from scratch",
    "imagenet": "U-Net, ImageNet encoder",
    "decoder": "the same, encoder frozen",
    "pretrained": "U-Net after pretrain",
    "pixels": "pixel classifier",
    "mean": "pixel classifier and U-Net",
}
STYLES = dict(  # colours of Okabe and Ito, and a mark each
    zip(
        ARMS,
        [
            ("#000000", "o"),
            ("#0072B2", "s"),
            ("#56B4E9", "^"),
            ("#CC79A7", "P"),
            ("#D55E00", "D"),
            ("#009E73", "v"),
        ],
        strict=True,
    )
)


def print_rows(score: Path, prefix: str, core_s: str) -> None:
    """One line a test micrograph, and one for all pixels together."""
    record = json.loads(score.read_text(encoding="utf-8"))
    for image in record["per_image"]:
        print(f"{prefix},{image['image']},{image['mean_iou']:.4f},{core_s}")
    print(f"{prefix},{POOLED},{record['pooled']['mean_iou']:.4f},{core_s}")


def read_cells(path: Path) -> dict:
    """IoU by (set, arm, n), then by seed, then by micrograph; and core seconds by (set, arm, n)."""
    scores: dict = defaultdict(lambda: defaultdict(dict))
    cost: dict = defaultdict(dict)
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            key = row["set"], row["arm"], int(row["n"])
            scores[key][row["seed"]][row["image"]] = float(row["mean_iou"])
            cost[key][row["seed"]] = float(row["core_s"])
    return {key: (by_seed, cost[key]) for key, by_seed in scores.items()}


def pooled(by_seed: dict) -> np.ndarray:
    """Pooled mean IoU of each seed."""
    return np.array([by_image[POOLED] for by_image in by_seed.values()])


def paired_difference(ours: dict, theirs: dict) -> tuple[float, float, float]:
    """Mean over seeds and micrographs of the difference in IoU, and its 95 % interval.

    The interval is that of `mean_interval`, for other micrographs and, with two seeds or more,
    other seeds, as far as differences of IoU reach; NaN where no seed is in both, or there are
    fewer than four micrographs.
    """
    seeds = sorted(set(ours) & set(theirs))
    if not seeds:
        return (np.nan,) * 3
    images = sorted(set(ours[seeds[0]]) - {POOLED})
    values = np.array([[ours[s][i] - theirs[s][i] for i in images] for s in seeds])
    low, high = mean_interval(values.mean(axis=0), by_run=values.mean(axis=1))
    return float(values.mean()), max(float(low), -1.0), min(float(high), 1.0)


def print_table(cells: dict) -> None:
    """Markdown: a line a set, arm and number of micrographs."""
    against = " | ".join(f"against {words}" for words in REFERENCES.values())
    print(f"| set | micrographs | arm | pooled mean IoU | by seed | {against} | core s |")
    print("|---|---|---|---|---|---|---|---|")
    order = sorted(cells, key=lambda key: (key[0], key[2], list(ARMS).index(key[1])))
    for name, arm, n in order:
        by_seed, cost = cells[name, arm, n]
        found = pooled(by_seed)
        words = ", ".join(f"{value:.3f}" for value in found)
        against = [_against(cells, name, arm, n, reference) for reference in REFERENCES]
        print(
            f"| {name} | {n} | {ARMS[arm]} | {found.mean():.3f} | {words} | "
            f"{' | '.join(against)} | {np.mean(list(cost.values())):.0f} |"
        )


def _against(cells: dict, name: str, arm: str, n: int, reference: str) -> str:
    """Difference to another arm, in words; empty for the arm itself."""
    other = cells.get((name, reference, n))
    if arm == reference or other is None:
        return ""
    middle, low, high = paired_difference(cells[name, arm, n][0], other[0])
    return f"{middle:+.3f} ({low:+.3f} to {high:+.3f})"


def print_short_table(cells: dict, sizes: tuple[int, ...] = (1, 4, 16)) -> None:
    """Markdown: a line an arm, a column a set and number of micrographs."""
    columns = [(name, n) for name in sorted({key[0] for key in cells}) for n in sizes]
    heads = [f"{SHORT.get(name, name)}, {n}" for name, n in columns]
    print(f"| micrographs | {' | '.join(heads)} | core s |")
    print("|---|" + "---|" * (len(columns) + 1))
    for arm, title in ARMS.items():
        found = [cells[name, arm, n] for name, n in columns]
        scores = [f"{pooled(by_seed).mean():.2f}" for by_seed, _ in found]
        spent = [np.mean(list(cost.values())) for _, cost in found]
        print(f"| {title} | {' | '.join(scores)} | {min(spent):.0f} to {max(spent):.0f} |")


def draw_curves(cells: dict, path: Path) -> None:
    """IoU against the number of training micrographs: a panel a set, a line an arm."""
    sets = sorted({key[0] for key in cells})
    figure = Figure(figsize=(5.2 * len(sets), 4.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
        for arm, (colour, mark) in STYLES.items():
            sizes = sorted(key[2] for key in cells if key[:2] == (name, arm))
            if not sizes:
                continue
            found = [pooled(cells[name, arm, n][0]) for n in sizes]
            axes.plot(sizes, [v.mean() for v in found], "-", marker=mark, color=colour, ms=5)
            axes.lines[-1].set_label(ARMS[arm])
            for n, values in zip(sizes, found, strict=True):
                axes.plot([n] * len(values), values, ".", color=colour, ms=3, alpha=0.5)
        axes.set_xscale("log", base=2)
        axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axes.set_title(TITLES.get(name, name))
        axes.set(xlabel="training micrographs", ylabel="pooled mean IoU, test [1]")
        axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    figure.suptitle("Learning from few micrographs (lines: mean of the seeds, dots: each seed)")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rows", score, prefix, core_s]:
            print_rows(Path(score), prefix, core_s)
        case ["table", path]:
            print_table(read_cells(Path(path)))
        case ["table", path, picture]:
            print_table(read_cells(Path(path)))
            draw_curves(read_cells(Path(path)), Path(picture))
        case ["short", path]:
            print_short_table(read_cells(Path(path)))
        case _:
            sys.exit(__doc__)
