"""Tile probabilities back into whole label maps."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from mstool.io.atomic import write_text
from mstool.io.tiles import PREDICT_RECORD, STITCH_RECORD, read_sources
from mstool.labels.legend import index_legend, legend_to_toml
from mstool.micrographs.tile_folder import LEGEND
from mstool.pipeline.job import Job
from mstool.pipeline.mask_files import (
    CONFIDENCE,
    OVERLAYS,
    MaskSettings,
    describe_masks,
    files_of_mask,
    mask_name,
    note_doubts,
    write_mask,
)
from mstool.pipeline.mask_pictures import OverlayInputs, write_overlay
from mstool.pipeline.out_of_fold import read_folds
from mstool.pipeline.stitched import open_probabilities


def stitch_masks(probs: Path, settings: MaskSettings, overlay: OverlayInputs, job: Job) -> None:
    """Blend the tiles of each micrograph, as predict wrote them, into a folder of label maps."""
    out = job.out
    folder = open_probabilities(probs)
    sources = folder.sources
    read_folds(folder.record, [*sources], probs / PREDICT_RECORD)  # refuse damage before any work
    work = job.claim(
        STITCH_RECORD,
        (LEGEND, CONFIDENCE, OVERLAYS, *list_masks(sources, out)),
        asdict(settings) | overlay.as_record(),
        [*folder.files, *overlay.paths()],
        lambda: list_pieces(sources, settings, out),
    )
    if work is None:
        return
    doubts = {}
    with work.filling():
        write_text(out / LEGEND, legend_to_toml(index_legend(folder.legend)))
        with job.report.progress("stitching", len(sources)) as advance:
            for name, source in sources.items():
                bands = folder.bands(name, settings.blend)
                doubts[name] = write_mask(out, bands, source, folder.legend, settings)
                if settings.overlay:
                    write_overlay(source, probs, overlay, folder.legend, out)
                advance(1, name)
    moved = [source.as_entry(probs, out) for source in sources.values()]
    record = folder.record
    kept = {key: record[key] for key in ("classes", "label_legend", "models", "trained_on")}
    kept["leaks"] = record.get("leaks", [])
    kept |= {key: record.get(key) for key in ("searched", "folds", "made_with")}
    facts = {"sources": moved} | describe_masks(out, doubts)
    work.finish(work.describe() | kept | facts)
    job.report.note(f"{out}: {len(sources)} masks; tiles cover every pixel")
    note_doubts(doubts, sources, settings, job.report)


def list_pieces(names: Iterable[str], settings: MaskSettings, out: Path) -> list[Path]:
    """Files without which the folder is not whole, for micrographs of these names."""
    return [out / LEGEND, *(path for name in names for path in files_of_mask(name, settings, out))]


def list_masks(names: Iterable[str], out: Path) -> list[str]:
    """Names of the masks to write, and of those that an earlier run has written."""
    record = out / STITCH_RECORD
    earlier = read_sources(record) if record.is_file() else {}
    return [mask_name(name) for name in dict.fromkeys([*earlier, *names])]
