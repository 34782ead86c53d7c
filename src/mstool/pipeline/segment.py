"""Micrographs to masks in one stream, without files in between."""

import time
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mstool.errors import CheckFailed, InputError, MissingInputError, UsageError
from mstool.geometry.grid import check_tile_size, plan_windows
from mstool.geometry.padding import pad_by_reflection
from mstool.geometry.window import Window
from mstool.io.atomic import write_text
from mstool.io.images import open_micrograph
from mstool.io.records import pick, relative_to, require_keys
from mstool.io.tiles import STITCH_RECORD, SourceImage, from_stored, read_sources, to_stored
from mstool.labels.legend import Legend, index_legend, legend_from_toml, legend_to_toml
from mstool.micrographs.find import SetFiles
from mstool.micrographs.grey_range import describe_greys, sample_greys
from mstool.micrographs.needs import GivenMicrograph, Needs, check_needs
from mstool.micrographs.own_greys import OWN_GREYS
from mstool.micrographs.sets import Member, MicrographSet, Reading, ScaledMicrograph
from mstool.micrographs.tile_folder import LEGEND
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.device import Compute
from mstool.nn.engines import TORCH
from mstool.nn.graph_folder import user_graph_folder
from mstool.nn.infer import predict_images
from mstool.pipeline.engine_choice import (
    TRIAL_TILES,
    EngineChoice,
    EngineRequest,
    engine_of_job,
)
from mstool.pipeline.fold_models import know_specimens
from mstool.pipeline.job import Job, Work
from mstool.pipeline.kept_parts import PARTS, Budget, KeptParts
from mstool.pipeline.made_with import describe_making
from mstool.pipeline.mask_files import (
    CONFIDENCE,
    OVERLAYS,
    Doubt,
    MaskSettings,
    describe_masks,
    files_of_mask,
    note_doubts,
    write_mask,
)
from mstool.pipeline.mask_pictures import OverlayInputs, write_overlay
from mstool.pipeline.memory_bound import MemoryNeeds, blending_bytes, choose_batch, measure_needs
from mstool.pipeline.predict import describe_models
from mstool.pipeline.shards import Part, Parts
from mstool.pipeline.stitch import list_masks, list_pieces
from mstool.pipeline.stitched import blend_tiles
from mstool.pipeline.streaming import read_ahead
from mstool.pipeline.tile import describe_source
from mstool.reporting import Advance, Reporter


@dataclass(frozen=True)
class SegmentSettings:
    """How micrographs are cut and predicted."""

    size: int  # tile edge [px]
    overlap: int  # least number of pixels that neighbours share [px]
    reading: Reading
    tta: str  # "none", "flips" or "d4"
    probs: str  # "uint8" or "float16", to which probabilities are rounded
    precision: str  # as resolved
    engine: str  # "auto" until it is chosen

    def __post_init__(self):
        check_tile_size(self.size, self.overlap)

    def as_record(self) -> dict[str, Any]:
        """All of it, those of the reading among the others."""
        record = asdict(self)
        return record | record.pop("reading")


@dataclass(frozen=True)
class Running:
    """What decides how it goes, and not what comes out."""

    batch_size: int  # tiles at a time, at most
    max_mem: float | None  # most memory of the process [bytes]
    keep_going: bool  # whether micrographs that fail are left out
    asked: Sequence[Path]  # all micrographs, also those that cannot be opened and are in no set


@dataclass(frozen=True)
class Segmented:
    """What is known of a micrograph whose mask is written."""

    source: SourceImage
    doubt: Doubt
    n_tiles: int
    elapsed_s: float  # from opening it to the last of its files

    @property
    def megapixels(self) -> float:
        """Of the scaled micrograph."""
        return float(np.prod(self.source.scaled_shape)) / 1e6


