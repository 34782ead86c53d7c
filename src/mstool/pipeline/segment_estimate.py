"""What the segmentation of micrographs will take, from a trial on a few tiles."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from mstool.errors import InputError, UnavailableError
from mstool.io.records import Run, core_seconds, peak_rss_mb
from mstool.io.tiles import SourceImage
from mstool.pipeline.mask_files import write_mask
from mstool.pipeline.segment import Stream
from mstool.pipeline.stitched import blend_tiles

Made = TypeVar("Made")

_ROWS, _COLS = 2, 4  # tiles of the micrograph on which blending and writing are tried
_MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """Time by the clock, and of all cores together [s]; the latter is None where nobody tells."""

    elapsed_s: float
    core_s: float | None

    def __add__(self, other: "Cost") -> "Cost":
        """Both, one after the other."""
        core_s = None
        if self.core_s is not None and other.core_s is not None:
            core_s = self.core_s + other.core_s
        return Cost(self.elapsed_s + other.elapsed_s, core_s)

    def times(self, n: float) -> "Cost":
        """The same n times."""
        return Cost(self.elapsed_s * n, None if self.core_s is None else self.core_s * n)


@dataclass(frozen=True)
class SegmentEstimate:
    """What masks will take; overlays are not counted."""

    n_micrographs: int
    n_tiles: int
    megapixels: float  # of the scaled micrographs, each pixel once
    engine: str  # program that will run the networks
    batch_size: int  # tiles at a time
    elapsed_s: float
    core_s: float | None
    s_per_megapixel: float
    peak_rss_mb: float | None  # [MiB]; None where it is not known, see `_peak`


def estimate_segment(make_stream: Callable[[], Stream], run: Run) -> SegmentEstimate:
    """Predict a few tiles of the first micrograph, blend and write some, and count the rest.

    Parameters
    ----------
    make_stream : callable
        Gives a stream that is ready to begin. It is called twice, since the first time may try
        engines, which no later run does.
    run : Run
        Whose start is that of the whole; what it took until now it takes each time.

    Raises
    ------
    InputError
        If the first micrograph cannot be read, or none of a shard.
    """
    begun = Cost(time.monotonic() - run.clock, run.core_s())
    make_stream()
    opened, stream = _cost_of(make_stream)
    if not stream.micrographs.members:
        raise InputError(f"{stream.unreadable[0]}: none of these micrographs can be read")
    peak, start_up = _peak(stream), begun + opened
    shapes = [stream.micrographs.open(member).shape for member in stream.micrographs.members]
    n_tiles = sum(len(stream.plan(shape)) for shape in shapes)
    megapixels = sum(height * width for height, width in shapes) / 1e6
    one_tile, one_megapixel = _try_tiles(stream), _try_masks(stream)
    whole = start_up + one_tile.times(n_tiles) + one_megapixel.times(megapixels)
    return SegmentEstimate(
        len(shapes), n_tiles, megapixels, stream.engine.name, stream.batch_size,
        round(whole.elapsed_s, 3), None if whole.core_s is None else round(whole.core_s, 3),
        round(whole.elapsed_s / megapixels, 3), peak,
    )  # fmt: skip


def _try_tiles(stream: Stream) -> Cost:
    """Cost of a tile, once the network is warm."""
    opened = stream.micrographs.open(stream.micrographs.members[0])
    windows = stream.plan(opened.shape)[: stream.batch_size]

    def work() -> None:
        for _ in stream.predict(opened, windows, lambda *_: None):
            pass

    work()
    return _cost_of(work)[0].times(1 / len(windows))


def _try_masks(stream: Stream) -> Cost:
    """Cost of a megapixel of mask, from probabilities on."""
    size, n_classes = stream.settings.size, len(stream.legend.classes)
    shape = (_ROWS * size, _COLS * size)
    coarse = np.random.default_rng(0).random((n_classes, size // 8 + 1, size // 8 + 1), np.float32)
    values = (coarse / coarse.sum(axis=0)).repeat(8, 1).repeat(8, 2)[:, :size, :size]
    tiles = [(window, values) for window in stream.plan(shape)]
    source = SourceImage("trial.tif", "trial.tif", "", "trial.tif", "", shape, shape)

    def work() -> None:
        with TemporaryDirectory() as folder:
            bands = blend_tiles(tiles, source, stream.masks.blend)
            write_mask(Path(folder), bands, source, stream.legend, stream.masks)

    return _cost_of(work)[0].times(1e6 / (shape[0] * shape[1]))


def _peak(stream: Stream) -> float | None:
    """Most memory of a run [MiB].

    None where the system does not tell, and where this process has needed more before, as for a
    trial of engines: then it is known the next time.
    """
    with suppress(UnavailableError):
        before, needs = peak_rss_mb(), stream.measure()
        if before is not None and needs.with_one > before * _MIB:
            more = (stream.batch_size - 1) * needs.each_more
            return round((needs.with_one + more + needs.blending) / _MIB, 1)
    return None


def _cost_of(work: Callable[[], Made]) -> tuple[Cost, Made]:
    """What a call takes, and what it gives."""
    clock, cores = time.monotonic(), core_seconds()
    made, now = work(), core_seconds()
    core_s = None if now is None or cores is None else now - cores
    return Cost(time.monotonic() - clock, core_s), made
