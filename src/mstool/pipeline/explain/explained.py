"""What an explanation is made of: by one process, or by several that share the parts."""

from dataclasses import dataclass
from typing import Any

from mstool.errors import InputError
from mstool.explanations.boundary_claim import BoundaryUse
from mstool.explanations.controls_beaten import Faithfulness
from mstool.explanations.dealt_labels import LabelRandomisation
from mstool.explanations.known_cause import KnownCause
from mstool.explanations.layer_features import LayerFeatures
from mstool.explanations.randomised_weights import Sanity
from mstool.explanations.reach import Reach
from mstool.explanations.regions import Sample
from mstool.io.plain import from_plain
from mstool.io.records import require_keys
from mstool.pipeline.explain.maps import FieldMaps
from mstool.pipeline.explain.request import ExplainSettings
from mstool.pipeline.explain.stamping import DRAWN
from mstool.pipeline.job import Job
from mstool.pipeline.shards import Part, Parts

SHARD_RECORD = "explain-shard.json"
KINDS: dict[str, Any] = {
    "sanity": Sanity,
    "faithfulness": Faithfulness,
    "patch": KnownCause,
    "labels": LabelRandomisation,
    "boundary": BoundaryUse,
    "receptive_field": Reach,
    "features": dict[str, LayerFeatures],
}


@dataclass(frozen=True)
class Explanation:
    """All parts; None for one that was not asked for, or for which there was no time.

    There are maps of the first field at least.
    """

    sample: Sample | None
    sanity: Sanity | None
    faithfulness: Faithfulness | None
    patch: KnownCause | None
    labels: LabelRandomisation | None
    boundary: BoundaryUse | None
    receptive_field: Reach | None
    features: dict[str, LayerFeatures] | None
    images: tuple[FieldMaps, ...]
    left_out: tuple[str, ...]

    @property
    def arrays(self) -> set[str]:
        """Files with arrays that its parts speak of, relative to the record."""
        return {one.arrays for one in (*self.images, *(self.features or {}).values())}

    @property
    def pictures(self) -> set[str]:
        """The same of pictures."""
        layers = {layer.picture for layer in (self.features or {}).values()}
        return layers.union(*(image.pictures for image in self.images))


@dataclass(frozen=True)
class Made:
    """What was made of an explanation: all that was asked for, or a share of it."""

    fields: tuple[str, ...]  # names of the fields of view, in order
    sample: Sample | None  # of regions, where there are any
    parts: dict[str, Any]  # of `KINDS`, and maps as `name_maps` calls them
    left_out: tuple[str, ...]  # for want of time

    def put_together(self) -> Explanation:
        """Explanation of the parts that there are."""
        names = map(name_maps, range(len(self.fields)))
        return Explanation(
            self.sample,
            **{name: self.parts.get(name) for name in KINDS},
            images=tuple(self.parts[name] for name in names if name in self.parts),
            left_out=self.left_out,
        )


def name_maps(number: int) -> str:
    """Name of the part that the maps of a field of view are."""
    return f"maps-{number}"


def list_parts(settings: ExplainSettings, n_fields: int) -> list[str]:
    """Names of all parts that were asked for, of so many fields of view."""
    asked = [name for name in KINDS if name in settings.checks or getattr(settings, name, False)]
    return [*asked, *map(name_maps, range(n_fields))]


def share_parts(settings: ExplainSettings, n_fields: int, job: Job) -> list[str]:
    """Names of the parts that a job makes: all of them, or what falls to its shard.

    A check is one part, whatever the number of micrographs: it rests on a few regions of all.
    """
    return job.share(list_parts(settings, n_fields), "checks and maps")


def describe_share(made: Made, files: list[str]) -> dict[str, Any]:
    """Entries of the record of a shard, which has written these files; pictures lack a stamp."""
    found = made.put_together()
    drawn = {f"{DRAWN}/{name}" for name in found.pictures}
    return {**vars(made), "files": sorted({*files, *found.arrays, *drawn})}


def join_shares(shards: Parts, settings: ExplainSettings) -> Made:
    """What all shards have made.

    Raises
    ------
    InputError
        If one has seen other fields of view or regions than the first, or had too little time.
    """
    parts: dict[str, Any] = {}
    first = shards.parts[0].record
    for part in shards.parts:
        again = f"run --shard {part.shard} again with --overwrite"
        if any(part.record.get(key) != first.get(key) for key in ("fields", "sample")):
            raise InputError(
                f"{part.folder}: has other fields of view or regions than the first shard, as by "
                f"another device; {again}"
            )
        if left_out := part.record.get("left_out"):
            raise InputError(
                f"{part.folder}: lacks {', '.join(left_out)} for want of time; run --shard "
                f"{part.shard} again with more --max-time"
            )
        parts |= _read_parts(part, again)
    names = tuple(first["fields"])
    if lost := [name for name in list_parts(settings, len(names)) if name not in parts]:
        raise InputError(f"{lost[0]}: no shard has made it; run the shards again with --overwrite")
    return Made(names, from_plain(Sample | None, first["sample"]), parts, ())


def _read_parts(part: Part, again: str) -> dict[str, Any]:
    path = part.folder / SHARD_RECORD
    _, _, parts = require_keys(part.record, path, "fields", "sample", "parts")
    try:
        return {
            name: from_plain(KINDS.get(name, FieldMaps), value) for name, value in parts.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged, or of another version ({error}); {again}") from None