@dataclass(frozen=True)
class Stream:
    """What turns micrographs into masks, in this order."""

    micrographs: MicrographSet
    unreadable: tuple[Path, ...]  # of the same share, left out since they cannot be opened
    engine: EngineChoice
    settings: SegmentSettings
    masks: MaskSettings
    batch_size: int  # tiles at a time
    compute: Compute
    legend: Legend  # of the masks
    needs: tuple[Needs, ...]  # of the models
    out: Path

    def segment(self, member: Member, hashes: dict[str, str], report: Reporter) -> Segmented:
        """Write the mask of a micrograph, and its picture if asked for."""
        began = time.monotonic()
        opened = self.micrographs.open(member)
        source = describe_source(member, opened, hashes, self.out)
        shown = GivenMicrograph(member.name, opened.pixel_size_um, source.sha256)
        alone = replace(self.micrographs, members=(member,), pixel_size_um=opened.pixel_size_um)
        given = replace(alone.given(()), micrographs=(shown,))
        check_needs(self.needs, given, Reporter(), "segment")
        windows = self.plan(opened.shape)
        with report.progress(member.name, len(windows)) as advance:
            bands = blend_tiles(self.predict(opened, windows, advance), source, self.masks.blend)
            doubt = write_mask(self.out, bands, source, self.legend, self.masks)
        if self.masks.overlay:
            write_overlay(source, self.out, OverlayInputs(), self.legend, self.out)
        return Segmented(source, doubt, len(windows), round(time.monotonic() - began, 3))

    def within(self, max_mem: float | None) -> "Stream":
        """Take so few tiles at a time that the process stays below a bound [bytes].

        Raises
        ------
        UsageError
            If it cannot.
        """
        if max_mem is None or not self.micrographs.members:
            return self
        return replace(self, batch_size=choose_batch(self.measure(), max_mem, self.batch_size))

    def measure(self) -> MemoryNeeds:
        """What it needs at its worst; see `measure_needs`."""
        size, n_channels = self.settings.size, self.micrographs.n_channels
        shape = (size, size) if n_channels == 1 else (size, size, n_channels)
        tile = np.random.default_rng(0).integers(0, 255, shape).astype(self.micrographs.dtype)
        blending = max(self._blending_bytes(member) for member in self.micrographs.members)
        # other engines than torch take one at a time, and of the rest hold values and copies
        n_values = tile.size * 2 + 5 * len(self.legend.classes) * size**2
        each_more = None if self.engine.name == TORCH else 4.0 * n_values
        return measure_needs(lambda one: self._predict_tiles([one]), tile, blending, each_more)

    def plan(self, shape: tuple[int, int]) -> list[Window]:
        """Tiles of a scaled micrograph (H, W), in the order in which they are predicted."""
        return plan_windows(*shape, self.settings.size, self.settings.overlap)

    def predict(
        self, opened: ScaledMicrograph, windows: Sequence[Window], advance: Advance
    ) -> Iterator[tuple[Window, np.ndarray]]:
        """Probabilities of tiles, rounded as predict stores them, while the next are read."""
        size = self.settings.size
        batches = [
            windows[start : start + self.batch_size]
            for start in range(0, len(windows), self.batch_size)
        ]
        read = ([opened.read(window) for window in batch] for batch in batches)
        for batch, images in zip(batches, read_ahead(read), strict=True):
            tiles = [pad_by_reflection(image, size, size) for image in images]
            found = self._predict_tiles(tiles)
            for window, values in zip(batch, found, strict=True):
                rounded = from_stored(to_stored(values, self.settings.probs))
                yield window, rounded[:, : window.height, : window.width]
            advance(len(batch))

    def _predict_tiles(self, tiles: Sequence[np.ndarray]) -> np.ndarray:
        return predict_images(self.engine.segmenters, tiles, self.compute, self.settings.tta)

    def _blending_bytes(self, member: Member) -> float:
        opened = self.micrographs.open(member)
        shape = opened.micrograph.height, opened.micrograph.width
        n_classes, size = len(self.legend.classes), self.settings.size
        return blending_bytes(shape, opened.shape[1], size, n_classes, shape != opened.shape)


