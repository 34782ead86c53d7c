"""What decides a score, besides the files."""

from dataclasses import dataclass

from mstool.errors import UsageError
from mstool.geometry.length import parse_length
from mstool.labels.legend import legend_from_toml
from mstool.pipeline.score.shapes import ShapeQuestion


@dataclass(frozen=True)
class ScoreSettings:
    """How to score."""

    mask_legend: str  # what masks are read through, as TOML
    label_legend: str  # the same of label maps
    label_suffix: str  # what names of label maps add to those of masks
    group_by: str | None
    strict: bool  # whether label maps without a mask are refused
    min_iou: float | None  # pooled mean IoU [1] below which the check fails
    versus: list[str]  # folders with other masks, in their order
    min_detectable: bool
    ignore_border: int  # rim of micrographs that is left out [px]
    boundaries: str | None  # tolerance of boundary scores, a length; None to leave them
    objects: list[str] | None  # classes that consist of objects
    tools: list[str] | None  # whose numbers are wanted too
    pixel_size: float | None  # instead of what the files say [um/px]
    seed: int

    def __post_init__(self):
        if self.min_iou is not None and not 0 <= self.min_iou <= 1:
            raise UsageError(f"--min-iou {self.min_iou}: must be between 0 and 1")
        if self.pixel_size is not None and self.boundaries is None:
            raise UsageError(
                "--pixel-size: needs --boundaries; say how they are compared, or leave out"
            )
        names = legend_from_toml(self.label_legend).names
        for name in self.objects or ():
            if name not in names:
                raise UsageError(f"--objects {name}: no such class; use {', '.join(names)}")
        self.ask_shapes()

    def ask_shapes(self) -> ShapeQuestion:
        """What is asked of boundaries and objects."""
        length = self.boundaries and parse_length(self.boundaries, "--boundaries")
        objects = tuple(dict.fromkeys(self.objects or ()))
        return ShapeQuestion(length, objects, self.ignore_border, self.pixel_size)
