#!/usr/bin/env python
"""Training and inference on a GPU, beside the plain loop on the same card, in one run.

    python benchmarks/gpu.py [--batch-size 16] [--rounds 5] [--device cuda] [--small]

Prints a table in Markdown and what follows from it: images a second, the share of the card's peak
(operations of convolutions and products, by those of a large matrix product in the same number
format), whether torch.compile or CUDA graphs would pay, whether a step makes the host wait, how
fast random crops come, and in how many pixels labels are those of the CPU. Where there is no such
device it says so and ends. With ``--device cpu --small`` it shows that it works.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import hot_path_peers as peers
import numpy as np
import tifffile
import torch
from hot_paths import Race, hold, make_model
from torch.utils.flop_counter import FlopCounterMode
from train_step import build_fit, prepare, prepare_crops

from mstool.errors import UnavailableError
from mstool.nn.checkpoint import load_checkpoint
from mstool.nn.dataset import CropSet
from mstool.nn.device import Compute, choose_compute, make_deterministic
from mstool.nn.infer import predict_images
from mstool.nn.model import DEFAULT_ENCODER, ModelSpec, build_segmenter

N_CLASSES = 4
PLAIN = "plain loop: float32, channels first, free to be unrepeatable"
FREE = "mstool, free to be unrepeatable"
COMPILED = {"torch.compile": "default", "torch.compile with CUDA graphs": "reduce-overhead"}

Work = Callable[[], object]


class Bench:
    """A device, and how much is done on it."""

    def __init__(self, options: argparse.Namespace):
        self.compute = choose_compute(options.device)
        self.plain = Compute(self.compute.device, torch.float32)
        small = options.small
        self.size, self.tile_size = (64, 64) if small else (256, 512)
        self.batch_size = 2 if small else options.batch_size
        self.rounds, self.n_repeats = (1, 1) if small else (options.rounds, 10)
        self.encoder = "resnet18" if small else DEFAULT_ENCODER
        self.peak_edge = 256 if small else 8192

    @property
    def is_cuda(self) -> bool:
        """Whether it has streams, events and graphs."""
        return self.compute.device.type == "cuda"

    @property
    def spec(self) -> ModelSpec:
        """Network that is trained."""
        return ModelSpec("unet", self.encoder, 1, N_CLASSES)

    def seconds(self, work: Work) -> float:
        """Time of a call by the clock, in the mean over some that follow each other [s]."""
        self.wait()
        began = time.perf_counter()
        for _ in range(self.n_repeats):
            work()
        self.wait()
        return (time.perf_counter() - began) / self.n_repeats

    def wait(self) -> None:
        """Let the device finish."""
        if self.is_cuda:
            torch.cuda.synchronize(self.compute.device)

    def warm(self, work: Work) -> Work:
        """The same, after it was called some times."""
        for _ in range(3):
            work()
        self.wait()
        return work

    def attempt(self, work: Work) -> Work | None:
        """The same; None, with a line, where it cannot be."""
        try:
            return self.warm(work)
        except Exception as error:  # of a compiler, in any of its parts
            print(f"- not possible here: {' '.join(str(error).split())[:200]}", flush=True)
            return None


def freely(work: Work) -> Work:
    """The same, with the fastest algorithms that are found, whether or not they repeat bytes."""

    def free() -> object:
        torch.set_deterministic_debug_mode("default")
        torch.backends.cudnn.benchmark = True
        try:
            return work()
        finally:
            make_deterministic()

    return free


def peak_flops(bench: Bench) -> float:
    """Operations a second of a large matrix product, in the number format of the run [1/s]."""
    n = bench.peak_edge
    one, other = (
        torch.rand(n, n, device=bench.compute.device, dtype=bench.compute.dtype) for _ in range(2)
    )
    out = torch.empty_like(one)
    work = lambda: torch.mm(one, other, out=out)  # noqa: E731
    bench.warm(work)
    return 2 * n**3 / min(bench.seconds(work) for _ in range(max(3, bench.rounds)))


def count_flops(work: Work) -> int:
    """Operations of convolutions and products in a call."""
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    return counter.get_total_flops()


def waits_in_words(bench: Bench, work: Work) -> str:
    """How often, and where, the host waits for the GPU in a call."""
    if not bench.is_cuda:
        return "not known here"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [each for each in told if "synchroniz" in str(each.message)]
    places = sorted({f"{Path(each.filename).name}:{each.lineno}" for each in waits})
    return f"{len(waits)} {', '.join(places)}"


def own_step(bench: Bench, folder: Path) -> Work:
    """Step of ``mstool train``, on crops that are there already."""
    fit = build_fit(bench.spec, bench.compute, bench.size, bench.batch_size, folder)
    pairs = [fit.crops[0, index] for index in range(bench.batch_size)]
    images, labels = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    if bench.is_cuda:
        images, labels = images.pin_memory(), labels.pin_memory()
    return lambda: fit._train_step(images, labels, 0.5)


def bare_step(bench: Bench, compute: Compute, channels_last: bool, mode: str | None) -> Work:
    """Step without averages, seeds and schedule; compiled in a mode, if there is one."""
    spec, size = bench.spec, bench.size
    return prepare(spec, compute, channels_last, size, bench.batch_size, compile_mode=mode)


def race_steps(bench: Bench, folder: Path) -> Race:
    """A training step in several ways."""
    ours = bench.warm(own_step(bench, folder))
    others = {
        PLAIN: bench.warm(freely(bare_step(bench, bench.plain, False, None))),
        FREE: bench.warm(freely(own_step(bench, folder))),
        "mstool without averages, seeds and schedule": bench.warm(
            bare_step(bench, bench.compute, True, None)
        ),
    }
    if bench.is_cuda:
        for name, mode in COMPILED.items():
            others[name] = bench.attempt(bare_step(bench, bench.compute, True, mode))
    title = f"training step, U-Net, {bench.batch_size} crops of {bench.size} px"
    return Race(title, ours, others)


def race_inference(bench: Bench) -> Race:
    """Probabilities of tiles, from arrays to arrays, in several ways."""
    chance = np.random.default_rng(0)
    shape = (bench.tile_size, bench.tile_size)
    tiles = [chance.integers(0, 256, shape, np.uint8) for _ in range(bench.batch_size)]

    def way(mode: str | None) -> Work:
        segmenter = bench.compute.place(build_segmenter(bench.spec, [128.0], [74.0], 0).eval())
        if mode is not None:
            segmenter.network = torch.compile(segmenter.network, mode=mode)
        return lambda: predict_images([segmenter], tiles, bench.compute)

    network = build_segmenter(bench.spec, [128.0], [74.0], 0).network
    loop = peers.plain_loop(network, tiles, bench.compute.device)
    others = {PLAIN: bench.warm(freely(loop)), FREE: bench.warm(freely(way(None)))}
    if bench.is_cuda:
        others |= {name: bench.attempt(way(mode)) for name, mode in COMPILED.items()}
    title = f"inference, {bench.batch_size} tiles of {bench.tile_size} px"
    return Race(title, bench.warm(way(None)), others)


class TilesOnDevice:
    """Tiles of a `TileStore` that lie on a device."""

    def __init__(self, store, device: torch.device):
        self.tiles = store.tiles
        self._kept = [
            tuple(part.to(device) for part in store.read(index)) for index in range(len(store))
        ]

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and label map."""
        return self._kept[index]


