"""A score whose micrographs several processes count, and one process puts together."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mstool.errors import InputError, MissingInputError
from mstool.io.plain import from_plain
from mstool.io.records import require_keys, says_the_same
from mstool.pipeline.job import Job
from mstool.pipeline.score.image_counts import Comparison, ImageCounts, count_images
from mstool.pipeline.shards import Part, Parts, open_parts, shards_folder
from mstool.reporting import Reporter

SHARD_RECORD = "score-shard.json"


def count_share(asked: Comparison, job: Job) -> None:
    """Count the micrographs of the shard of a job, and write the counts into its folder.

    Raises
    ------
    UsageError
        If there are more shards than micrographs.
    InputError, LabelError, OutputExistsError
        As `count_images` and `Job.claim`.
    """
    mine = asked.of(lambda pairs: job.share(pairs, "micrographs"))
    work = job.claim(SHARD_RECORD, (), asdict(asked.settings), mine.inputs())
    if work is None:
        return
    with work.filling():
        images = count_images(mine, asked.can_threshold(job.report), job.report)
    work.finish(work.describe() | {"images": images})
    n_images = len(asked.pairs)
    job.report.note(f"{job.out}: {len(images)} of {n_images} micrographs; --merge scores them all")


def is_joined(asked: Comparison, hashes: Mapping[str, str], out: Path) -> bool:
    """Whether the score of a comparison is in a file, and its shards are gone."""
    is_made = says_the_same(out, asdict(asked.settings), hashes)
    return is_made and not any(shards_folder(out).glob("*-of-*"))


def refuse_reliability(picture: Path | None) -> None:
    """See that no picture is asked of a score that is joined: it is drawn of counts, not of scores.

    Raises
    ------
    MissingInputError
        If one is.
    """
    if picture is not None:
        raise MissingInputError(
            f"{picture}: cannot be drawn, since the counts went with the shards that are merged; "
            "leave --merge out, and all is counted anew"
        )


def join_shares(
    asked: Comparison, hashes: Mapping[str, str], out: Path, report: Reporter
) -> tuple[Parts, list[ImageCounts]]:
    """Find the shards of a score, and what they have counted, in the order of the micrographs.

    `hashes` are those of all inputs, by path relative to the folder of `out`.

    Raises
    ------
    MissingInputError, OutputExistsError
        If a shard is missing, or still at work.
    InputError
        If one is of other settings or inputs.
    """
    parts = open_parts(out, SHARD_RECORD)
    parts.check({"settings": asdict(asked.settings), "inputs": hashes}, out.parent)
    with_regions = asked.can_threshold(report)
    found: dict[str, ImageCounts] = {}
    for part in parts.parts:
        images = _read_images(part)
        if any((image.runs[0].regions is not None) != with_regions for image in images.values()):
            raise InputError(
                f"{part.folder}: other micrographs were at hand for this shard; run it again with "
                f"--shard {part.shard} --overwrite"
            )
        found |= images
    names = [pair.name for pair in asked.pairs]
    if lost := next((name for name in names if name not in found), None):
        raise InputError(f"{lost}: no shard has counted it; run the shards again with --overwrite")
    return parts, [found[name] for name in names]


def _read_images(part: Part) -> dict[str, ImageCounts]:
    path = part.folder / SHARD_RECORD
    (rows,) = require_keys(part.record, path, "images")
    try:
        return {row["image"]: from_plain(ImageCounts, row) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: damaged ({error}); run this shard again with --shard {part.shard} --overwrite"
        ) from None
