"""A network at work on sets of micrographs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mstool.errors import InputError
from mstool.nn.checkpoint import LoadedModel, deciding_sources
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.scan import encoder_stages, scan_image
from mstool.pipeline.shift.sets import MicrographSet, Sample
from mstool.reporting import Reporter
from mstool.shift.readings import Reading, add_readings, read_prediction


@dataclass(frozen=True)
class Network:
    """A segmenter and what it needs to know of images.

    Attributes
    ----------
    segmenter : Segmenter
        On the device, in evaluation mode.
    compute : Compute
        Device and number format.
    levels : tuple of float
        Stored values of black and white.
    stages : tuple of str
        Layers that give features.
    """

    segmenter: Segmenter
    compute: Compute
    levels: tuple[float, float]
    stages: tuple[str, ...]

    def with_segmenter(self, segmenter: Segmenter) -> "Network":
        """Use another network in place of this one."""
        return replace(self, segmenter=segmenter)

    def place(self, image: np.ndarray) -> torch.Tensor:
        """Image (H, W, C) as a tensor (C, H, W) on the device."""
        tensor = torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, 0), np.float32))
        return self.compute.place_batch(tensor[None])[0]

    def read(self, image: np.ndarray, truth: np.ndarray | None) -> tuple[Reading, np.ndarray]:
        """Reading and features of one field in stored values."""
        scan = scan_image(self.segmenter, image, self.levels, self.compute, self.stages)
        return read_prediction(scan.probabilities, scan.views, truth), scan.features

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities (K, H, W) of one field in stored values."""
        scan = scan_image(self.segmenter, image, self.levels, self.compute, with_views=False)
        return scan.probabilities


@dataclass(frozen=True)
class SetReadings:
    """What a network makes of a set.

    Attributes
    ----------
    readings : tuple of Reading
        Of each micrograph.
    features : ndarray of float32, shape (N, D)
        Of each micrograph.
    """

    readings: tuple[Reading, ...]
    features: np.ndarray


def make_network(model: LoadedModel, sets: Sequence[MicrographSet], levels, compute) -> Network:
    """Network of a model, if it fits the sets.

    Raises
    ------
    InputError
        If it takes other pixels or another number of channels.
    """
    checkpoint, first = model.checkpoint, sets[0]
    n_channels = first.samples[0].fields[0].shape[2]
    if checkpoint.spec.n_channels != n_channels:
        remedy = "give --grey" if checkpoint.spec.n_channels == 1 else "give colour ones"
        raise InputError(
            f"{model.path}: takes {checkpoint.spec.n_channels} channels, the micrographs have "
            f"{n_channels}; {remedy}"
        )
    if checkpoint.dtype != first.dtype:
        raise InputError(
            f"{model.path}: was trained on {checkpoint.dtype} pixels, the micrographs have "
            f"{first.dtype}; save them alike"
        )
    segmenter = compute.place(model.segmenter).eval()
    return Network(segmenter, compute, levels, tuple(encoder_stages(segmenter, n_channels)))


def read_set(
    network: Network,
    samples: Sequence[Sample],
    description: str,
    report: Reporter,
    change: Callable[[np.ndarray], np.ndarray] = lambda image: image,
) -> SetReadings:
    """Read every micrograph of a set, its stored values changed first."""
    readings, features = [], []
    with report.progress(description, len(samples)) as advance:
        for sample in samples:
            parts = [
                network.read(change(image), truth)
                for image, truth in zip(sample.fields, sample.truths, strict=True)
            ]
            readings.append(add_readings([reading for reading, _ in parts]))
            features.append(np.mean([found for _, found in parts], axis=0))
            advance(1)
    return SetReadings(tuple(readings), np.stack(features))


def trained_on(one: MicrographSet, model: LoadedModel) -> set[int]:
    """Numbers of the micrographs that decided the weights."""
    contents = {row["sha256"] for row in deciding_sources(model.checkpoint)}
    return {number for number, sample in enumerate(one.samples) if sample.sha256 in contents}
