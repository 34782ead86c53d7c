"""Which files are explained."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mstool.errors import UsageError
from mstool.io.tiles import TILES_RECORD
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.layers import list_layers
from mstool.pipeline.explain.fields import FieldInputs
from mstool.pipeline.inputs import list_images, pair_labels
from mstool.pipeline.label_maps import choose_legend
from mstool.reporting import Reporter


def find_inputs(
    operands: Sequence[Path],
    labels: Sequence[Path] | None,
    label_suffix: str,
    legend: Path | None,
    classes: str | None,
    pixel_size_um: float | None,
    scale: float,
    report: Reporter,
) -> FieldInputs:
    """Micrographs with their label maps, or one tile folder.

    Raises
    ------
    UsageError
        If a tile folder is mixed with other operands, or flags for micrographs are given with it.
    """
    folders = [path for path in operands if (path / TILES_RECORD).is_file()]
    if folders:
        if len(operands) > 1:
            raise UsageError(f"{folders[0]}: is a tile folder; explain it alone")
        given = {"--labels": labels, "--legend": legend, "--classes": classes}
        given["--scale"] = scale != 1
        for flag, value in given.items():
            if value:
                raise UsageError(f"{flag}: is for micrographs; a tile folder has its own")
        return FieldInputs((), folders[0], {}, None, pixel_size_um)
    paths = list_images(operands, report)
    pairs = pair_labels(paths, labels, label_suffix, report) if labels else {}
    found = choose_legend(legend, classes, list(pairs.values())) if pairs else None
    return FieldInputs(tuple(paths), None, pairs, found, pixel_size_um)


def layers_as_csv(model: LoadedModel) -> str:
    """Table of the layers: name, stride [px], channels, and height and width for 64 x 64 pixels."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["layer", "stride", "channels", "height", "width"])
    for layer in list_layers(model.segmenter, model.checkpoint.spec.n_channels):
        row = (layer.name, layer.stride, layer.channels, layer.height, layer.width)
        writer.writerow(row)
    return stream.getvalue()
