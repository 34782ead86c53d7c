#!/usr/bin/env python
"""Each hot path beside what one would install otherwise, in turn, on the same input, in one run.

    python benchmarks/hot_paths.py [--side 4000] [--tiles-side 20000] [--rounds 3] [--only WORD]

Prints a table in Markdown. Seconds are those of all cores together, user and system, of the process
and what it starts, which other work on the machine changes least; a ratio is the median over rounds
of theirs by ours, so that 2 is half the work. Peers that are not installed, or fail, are "not
available" (benchmarks/peers.txt lists them). All run with one thread.
"""

import argparse
import importlib.util
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "VIPS_CONCURRENCY": "1"}

import numpy as np
import tifffile
import torch

sys.path.insert(0, str(Path(__file__).parent))

import hot_path_peers as peers

MSTOOL = [sys.executable, "-m", "mstool"]
OTHERS = ("openvino", "onnxruntime", "monai", "patchify", "tiler", "pyvips", "scikit-learn")
OTHERS += ("torchmetrics", "medpy", "tifffile", "segmentation-models-pytorch", "torch", "numpy")


@dataclass(frozen=True)
class Race:
    """One thing that is done in several ways."""

    title: str
    ours: Callable[[], object]
    others: dict[str, Callable[[], object] | None]  # None where it is not available
    least: dict[str, float] = field(default_factory=dict)  # ratio that is aimed at


def core_s(work: Callable[[], object]) -> float:
    """Time on all cores that a call takes [s]."""

    def spent() -> float:
        kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        used = [resource.getrusage(kind) for kind in kinds]
        return sum(each.ru_utime + each.ru_stime for each in used)

    before = spent()
    work()
    return spent() - before


def run(*command: object) -> None:
    """Run a command, which must not fail."""
    line = [str(part) for part in command]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(line)}: {ended.stderr[-500:]}")


def hold(
    race: Race, rounds: int, time_of: Callable[[Callable[[], object]], float] = core_s
) -> list[str]:
    """Rows of the table: each way beside ours."""
    runners = {name: way for name, way in race.others.items() if way is not None}
    times: dict[str, list[float]] = {name: [] for name in ("mstool", *runners)}
    for number in range(rounds):
        ways = [("mstool", race.ours), *runners.items()]
        for name, way in ways if number % 2 == 0 else reversed(ways):
            times[name].append(time_of(way))
    ours = statistics.median(times["mstool"])
    rows = []
    for name in race.others:
        if name not in times:
            rows.append(f"| {race.title} | {ours:.3g} | {name} | not available | | |")
            continue
        ratio = statistics.median(b / a for a, b in zip(times["mstool"], times[name], strict=True))
        aim = race.least.get(name)
        verdict = "" if aim is None else f"{aim:g} {'met' if ratio >= aim else 'not met'}"
        theirs = statistics.median(times[name])
        rows.append(
            f"| {race.title} | {ours:.3g} | {name} | {theirs:.3g} | {ratio:.2f} | {verdict} |"
        )
    return rows


def there(package: str, way: Callable[[], object]) -> Callable[[], object] | None:
    """A way, or None where the package for it is missing."""
    return way if importlib.util.find_spec(package) else None


def make_model(work: Path) -> Path:
    """A default U-Net, trained for an instant."""
    if not (work / "model" / "train.json").is_file():
        known, tiles, split = work / "phantom", work / "tiles", work / "split.csv"
        run(*MSTOOL, "phantom", "--images", 3, "--size", 256, "-o", known, "-q")
        labelled = ("--labels", known / "labels", "--legend", known / "legend.toml")
        run(*MSTOOL, "tile", known / "images", *labelled, "--size", 256, "-o", tiles, "-q")
        run(*MSTOOL, "split", tiles, "--folds", 3, "-o", split, "-q")
        how = ("--split", split, "--test-fold", 0, "--epochs", 1)
        run(*MSTOOL, "train", tiles, *how, "-o", work / "model", "-q")
    return work / "model"


