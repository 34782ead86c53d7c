"""What every part of an explanation shares: the network, what is asked of it, the clock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mstool.explanations.field_of_view import Field
from mstool.explanations.regions import Region
from mstool.explanations.verdicts import Thresholds
from mstool.io.atomic import atomic_path
from mstool.nn.attribution import LIGHT_EFFORT, Effort, Method, attribute
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.target import Contrast, Subject, Target
from mstool.pictures.save import save_figure
from mstool.pipeline.explain.request import ExplainSettings
from mstool.pipeline.explain.stamping import DRAWN
from mstool.pipeline.kept_parts import Budget
from mstool.reporting import Reporter

Maps = dict[str, np.ndarray]


@dataclass(frozen=True)
class Question:
    """One question to one network."""

    segmenter: Segmenter  # at rest, on the device
    compute: Compute
    settings: ExplainSettings
    limits: Thresholds
    methods: tuple[Method, ...]
    classes: tuple[str, ...]
    class_index: int
    contrast: Contrast
    fields: tuple[Field, ...]
    out: Path  # folder for pictures and arrays
    report: Reporter
    limits_grey: tuple[float, float]  # least and largest that a patch may have
    budget: Budget  # of all, or of one part

    def within(self, share: float) -> "Question":
        """Ask the same with a share of the time that is left, from 0 to 1."""
        return replace(self, budget=self.budget.share(share))

    @property
    def method_labels(self) -> list[str]:
        """What methods are called."""
        return [method.label for method in self.methods]

    @property
    def source(self) -> str:
        """Where labels come from: ``labels`` or ``prediction``."""
        return "prediction" if self.fields[0].truth is None else "labels"

    @property
    def pixel_size_um(self) -> float | None:
        """Of the first field [um/px]."""
        return self.fields[0].pixel_size_um

    def rng(self, *stream: int) -> np.random.Generator:
        """Generator of one purpose."""
        return np.random.default_rng([self.settings.seed, *stream])

    def ask(self, image: np.ndarray, inside: np.ndarray) -> Subject:
        """Put this question to an image."""
        target = Target(self.class_index, inside, self.contrast)
        return Subject(self.segmenter, image, target, self.compute)

    def ask_region(self, region: Region) -> Subject:
        """Put this question to a region."""
        return self.ask(region.image, region.inside)

    def explain(self, subject: Subject, effort: Effort | None = None) -> Maps:
        """Map of each method for a subject, by label."""
        maps = attribute(subject, self.methods, effort)
        return {label: found.values for label, found in maps.items()}

    def explain_regions(self, segmenter: Segmenter, regions: Sequence[Region]) -> list[Maps]:
        """Maps of each region, in any network and with little effort."""
        other = replace(self, segmenter=segmenter)
        return [other.explain(other.ask_region(region), LIGHT_EFFORT) for region in regions]

    def in_time(
        self, what: str, regions: Sequence[Region], left_out: list[str]
    ) -> Iterator[tuple[int, Region]]:
        """Regions with their numbers, while one more fits into the budget; the first in any case.

        How many there was no time for is added to `left_out`.
        """
        n_seen = 0
        with self.report.progress(what, len(regions)) as advance:
            for number in self.budget.paced(range(len(regions))):
                yield number, regions[number]
                n_seen += 1
                advance(1)
        if n_seen < len(regions):
            left_out.append(f"{what} on {len(regions) - n_seen} of {len(regions)} regions")

    def draw(self, name: str, figure: Figure) -> None:
        """Keep a picture until it is known what was checked; `name` is relative to `out`."""
        path = self.out / DRAWN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_figure(path, figure)

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write compressed arrays by name into one file; `name` is relative to `out`."""
        path = self.out / name
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, **arrays)


def alike(regions: Sequence[Region]) -> list[Region]:
    """Regions whose window is as large as that of the first, so that they make a batch."""
    return [region for region in regions if region.image.shape == regions[0].image.shape]


def file_word(text: str) -> str:
    """Text as part of a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text).strip("_")
