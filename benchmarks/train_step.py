"""Time one training step: mstool's way against the plain float32 NCHW loop, in one run.

    python benchmarks/train_step.py [--device cpu] [--size 256] [--batch-size 4] [--repeats 5]

Prints a CSV: seconds a step of each (median), and their ratio.
"""

import argparse
import statistics
import time
import warnings

import torch

from mstool.nn.device import Compute, choose_compute
from mstool.nn.losses import build_loss
from mstool.nn.model import ModelSpec, build_segmenter

NETWORKS = (
    ("unet", "efficientnet-lite0"),
    ("unet", "resnet18"),
    ("unet", "vgg16_bn"),
    ("unet-plain", None),
)


def prepare(spec: ModelSpec, compute: Compute, channels_last: bool, size: int, batch_size: int):
    """Give a function that does one step."""
    torch.manual_seed(0)
    network = build_segmenter(spec, [0.0], [1.0]).network.to(compute.device)
    images = torch.rand(batch_size, 1, size, size, device=compute.device)
    labels = torch.randint(0, spec.n_classes, (batch_size, size, size), device=compute.device)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    loss = build_loss("ce+dice")
    optimizer = torch.optim.AdamW(network.parameters())

    def step() -> None:
        with compute.autocast():
            logits = network(images)
        optimizer.zero_grad(set_to_none=True)
        loss(logits, labels).backward()
        optimizer.step()
        if compute.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def median_seconds(step, repeats: int) -> float:
    """Median time of a step after one that is not counted [s]."""
    step()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """Time all networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    ours = choose_compute(options.device)
    plain = Compute(ours.device, torch.float32)
    print("arch,encoder,device,precision,plain_s,mstool_s,ratio")
    for arch, encoder in NETWORKS:
        spec = ModelSpec(arch, encoder, 1, 4)
        times = [
            median_seconds(
                prepare(spec, compute, last, options.size, options.batch_size), options.repeats
            )
            for compute, last in ((plain, False), (ours, True))
        ]
        names = f"{arch},{encoder or ''},{ours.device},{ours.precision}"
        print(f"{names},{times[0]:.3f},{times[1]:.3f},{times[0] / times[1]:.2f}", flush=True)


if __name__ == "__main__":
    main()