def segment_images(
    micrographs: MicrographSet,
    models: Sequence[LoadedModel],
    settings: SegmentSettings,
    masks: MaskSettings,
    running: Running,
    compute: Compute,
    job: Job,
) -> None:
    """Write the masks of a set of micrographs, as tile, predict and stitch would.

    Raises
    ------
    InputError
        If micrographs do not fit the models, or one cannot be read.
    CheckFailed
        At the end, if it went on without some.
    """
    stream = open_stream(micrographs, models, settings, masks, running, compute, job)
    micrographs, settings = stream.micrographs, stream.settings
    left_out = [*stream.unreadable]
    work = _claim(micrographs, models, settings, masks, left_out, job)
    if work is None:
        return
    with work.filling():
        shards = work.open_parts() if job.is_merge else None
        stream = stream.within(running.max_mem if shards is None else None)
        write_text(job.out / LEGEND, legend_to_toml(index_legend(stream.legend)))
        if shards is None:
            found = _segment_all(stream, work, running.keep_going, left_out, job)
        else:
            found = _gather(shards, stream, work, running.keep_going, left_out)
        if not found and job.shard is None:
            raise InputError(f"{micrographs.name}: none of these can be segmented")
        _check(micrographs, models, _sample(micrographs, found, settings), job.report)
    names = sorted(path.name for path in left_out)
    record = _describe(stream, models, found, work) | {"left_out": names}
    if shards is None:
        work.finish(record)
    else:
        batch_size = max(part.record.get("batch_size", 1) for part in shards.parts)
        known = {"engine": shards.engine, "batch_size": batch_size}
        work.finish_merge(record | known, shards)
    _note(found, masks, job)
    if names:
        again = "run the shards and --merge" if job.is_merge else "run the same command"
        raise CheckFailed(
            f"{len(names)} of {len(found) + len(names)} micrographs have no mask: "
            f"{', '.join(names)}; once they are mended, {again} again"
        )


def open_stream(
    micrographs: MicrographSet,
    models: Sequence[LoadedModel],
    settings: SegmentSettings,
    masks: MaskSettings,
    running: Running,
    compute: Compute,
    job: Job,
) -> Stream:
    """Stream that is ready to begin, for the micrographs that the job works on.

    Raises
    ------
    InputError, UsageError, UnavailableError
        If micrographs do not fit the models; as `engine_of_job`.
    """
    _check(micrographs, models, _sample_of_others(micrographs, models, settings), Reporter())
    asked = _ask_engine(micrographs, models, settings, compute, job.report)
    engine = engine_of_job(asked, STITCH_RECORD, job)
    settings = replace(settings, engine=engine.name)
    legend = legend_from_toml(models[0].checkpoint.legend)
    needs = tuple(model.needs for model in models)
    share = job.share(running.asked, "micrographs")
    shared = compute, legend, needs, job.out
    return Stream(*_share(micrographs, share), engine, settings, masks, running.batch_size, *shared)


def scale_of(models: Sequence[LoadedModel]) -> float:
    """Magnification of the tiles that models were trained on; 1 where they do not know.

    Raises
    ------
    UsageError
        If they were trained on different ones.
    """
    scales = sorted({model.checkpoint.tile_scale or 1.0 for model in models})
    if len(scales) > 1:
        raise UsageError(
            f"the models were trained on tiles of --scale {scales[0]:g} and {scales[-1]:g}; give "
            "the --scale to use, or one of them"
        )
    return scales[0]


def greys_of(models: Sequence[LoadedModel]) -> Literal["each"] | None:
    """Greys that become black and white where none are asked for: as of models that are alike."""
    return OWN_GREYS if models[0].checkpoint.has_own_greys else None


