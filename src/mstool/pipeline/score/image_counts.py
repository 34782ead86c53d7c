"""All that is counted of each micrograph, before anything is said of all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mstool.labels.legend import legend_from_toml
from mstool.pipeline.score.behind_masks import count_behind
from mstool.pipeline.score.counts import PairCounts, can_threshold, count_pairs
from mstool.pipeline.score.inputs import MaskRun, Pair
from mstool.pipeline.score.runs import list_all_inputs
from mstool.pipeline.score.score_settings import ScoreSettings
from mstool.pipeline.score.shapes import Shapes, measure_shapes
from mstool.pipeline.stitched import ProbabilityFolder
from mstool.reporting import Reporter
from mstool.scores.calibration import ConfidenceCounts


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """What is counted of one micrograph."""

    image: str  # its name
    runs: tuple[PairCounts, ...]  # masks of each run; Otsu regions in the first alone
    shapes: tuple[Shapes, ...]  # boundaries and objects in each run
    rivals: tuple[np.ndarray, ...]  # confusion matrices of other masks, int64 (C, C)
    behind: ConfidenceCounts | None  # of the probabilities behind the masks


@dataclass(frozen=True)
class Comparison:
    """What is compared with label maps, and how."""

    runs: tuple[MaskRun, ...]
    rivals: tuple[MaskRun, ...]
    probs: ProbabilityFolder | None
    legend: Path | None  # file that was given
    settings: ScoreSettings

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Masks of the first run with their truth."""
        return self.runs[0].pairs

    def inputs(self) -> list[Path]:
        """All files that decide the score, each once."""
        found = list_all_inputs([*self.runs, *self.rivals], self.legend)
        return found + (self.probs.files if self.probs else [])

    def can_threshold(self, report: Reporter) -> bool:
        """Whether Otsu regions are compared too: of all micrographs, or of none."""
        return can_threshold(self.pairs, report)

    def of(self, share: Callable[[Sequence[Pair]], Sequence[Pair]]) -> "Comparison":
        """The same of a share of the micrographs; in all runs these have the same order."""
        runs, rivals = (
            tuple(replace(run, pairs=tuple(share(run.pairs))) for run in each)
            for each in (self.runs, self.rivals)
        )
        return replace(self, runs=runs, rivals=rivals)


def count_images(asked: Comparison, with_regions: bool, report: Reporter) -> list[ImageCounts]:
    """Read all files of a comparison, and count.

    Raises
    ------
    InputError, LabelError
        As `count_behind`, `count_pairs` and `measure_shapes`.
    """
    settings, (first, *others) = asked.settings, asked.runs
    legend = legend_from_toml(settings.label_legend)

    def count(run: MaskRun, with_regions: bool = False) -> list[PairCounts]:
        return count_pairs(
            run.pairs,
            run.mask_legend,
            legend,
            settings.ignore_border,
            report,
            run.mask_set.may_abstain,
            with_regions,
        )

    behind = [None] * len(asked.pairs)
    if asked.probs is not None:
        behind = count_behind(
            asked.pairs, first.mask_set, asked.probs, legend, settings.ignore_border, report
        )
    runs = [count(first, with_regions), *map(count, others)]
    question = settings.ask_shapes()
    shapes = [
        measure_shapes(run.pairs, (run.mask_legend, legend), question, report) for run in asked.runs
    ]
    rivals = [count(rival) for rival in asked.rivals]
    return [
        ImageCounts(
            pair.name,
            tuple(counted[number] for counted in runs),
            tuple(found[number] for found in shapes),
            tuple(counted[number].mask for counted in rivals),
            behind[number],
        )
        for number, pair in enumerate(asked.pairs)
    ]


def list_behind(images: Sequence[ImageCounts]) -> list[ConfidenceCounts]:
    """Counts of the probabilities behind the masks of each micrograph; these were asked for."""
    return [image.behind for image in images if image.behind is not None]
