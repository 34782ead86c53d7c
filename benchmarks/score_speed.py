#!/usr/bin/env python
"""How fast scores are computed, beside other packages that are installed.

    python benchmarks/score_speed.py [--pixels 20e6] [--pairs 24]

Prints a line a measurement: pixels in a second on one core, and the ratio to each of scikit-learn,
torchmetrics and MedPy that can be imported; then the time of the command ``score`` on micrographs
of 0.3 megapixels with boundaries and objects. The label maps are smooth random ones of four classes
that agree in about nine tenths of the pixels. Each figure is the best of several.
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from mstool.scores.boundary_agreement import count_boundaries, score_boundaries
from mstool.scores.confusion import confusion_matrix

N_CLASSES, SHAPE = 4, (484, 645)


def make_pair(seed):
    """Truth and mask: uint8, of `SHAPE`."""
    rng = np.random.default_rng(seed)
    fields = gaussian_filter(rng.normal(size=(N_CLASSES, *SHAPE)), (0, 6, 6))
    errors = gaussian_filter(rng.normal(size=fields.shape), (0, 3, 3))
    noisy = fields / fields.std() + 0.15 * errors / errors.std()
    return fields.argmax(0).astype(np.uint8), noisy.argmax(0).astype(np.uint8)


def best_time(function, n_tries=3):
    """Seconds of the quickest of several calls."""
    times = []
    for _ in range(n_tries):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def load(name):
    """Module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def compare(title, n_pixels, ours, others):
    """Print our rate, and how many times as long each other package takes."""
    seconds = best_time(ours)
    print(f"{title}: {n_pixels / seconds / 1e6:.0f} Mpx/s")
    for name, function in others.items():
        if function is None:
            print(f"  {name}: not installed")
        else:
            theirs = best_time(function, 1)
            print(
                f"  {name}: {n_pixels / theirs / 1e6:.1f} Mpx/s, {theirs / seconds:.1f} x as long"
            )


def compare_confusion(n_pixels):
    """Counting of pairs of classes."""
    truth, mask = (
        np.resize(labels, (int(n_pixels) // SHAPE[1], SHAPE[1])) for labels in make_pair(0)
    )
    sklearn, torchmetrics = load("sklearn.metrics"), load("torchmetrics.functional.classification")
    others = {"scikit-learn confusion_matrix": None, "torchmetrics confusion matrix": None}
    if sklearn:
        flat = truth.ravel(), mask.ravel()
        others["scikit-learn confusion_matrix"] = lambda: sklearn.confusion_matrix(*flat)
    if torchmetrics:
        import torch

        torch.set_num_threads(1)
        tensors = torch.tensor(mask), torch.tensor(truth)
        others["torchmetrics confusion matrix"] = lambda: torchmetrics.multiclass_confusion_matrix(
            *tensors, N_CLASSES
        )
    ours = lambda: confusion_matrix(truth, mask, N_CLASSES)  # noqa: E731
    compare("confusion matrix", truth.size, ours, others)


def compare_boundaries():
    """All boundary scores of four classes; MedPy: two of the six."""
    truth, mask = make_pair(1)
    medpy = load("medpy.metric.binary")

    def theirs():
        for index in range(N_CLASSES):
            medpy.hd95(mask == index, truth == index)
            medpy.assd(mask == index, truth == index)

    compare(
        "boundary scores",
        truth.size,
        lambda: score_boundaries(count_boundaries(truth, mask, N_CLASSES, 2)),
        {"MedPy hd95 and assd": theirs if medpy else None},
    )


def time_command(n_pairs):
    """The command as a user types it."""
    pairs = [make_pair(seed) for seed in range(n_pairs)]
    with tempfile.TemporaryDirectory() as name:
        for number, pair in enumerate(pairs):
            for folder, labels in zip(("labels", "masks"), pair, strict=True):
                (Path(name) / folder).mkdir(exist_ok=True)
                Image.fromarray(labels).save(Path(name) / folder / f"{number:02}.png")
        command = [sys.executable, "-m", "mstool", "score", "masks", "labels", "-q", "-o", "s.json"]
        for title, flags in (
            ("plain", ()),
            ("boundaries", ("--boundaries", "2px")),
            ("boundaries and objects", ("--boundaries", "2px", "--objects", "1")),
        ):
            line = [*command, *flags, "--overwrite"]
            seconds = best_time(lambda line=line: subprocess.run(line, cwd=name, check=True), 2)
            print(
                f"score on {n_pairs} pairs of {SHAPE[0] * SHAPE[1] / 1e6:.2f} Mpx, {title}: "
                f"{seconds:.1f} s"
            )


def main():
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=float, default=20e6, help="of the confusion matrix")
    parser.add_argument("--pairs", type=int, default=24, help="of the command")
    asked = parser.parse_args()
    compare_confusion(asked.pixels)
    compare_boundaries()
    time_command(asked.pairs)


if __name__ == "__main__":
    main()
