"""Time one training step: mstool's way against others, in one run.

    python benchmarks/train_step.py [--device cpu] [--size 256] [--batch-size 4] [--repeats 5]
    python benchmarks/train_step.py --decoders

Prints a CSV. By default each network learns by mstool's way and by a plain float32 NCHW loop. With
``--decoders`` the whole step of ``mstool train``, crops with their random changes and all, is timed
for decoders of several widths, each in turn with the usual one. Seconds are medians, on a CPU those
of all its cores together, which other work on the machine changes least.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from mstool.io.records import Run
from mstool.io.tiles import Tile
from mstool.nn.augment import PRESETS
from mstool.nn.dataset import CropSet, TileStore, fit_normalisation
from mstool.nn.decoder_width import parse_decoder_width
from mstool.nn.device import Compute, choose_compute, make_deterministic
from mstool.nn.fit import Fit
from mstool.nn.fit_state import FitSettings
from mstool.nn.losses import build_loss
from mstool.nn.model import DEFAULT_ENCODER, ModelSpec, build_segmenter
from mstool.nn.threads import ThreadTrial

NETWORKS = (
    ("unet", "efficientnet-lite0"),
    ("unet", "resnet18"),
    ("unet", "vgg16_bn"),
    ("unet-plain", None),
)
DECODERS = (("unet", "0.5"), ("unet", "0.25"), ("unet", "64,48,32,16,8"), ("linknet", None))
N_CLASSES = 4

Step = Callable[[], None]


def prepare(
    spec: ModelSpec,
    compute: Compute,
    channels_last: bool,
    size: int,
    batch_size: int,
    compile_mode: str | None = None,
) -> Step:
    """Give a function that does one step of a plain loop on crops that are there already."""
    torch.manual_seed(0)
    network = build_segmenter(spec, [0.0], [1.0]).network.to(compute.device)
    images = torch.rand(batch_size, 1, size, size, device=compute.device)
    labels = torch.randint(0, spec.n_classes, (batch_size, size, size), device=compute.device)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    loss = build_loss("ce+dice")
    optimizer = torch.optim.AdamW(network.parameters())
    if compile_mode is not None:
        network = torch.compile(network, mode=compile_mode)

    def step() -> None:
        with compute.autocast():
            logits = network(images)
        optimizer.zero_grad(set_to_none=True)
        loss(logits, labels).backward()
        optimizer.step()

    return step


def prepare_crops(spec: ModelSpec, size: int, n_tiles: int) -> CropSet:
    """Give random crops of tiles of noise, with the usual changes."""
    chance = np.random.default_rng(0)
    image = chance.integers(0, 256, (size, size), np.uint8)
    labels = chance.integers(0, spec.n_classes, (size // 8, size // 8), np.uint8)
    labels = labels.repeat(8, axis=0).repeat(8, axis=1)
    tiles = [Tile(f"t{i}", "a.tif", "a", 0, 0, size, size) for i in range(n_tiles)]
    store = TileStore(tiles, lambda _: (image, labels))
    return CropSet(store, size, PRESETS["default"], fit_normalisation(store, Path("tiles")), 0)


def build_fit(spec: ModelSpec, compute: Compute, size: int, batch_size: int, out: Path) -> Fit:
    """Training as ``mstool train`` does it, on crops of noise."""
    crops = prepare_crops(spec, size, batch_size)
    segmenter = build_segmenter(spec, [128.0], [74.0], 0)
    settings = FitSettings(
        epochs=1,
        batch_size=batch_size,
        lr=1e-3,
        encoder_lr_factor=0.3,
        weight_decay=1e-2,
        ema=0.99,
        patience=0,
        validate_every=1,
        max_time_s=None,
        workers=0,
        seed=0,
    )
    segmenter = compute.place(segmenter).train()
    threads = ThreadTrial(torch.get_num_threads())
    loss = build_loss("ce+dice")
    return Fit(segmenter, crops, loss, None, settings, compute, out, Run(), threads)


def prepare_fit(spec: ModelSpec, compute: Compute, size: int, batch_size: int, out: Path) -> Step:
    """Give a function that cuts the crops of one step and takes it as ``mstool train`` does."""
    fit = build_fit(spec, compute, size, batch_size, out)
    crops = fit.crops

    def step() -> None:
        pairs = [crops[fit.state.n_steps, index] for index in range(batch_size)]
        images, maps = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        fit._train_step(images, maps, 0.5)

    return step


def seconds_in_turn(steps: list[Step], repeats: int, device: torch.device) -> list[float]:
    """Median time of a step of each, taken in turn after two that are not counted [s]."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds = [[] for _ in steps]
    for repeat in range(repeats + 2):
        for step, times in zip(steps, seconds, strict=True):
            started = clock()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat >= 2:
                times.append(clock() - started)
    return [statistics.median(times) for times in seconds]


def compare_networks(options: argparse.Namespace) -> Iterator[str]:
    """Give lines of a CSV: each network by the plain loop and by mstool's way."""
    ours = choose_compute(options.device)
    plain = Compute(ours.device, torch.float32)
    yield "arch,encoder,device,precision,plain_s,mstool_s,ratio"
    for arch, encoder in NETWORKS:
        spec = ModelSpec(arch, encoder, 1, N_CLASSES)
        steps = [
            prepare(spec, compute, last, options.size, options.batch_size)
            for compute, last in ((plain, False), (ours, True))
        ]
        slow, fast = seconds_in_turn(steps, options.repeats, ours.device)
        names = f"{arch},{encoder or ''},{ours.device},{ours.precision}"
        yield f"{names},{slow:.3f},{fast:.3f},{slow / fast:.2f}"


def compare_decoders(options: argparse.Namespace) -> Iterator[str]:
    """Give lines of a CSV: the usual decoder of a U-Net in turn with each other one."""
    yield "arch,decoder_width,device,precision,usual_s,this_s,ratio"
    for precision in ("fp32", "bf16"):
        compute = choose_compute(options.device, precision)
        for arch, width in DECODERS:
            channels = None if width is None else parse_decoder_width(width, arch)
            specs = (
                ModelSpec("unet", DEFAULT_ENCODER, 1, N_CLASSES),
                ModelSpec(arch, DEFAULT_ENCODER, 1, N_CLASSES, decoder_channels=channels),
            )
            with tempfile.TemporaryDirectory() as folder:
                steps = [
                    prepare_fit(spec, compute, options.size, options.batch_size, Path(folder))
                    for spec in specs
                ]
                usual, this = seconds_in_turn(steps, options.repeats, compute.device)
            names = f'{arch},"{width or ""}",{compute.device},{precision}'
            yield f"{names},{usual:.3f},{this:.3f},{usual / this:.2f}"


def main() -> None:
    """Time what the flags ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--decoders", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    make_deterministic()
    for line in (compare_decoders if options.decoders else compare_networks)(options):
        print(line, flush=True)


if __name__ == "__main__":
    main()