def leave_out_unreadable(files: SetFiles, report: Reporter) -> SetFiles:
    """Micrographs that can be opened; of the others each is told.

    Raises
    ------
    InputError
        If none can.
    """
    readable = []
    for path in files.images:
        try:
            open_micrograph(path)
        except (InputError, MissingInputError) as error:
            report.note(f"{error}; left out")
        else:
            readable.append(path)
    if not readable:
        raise InputError(f"{files.images[0]}: none of these micrographs can be read")
    return replace(files, images=tuple(readable))


def _ask_engine(
    micrographs: MicrographSet,
    models: Sequence[LoadedModel],
    settings: SegmentSettings,
    compute: Compute,
    report: Reporter,
) -> EngineRequest:
    size = settings.size

    def count_pixels() -> int:
        shapes = [micrographs.open(member).shape for member in micrographs.members]
        return sum(len(plan_windows(*shape, size, settings.overlap)) for shape in shapes) * size**2

    def read_some() -> list[np.ndarray]:
        for member in micrographs.members:
            opened = micrographs.open(member)
            windows = plan_windows(*opened.shape, size, settings.overlap)[:TRIAL_TILES]
            with suppress(InputError):  # which is told when its turn comes
                return [pad_by_reflection(opened.read(window), size, size) for window in windows]
        return []

    return EngineRequest(
        settings.engine,
        models,
        size,
        count_pixels,
        read_some,
        compute,
        lambda: user_graph_folder(report),
    )


def _claim(micrographs, models, settings, masks, left_out: list[Path], job: Job) -> Work | None:
    """Take the folder; None where all is there already, but for those that are `left_out`."""

    def pieces() -> list[Path]:
        made = (member.name for member in micrographs.members if member.path not in left_out)
        return list_pieces(made, masks, job.out)

    work = job.claim(
        STITCH_RECORD,
        (LEGEND, CONFIDENCE, OVERLAYS, *list_masks((m.name for m in micrographs.members), job.out)),
        settings.as_record() | asdict(masks),
        [*micrographs.files.files(), *(model.path for model in models)],
        pieces,
        (PARTS,),
    )
    if work is not None and left_out:
        _leave_out(left_out, work)
    return work


def _leave_out(paths: Iterable[Path], work: Work) -> None:
    """Say that these micrographs are not used, nor what lies beside them and says their scale."""
    work.leave_out(SetFiles(tuple(paths)).files())


def _check(micrographs: MicrographSet, models, greys, report: Reporter) -> None:
    check_needs([model.needs for model in models], micrographs.given(greys), report, "segment")


def _sample_of_others(micrographs, models, settings: SegmentSettings) -> tuple[float, ...]:
    """Grey levels of the first micrograph where pixels are not those of a model.

    They tell which greys a conversion is to keep; nothing else is read before the work.
    """
    if all(model.needs.dtype == micrographs.dtype for model in models):
        return ()
    with suppress(InputError):  # which is told when its turn comes
        return _sample(micrographs, {micrographs.members[0].name}, settings)
    return ()


def _segment_all(
    stream: Stream, work: Work, keep_going: bool, left_out: list[Path], job: Job
) -> dict[str, Segmented]:
    """What is known of each mask by name of the micrograph.

    Those that fail are added to `left_out`; unless it is to keep going, the first one ends it.
    """
    # a name of each micrograph is on its bar; the parts need none
    parts = KeptParts(job.out, Budget(), replace(job.report, verbosity=-1))
    found = {}
    for member in stream.micrographs.members:
        files = files_of_mask(member.name, stream.masks, job.out)
        if not all(path.is_file() for path in files):
            parts.forget(member.name)
        try:
            found[member.name] = parts.make(
                member.name,
                Segmented,
                lambda member=member: stream.segment(member, work.inputs, job.report),
            )
        except (InputError, MissingInputError) as error:
            if not keep_going:
                raise
            job.report.note(f"{error}; left out")
            for path in files:  # of what may be another micrograph next time
                path.unlink(missing_ok=True)
            left_out.append(member.path)
            _leave_out([member.path], work)
    return found


