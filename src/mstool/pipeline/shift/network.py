"""A network at work on sets of micrographs."""

from collections.abc import Callable, Sequence

import numpy as np

from mstool.nn.checkpoint import LoadedModel, deciding_sources
from mstool.nn.device import Compute
from mstool.nn.scan import Network, encoder_stages
from mstool.pipeline.shift.samples import Sample, SampledSet
from mstool.reporting import Reporter
from mstool.shift.grey_levels import Levels
from mstool.shift.readings import Reading, SetReadings, add_readings, read_prediction
from mstool.splits.roles import UNLABELLED

Change = Callable[[np.ndarray], np.ndarray]


def make_network(model: LoadedModel, levels: Levels, compute: Compute) -> Network:
    """Network of a model, ready to work."""
    segmenter = compute.place(model.segmenter).eval()
    stages = encoder_stages(segmenter, model.checkpoint.spec.n_channels)
    return Network(segmenter, compute, levels, tuple(stages))


def read_field(
    network: Network, image: np.ndarray, truth: np.ndarray | None
) -> tuple[Reading, np.ndarray]:
    """Reading and features of one field in stored values."""
    scan = network.scan(image)
    return read_prediction(scan.probabilities, scan.views, truth), scan.features


def read_set(
    network: Network,
    samples: Sequence[Sample],
    description: str,
    report: Reporter,
    change_of: Callable[[Sample], Change] = lambda sample: lambda image: image,
) -> SetReadings:
    """Read every micrograph of a set, the stored values of its fields changed first."""
    readings, features = [], []
    with report.progress(description, len(samples)) as advance:
        for sample in samples:
            change = change_of(sample)
            parts = [
                read_field(network, change(image), truth)
                for image, truth in zip(sample.fields, sample.truths, strict=True)
            ]
            readings.append(add_readings([reading for reading, _ in parts]))
            features.append(np.mean([found for _, found in parts], axis=0))
            advance(1)
    return SetReadings(tuple(readings), np.stack(features))


def trained_on(one: SampledSet, model: LoadedModel) -> set[int]:
    """Numbers of the micrographs whose labels decided the weights."""
    sources = deciding_sources(model.checkpoint)
    contents = {row["sha256"] for row in sources if row["part"] != UNLABELLED}
    return {number for number, sample in enumerate(one.samples) if sample.sha256 in contents}
