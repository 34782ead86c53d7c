"""Two sets and a network, read and ready to be compared."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstool.labels.legend import Legend, legend_from_toml
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.scan import Network
from mstool.pipeline.kept_parts import KeptParts
from mstool.pipeline.shift.plan import ShiftSettings
from mstool.pipeline.shift.samples import SampledSet
from mstool.reporting import Reporter
from mstool.shift.appearance import Appearance, describe, mean_appearance
from mstool.shift.grey_levels import Levels, to_unit
from mstool.shift.readings import SetReadings


@dataclass(frozen=True)
class Comparison:
    """Two sets, and the network that is to work on them, if there is one."""

    settings: ShiftSettings
    source: SampledSet
    target: SampledSet
    levels: Levels
    looks: tuple[list[Appearance], list[Appearance]]  # of each micrograph of source and target
    model: LoadedModel | None  # as loaded
    network: Network | None  # the same at work
    readings: tuple[SetReadings, SetReadings] | None  # of source and target
    target_s: float  # what it took to read the target with the network [s]; 0 without one
    parts: KeptParts  # what is made of all this, in the folder to fill

    @property
    def out(self) -> Path:
        """Folder to fill."""
        return self.parts.folder

    @property
    def report(self) -> Reporter:
        """Where notes and progress go."""
        return self.parts.report

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty without a model."""
        return self.model.checkpoint.classes if self.model else ()

    @property
    def legend(self) -> Legend | None:
        """Of the model, or else of the label maps; None without either."""
        if self.model is not None:
            return legend_from_toml(self.model.checkpoint.legend)
        return next((one.opened.legend for one in self.sets if one.opened.legend), None)

    @property
    def sets(self) -> tuple[SampledSet, SampledSet]:
        """Source and target."""
        return self.source, self.target

    @property
    def pixel_size_um(self) -> float | None:
        """Of the fields of both sets [um/px]; None where either set does not say."""
        sizes = [one.pixel_size_um for one in self.sets]
        return None if None in sizes else sizes[0]

    @property
    def groups(self) -> tuple[list[str], list[str]]:
        """Specimen of each micrograph, of source and target."""
        return self.source.groups, self.target.groups


def look_at(one: SampledSet, levels: Levels, report: Reporter) -> list[Appearance]:
    """Image statistics of each micrograph."""
    found = []
    with report.progress(f"statistics of the {one.name}", len(one.samples)) as advance:
        for sample in one.samples:
            found.append(mean_appearance([describe(to_unit(f, levels)) for f in sample.fields]))
            advance(1)
    return found


def list_doubts(source: SampledSet, target: SampledSet) -> list[str]:
    """What a reader should know of the sets before anything of what was found."""
    doubts = []
    contents = {sample.sha256 for sample in source.samples}
    both = [sample.name for sample in target.samples if sample.sha256 in contents]
    if both:
        shown = ", ".join(both[:3]) + (", ..." if len(both) > 3 else "")
        doubts.append(f"{len(both)} micrographs are in both sets: {shown}")
    for one in (source, target):
        blank = [s.name for s in one.samples if all(np.ptp(field) == 0 for field in s.fields)]
        if blank:
            doubts.append(f"{len(blank)} micrographs of the {one.name} are blank: {blank[0]} ...")
    if (source.pixel_size_um is None) != (target.pixel_size_um is None):
        known = "source" if source.pixel_size_um else "target"
        doubts.append(f"only the {known} has a pixel size; the magnification may differ")
    factor = target.opened.reading.scale / source.opened.reading.scale
    if factor != 1:
        doubts.append(
            f"the target was magnified {factor:.3g} times to the pixel size of the source, which "
            "alone changes sharpness and noise"
        )
    edges = [
        np.median([np.sqrt(field[..., 0].size) for field in one.fields]) for one in (source, target)
    ]
    if max(edges) > 1.5 * min(edges):
        doubts.append(
            f"fields of the source are about {edges[0]:.0f} px wide, of the target "
            f"{edges[1]:.0f} px: smaller ones scatter more, which can look like a shift; "
            "give --size"
        )
    return doubts