def races(work: Path, options: argparse.Namespace):
    """Give each race, which is prepared when its turn comes."""
    yield "training step", training_step
    yield "loading", loading
    yield "inference", lambda: inference(make_model(work))
    yield "micrograph", lambda: micrograph(make_model(work), work, options.side)
    yield "tile", lambda: tiling(work, options.tiles_side)
    yield "stitch", lambda: stitching(make_model(work), work, options.side)
    yield "scores", scoring
    yield "reading", lambda: reading(work, options.tiles_side)


def training_step() -> Race:
    """A step on four crops of 256 px, which are there already."""
    from train_step import prepare

    from mstool.nn.device import choose_compute
    from mstool.nn.model import ModelSpec

    torch.set_num_threads(1)
    compute, spec = choose_compute("cpu", "fp32"), ModelSpec("unet", "efficientnet-lite0", 1, 4)
    steps = [prepare(spec, compute, last, 256, 4) for last in (True, False)]
    title = "training step, U-Net, 4 crops of 256 px"
    return Race(title, steps[0], {"plain loop of segmentation-models-pytorch": steps[1]})


def loading() -> Race:
    """Four crops with their random changes, beside the step that takes them."""
    from train_step import prepare, prepare_crops

    from mstool.nn.device import choose_compute
    from mstool.nn.model import ModelSpec

    torch.set_num_threads(1)
    spec = ModelSpec("unet", "efficientnet-lite0", 1, 4)
    crops, step = prepare_crops(spec, 256, 4), prepare(spec, choose_compute("cpu"), True, 256, 4)
    epochs = iter(range(10**9))

    def cut() -> None:
        epoch = next(epochs)
        for index in range(4):
            crops[epoch, index]

    name = "the training step that takes them"
    return Race("cut 4 crops of 256 px, with random changes", cut, {name: step}, {name: 3.0})


def inference(model: Path) -> Race:
    """Four tiles of 512 px."""
    from mstool.nn.checkpoint import load_checkpoint
    from mstool.nn.device import choose_compute
    from mstool.nn.engines import convert, graph_of, installed_engines
    from mstool.nn.infer import predict_images

    torch.set_num_threads(1)
    compute, chance = choose_compute("cpu", "fp32"), np.random.default_rng(0)
    tiles = [chance.integers(0, 256, (512, 512), np.uint8) for _ in range(4)]
    segmenter = compute.place(load_checkpoint(model).segmenter)
    graph = graph_of(segmenter, 512) if installed_engines() else b""
    by = {"torch": segmenter}
    by |= {name: convert(segmenter, 512, graph, name) for name in installed_engines()}
    ways = {name: lambda one=one: predict_images([one], tiles, compute) for name, one in by.items()}
    plain = peers.plain_loop(load_checkpoint(model).segmenter.network, tiles)
    for way in (*ways.values(), plain):
        way()
    best = "openvino" if "openvino" in ways else "torch"
    others = {"plain loop of segmentation-models-pytorch": plain}
    others |= {f"mstool, --engine {name}": way for name, way in ways.items() if name != best}
    title = f"4 tiles of 512 px, --engine {best}"
    return Race(title, ways[best], others, {"plain loop of segmentation-models-pytorch": 2.5})


def micrograph(model: Path, work: Path, side: int) -> Race:
    """A whole micrograph from file to mask, start-up of Python and all."""
    path, cache = work / f"micrograph-{side}.tif", work / "cache"
    write_micrograph(path, side)
    os.environ["XDG_CACHE_HOME"] = str(cache)
    cut = ("--size", 512, "--overlap", 128)
    how = ("--model", model, "--precision", "fp32", "--threads", 1, "-o", work / "masks")
    ours = [*MSTOOL, "segment", path, *cut, *how, "--overwrite", "-q"]
    run(*ours, "--engine", "auto")  # tries engines once, and remembers
    peer = [sys.executable, peers.__file__]
    rest = (path, model / "model.safetensors", work / "peer.tif")
    return Race(
        f"segment {side} x {side} px, tiles of 512 px that overlap by 128 px",
        lambda: run(*ours),
        {
            "MONAI sliding_window_inference": there("monai", lambda: run(*peer, "monai", *rest)),
            "plain loop, no blending": lambda: run(*peer, "loop", *rest),
        },
        {"MONAI sliding_window_inference": 2.0, "plain loop, no blending": 2.5},
    )


