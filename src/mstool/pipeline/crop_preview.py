"""Augmented training crops to look at before training."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from mstool.errors import OutputExistsError
from mstool.labels.legend import palette
from mstool.nn.augment import PRESETS, Augmentation
from mstool.nn.dataset import CropSet, fit_normalisation
from mstool.pictures.preview import draw_preview
from mstool.pictures.save import save_figure
from mstool.pipeline.train.train_flags import TrainSettings
from mstool.pipeline.train.training_data import read_training_data
from mstool.reporting import Reporter

PICTURE = "preview.png"
_N_TILES, _N_DRAWS = 4, 6


def preview_crops(
    tiles: Path, split: Path, settings: TrainSettings, out: Path, report: Reporter
) -> None:
    """Draw some tiles of the training set as training would show them, into ``preview.png``.

    Raises
    ------
    OutputExistsError
        If `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"--preview {out}: is a file; name a folder")
    data = read_training_data(tiles, split, settings)
    normalisation = fit_normalisation(data.train, tiles)
    crop, seed = settings.crop or data.folder.size, settings.fit.seed
    plain = CropSet(data.train, crop, PRESETS["none"], normalisation, seed)
    changed = CropSet(data.train, crop, settings.augmentation, normalisation, seed)
    chosen = np.linspace(0, len(data.train) - 1, min(_N_TILES, len(data.train))).round().astype(int)
    rows = [
        [
            (np.moveaxis(image.numpy(), 0, -1), labels.numpy())
            for image, labels in (
                plain[0, int(index)],
                *(changed[epoch, int(index)] for epoch in range(1, _N_DRAWS + 1)),
            )
        ]
        for index in chosen
    ]
    names = [data.train.tiles[index].id for index in chosen]
    figure = draw_preview(
        rows, names, data.classes, palette(data.folder.legend), normalisation.levels,
        _describe(settings.augmentation), data.folder.pixel_size_um,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    save_figure(out / PICTURE, figure)
    report.note(f"{out / PICTURE}: {len(rows)} tiles, {_N_DRAWS} draws each; nothing was trained")


def _describe(augmentation: Augmentation) -> str:
    """Ranges that change something, in lines of four."""
    nothing = PRESETS["none"]
    words = [
        f"{field.name} {_shown(getattr(augmentation, field.name))}"
        for field in fields(Augmentation)
        if getattr(augmentation, field.name) != getattr(nothing, field.name)
    ]
    lines = [", ".join(words[start : start + 4]) for start in range(0, len(words), 4)]
    return "\n".join(["Training crops with random changes", *(lines or ["none"])])


def _shown(value: object) -> str:
    return " to ".join(f"{end:g}" for end in value) if isinstance(value, tuple) else str(value)
