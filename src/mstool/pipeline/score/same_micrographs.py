"""Whether masks are of the same micrographs as others, which the label maps tell."""

from collections.abc import Sequence

from mstool.errors import InputError
from mstool.io.tiles import SourceImage
from mstool.pipeline.score.inputs import MaskRun, MaskSet, Pair


def in_order_of(
    first: MaskRun, mask_set: MaskSet, pairs: Sequence[Pair], remedy: str
) -> tuple[Pair, ...]:
    """Pairs of other masks in the order of the first: masks of one label map belong together.

    Raises
    ------
    InputError
        If the micrographs are not the same, by their label maps or as far as records tell; its last
        words are `remedy`.
    """
    ours = {pair.labels: pair for pair in first.pairs}
    theirs = {pair.labels: pair for pair in pairs}
    for labels, pair in (ours | theirs).items():
        if labels not in ours or labels not in theirs:
            folders = first.mask_set.folder, mask_set.folder
            having, lacking = folders if labels in ours else folders[::-1]
            raise InputError(
                f"{lacking}: has no mask of {pair.name}, of which {having} has one; {remedy}"
            )
    for labels, pair in ours.items():
        other = theirs[labels]
        one, two = first.mask_set.sources.get(pair.mask.stem), mask_set.sources.get(other.mask.stem)
        if one and two and not _is_same(one, two):
            raise InputError(
                f"{other.mask}: is of another micrograph than {pair.mask}, though named alike; "
                f"{remedy}"
            )
    return tuple(theirs[labels] for labels in ours)


def _is_same(one: SourceImage, two: SourceImage) -> bool:
    """Whether two micrographs are one.

    The same pixels may lie in files of two formats, and one file may be read in two ways, with
    other --grey, --bits or --rescale-greys, which gives other pixels.
    """
    return one.sha256 == two.sha256 or one.file_sha256 == two.file_sha256