def _share(
    micrographs: MicrographSet, share: Sequence[Path]
) -> tuple[MicrographSet, tuple[Path, ...]]:
    """Set with the members that are in a share, and what of the share is not in the set.

    Of all the set is true what the checks have found.
    """
    members = {member.path: member for member in micrographs.members}
    mine = [path for path in share if path in members]
    files = replace(micrographs.files, images=tuple(mine))
    shared = replace(micrographs, files=files, members=tuple(members[path] for path in mine))
    return shared, tuple(path for path in share if path not in members)


def _gather(
    shards: Parts, stream: Stream, work: Work, keep_going: bool, left_out: list[Path]
) -> dict[str, Segmented]:
    """What shards have written, as `_segment_all` gives it; `left_out` as there."""
    members = stream.micrographs.members
    if keep_going:
        names = {name for part in shards.parts for name in part.record.get("left_out", ())}
        lacking = [member.path for member in members if member.name in names]
        left_out += lacking
        _leave_out(lacking, work)
    work.gather(shards, [name for name in work.folder.contents if name != LEGEND])
    known = {one.source.name: one for part in shards.parts for one in _read_part(part, stream)}
    return {member.name: known[member.name] for member in members if member.name in known}


def _read_part(part: Part, stream: Stream) -> Iterator[Segmented]:
    """What a shard knows of its masks; each has taken its share of the time."""
    path = part.folder / STITCH_RECORD
    sources = read_sources(path)
    rows, pace = require_keys(part.record, path, "doubt", "s_per_megapixel")
    for row in rows:
        try:
            source, doubt = sources[row["image"]], pick(Doubt, row)
            n_tiles = len(stream.plan(source.scaled_shape))
            one = Segmented(source, doubt, n_tiles, 0.0)
            one = replace(one, elapsed_s=pace * one.megapixels)
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{path}: damaged table doubt ({error}); run --shard {part.shard} again with "
                "--overwrite"
            ) from None
        moved = relative_to(part.folder / source.path, stream.out)
        yield replace(one, source=replace(source, path=moved))


def _sample(
    micrographs: MicrographSet, found: Container[str], settings: SegmentSettings
) -> tuple[float, ...]:
    """Grey levels of the micrographs, from some fields of each.

    None of their own greys, which tell nothing and take a look at all pixels of each.
    """
    if micrographs.has_own_greys:
        return ()
    members = [member for member in micrographs.members if member.name in found]
    views = (view for member in members for view in micrographs.views(member, settings.size, 4))
    return describe_greys([sample_greys(view.image) for view in views])


def _describe(
    stream: Stream, models: Sequence[LoadedModel], found: dict[str, Segmented], work: Work
) -> dict[str, Any]:
    settings, compute = stream.settings, stream.compute
    sources, models = know_specimens({name: one.source for name, one in found.items()}, models)
    megapixels = sum(one.megapixels for one in found.values())
    elapsed_s = sum(one.elapsed_s for one in found.values())
    begun = work.describe(compute.name, compute.n_threads)
    return begun | {
        "batch_size": stream.batch_size,
        "n_tiles": sum(one.n_tiles for one in found.values()),
        "megapixels": megapixels,
        "s_per_megapixel": elapsed_s / megapixels if found else None,
        "engine": stream.engine.as_entry(),
        **describe_models(models),
        "folds": None,
        "made_with": describe_making(
            settings.tta,
            settings.as_record(),
            [model.checkpoint for model in models],
            [len(models)],
        ),
        "sources": [source.as_row() for source in sources.values()],
        **describe_masks(stream.out, {name: one.doubt for name, one in found.items()}),
    }


def _note(found: dict[str, Segmented], masks: MaskSettings, job: Job) -> None:
    doubts = {name: one.doubt for name, one in found.items()}
    job.report.note(f"{job.out}: {len(found)} masks")
    if found:
        note_doubts(doubts, {name: one.source for name, one in found.items()}, masks, job.report)
