"""Time maps of a U-Net of 14 GMAC on 512 x 512 pixels, as multiples of one forward pass.

    OMP_NUM_THREADS=1 python benchmarks/explain_cost.py

The peer is the network's own forward pass, in the same run: a gradient cannot cost less than about
three of them, nor 16 steps of integrated gradients less than 48.
"""

import time

import numpy as np
import torch

from mstool.nn.attribution import Effort, Method, attribute
from mstool.nn.cams import CAMS
from mstool.nn.device import choose_compute
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.target import Subject, Target, at_rest


def seconds(work, n=3):
    """Median time of a few runs, after one that does not count [s]."""
    work()
    times = []
    for _ in range(n):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


torch.manual_seed(0)
spec = ModelSpec("unet-plain", None, 1, 2, depth=4, width=16)
segmenter = build_segmenter(spec, [120.0], [50.0])
image = np.random.default_rng(0).uniform(0, 255, (512, 512, 1)).astype(np.float32)
region = np.zeros((512, 512), bool)
region[200:300, 200:300] = True
layers = ("encoder.0", "encoder.2", "encoder.4", "decoder.0", "decoder.2", "decoder.3")
cams = [Method(name, layer) for name in CAMS[:3] for layer in layers]
with at_rest(segmenter):
    subject = Subject(segmenter, image, Target(1, region), choose_compute("cpu", "fp32"))
    pixels = subject.place(image)

    def forward():
        """One pass without a gradient."""
        with torch.inference_mode():
            segmenter(pixels)

    one = seconds(forward)
    print(f"forward pass: {one:.2f} s on {torch.get_num_threads()} thread(s)")
    for name, methods in {
        "18 CAMs at 6 layers and saliency": [*cams, Method("saliency")],
        "integrated gradients, 16 steps": [Method("integrated-gradients")],
    }.items():
        taken = seconds(lambda m=methods: attribute(subject, m, Effort(most_steps=16)), n=1)
        print(f"{name}: {taken:.2f} s, {taken / one:.0f} forward passes")