def race_crops(bench: Bench) -> Race:
    """Random crops with their changes: by one core, and on the device."""
    on_host = prepare_crops(bench.spec, bench.size, bench.batch_size)
    kept = TilesOnDevice(on_host.store, bench.compute.device)
    on_device = CropSet(kept, bench.size, on_host.augmentation, on_host.normalisation, on_host.seed)

    def cut(crops: CropSet) -> Work:
        epochs = iter(range(10**9))

        def work() -> None:
            epoch = next(epochs)
            for index in range(bench.batch_size):
                crops[epoch, index]

        return work

    title = f"cut {bench.batch_size} crops of {bench.size} px on one core, with random changes"
    return Race(title, bench.warm(cut(on_host)), {"on the device": bench.warm(cut(on_device))})


def labels_beside_cpu(bench: Bench, work: Path) -> Iterator[str]:
    """Say in how many pixels a trained network gives the labels that the CPU gives in float32."""
    model = make_model(work)
    tiles = [tifffile.imread(path) for path in sorted((work / "tiles" / "images").glob("*.tif"))]

    def labels(compute: Compute) -> np.ndarray:
        segmenter = compute.place(load_checkpoint(model).segmenter.eval())
        return predict_images([segmenter], tiles[:8], compute).argmax(axis=1)

    expected = labels(choose_compute("cpu", "fp32"))
    for compute in dict.fromkeys((bench.plain, bench.compute)):
        share = (labels(compute) == expected).mean()
        yield f"{compute.name}, {compute.precision}: labels of the CPU in {share:.4%} of pixels"


def pace(bench: Bench, title: str, work: Work, peak: float) -> str:
    """Images a second, and the share of the peak, in words."""
    seconds = statistics.median(bench.seconds(work) for _ in range(bench.rounds))
    flops = count_flops(work)
    return (
        f"{title}: {bench.batch_size / seconds:.1f} images/s, {flops / seconds / 1e12:.3g} "
        f"TFLOP/s, {flops / seconds / peak:.1%} of the peak"
    )


def report(bench: Bench, folder: Path) -> Iterator[str]:
    """Give lines of the table and what follows from it."""
    peak = peak_flops(bench)
    yield (
        f"{bench.compute.name}, {bench.compute.precision}, torch {torch.__version__}; peak "
        f"{peak / 1e12:.3g} TFLOP/s; {bench.rounds} rounds in turn, seconds by the clock.\n"
    )
    races = [race_steps(bench, folder), race_inference(bench), race_crops(bench)]
    yield "| path | mstool, s | beside | its s | ratio | aim |"
    yield "|---|---|---|---|---|---|"
    for race in races:
        yield from hold(race, bench.rounds, bench.seconds)
    yield ""
    for race in races[:2]:
        yield "- " + pace(bench, race.title, race.ours, peak)
    yield f"- host waits in a training step: {waits_in_words(bench, races[0].ours)}"
    for line in labels_beside_cpu(bench, folder):
        yield "- " + line


def main() -> None:
    """Measure, or say that there is nothing to measure on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="sizes that show that it works")
    options = parser.parse_args()
    try:
        bench = Bench(options)
    except UnavailableError as error:
        print(f"skipped: {error}")
        return
    make_deterministic()
    with tempfile.TemporaryDirectory() as folder:
        for line in report(bench, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