def tiling(work: Path, side: int) -> Race:
    """A micrograph cut into tiles of 512 px, which are written as files."""
    path, peer = work / f"micrograph-{side}.tif", [sys.executable, peers.__file__]
    write_micrograph(path, side)
    ours = [*MSTOOL, "tile", path, "--size", 512, "--overlap", 0, "-o", work / "cut", "-q"]
    rest = (path, work / "peer-tiles")
    return Race(
        f"tile {side} x {side} px",
        lambda: run(*ours, "--overwrite"),
        {name: there(name, lambda name=name: run(*peer, name, *rest)) for name in
         ("patchify", "tiler", "pyvips")},
        {"patchify": 1.0, "tiler": 1.0, "pyvips": 1.0},
    )  # fmt: skip


def stitching(model: Path, work: Path, side: int) -> Race:
    """Probabilities of tiles, blended into one mask."""
    path, tiles, probs = work / f"micrograph-{side}.tif", work / "to-predict", work / "probs"
    write_micrograph(path, side)
    run(*MSTOOL, "tile", path, "--size", 512, "--overlap", 64, "-o", tiles, "-q")
    run(*MSTOOL, "predict", tiles, "--model", model, "--threads", 1, "-o", probs, "-q")
    ours = [*MSTOOL, "stitch", probs, "-o", work / "stitched", "--overwrite", "-q"]
    peer = [sys.executable, peers.__file__, "merge", probs, work / "merged.tif"]
    others = {"tiler": there("tiler", lambda: run(*peer))}
    return Race(f"stitch {side} x {side} px", lambda: run(*ours), others, {"tiler": 1.0})


def scoring() -> Race:
    """Pairs of classes of 20 megapixels."""
    from mstool.scores.confusion import confusion_matrix

    chance = np.random.default_rng(0)
    truth, mask = (chance.integers(0, 4, (4000, 5000), np.uint8) for _ in range(2))
    return Race(
        "confusion matrix of 20 megapixels",
        lambda: confusion_matrix(truth, mask, 4),
        {
            "scikit-learn": there("sklearn", lambda: peers.by_sklearn(truth, mask)),
            "torchmetrics": there("torchmetrics", lambda: peers.by_torchmetrics(truth, mask)),
            "MedPy, Dice of each class": there("medpy", lambda: peers.by_medpy(truth, mask)),
        },
    )


def reading(work: Path, side: int) -> Race:
    """All bands of a micrograph."""
    from mstool.io.images import open_micrograph

    path = work / f"micrograph-{side}.tif"
    write_micrograph(path, side)
    return Race(
        f"read {side} x {side} px, by bands",
        lambda: [band.max() for band in open_micrograph(path).bands()],
        {"tifffile, at once": lambda: tifffile.imread(path).max()},
    )


def write_micrograph(path: Path, side: int) -> None:
    """Smooth noise, in strips, as microscopes write it."""
    if not path.is_file():
        chance = np.random.default_rng(0)
        grains = chance.integers(60, 200, (side // 8 + 1, side // 8 + 1), np.uint8)
        noise = chance.integers(0, 16, (side, side), np.uint8)
        values = grains.repeat(8, 0).repeat(8, 1)[:side, :side] + noise
        tifffile.imwrite(path, values, rowsperstrip=16)


def versions() -> str:
    """Versions of all that takes part."""
    found = []
    for name in OTHERS:
        try:
            found.append(f"{name} {version(name).split('-')[0]}")
        except PackageNotFoundError:
            found.append(f"{name} is not installed")
    return ", ".join(found)


def main() -> None:
    """Hold all races."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4000, help="of the micrograph to segment [px]")
    parser.add_argument("--tiles-side", type=int, default=20000, help="of the one to cut [px]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="races whose name has this word")
    options = parser.parse_args()
    processor = platform.machine() + " " + torch.backends.cpu.get_cpu_capability()
    print(f"One thread, {processor}, {options.rounds} rounds in turn. {versions()}.\n")
    print("| path | mstool, core s | beside | its core s | ratio | aim |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for title, prepare in races(Path(name), options):
            if options.only in title:
                print("\n".join(hold(prepare(), options.rounds)), flush=True)


if __name__ == "__main__":
    main()
