"""What decides masks beside seed and split, as it goes from record to record."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mstool.nn.checkpoint import Checkpoint

# Seed and split are what runs of one study differ in. A leak that was let pass is told elsewhere,
# number formats only round, and the share of --max-time depends on how long other folds took.
_FREE = ("test_fold", "val_fold", "precision", "allow_leak", "weights")
_FREE_OF_FIT = ("seed", "max_time_s")
_OF_TILES = ("size", "overlap", "scale", "grey", "bits", "greys")


def describe_making(
    tta: str, tiles: Mapping[str, Any], checkpoints: Sequence[Checkpoint], n_models: Sequence[int]
) -> dict[str, Any]:
    """Entry ``made_with`` of the record of predict.

    Parameters
    ----------
    tta : str
        Views that were averaged.
    tiles : mapping
        Settings of the tile folder.
    checkpoints : sequence of Checkpoint
        Of all models; what several have in common is told once.
    n_models : sequence of int
        Models that predicted each micrograph.
    """
    trainings = {json.dumps(_training(each), sort_keys=True) for each in checkpoints}
    return {
        "tta": tta,
        "n_models": sorted(set(n_models)),
        "tiles": {key: tiles.get(key) for key in _OF_TILES},
        "training": [json.loads(text) for text in sorted(trainings)],
    }


def _training(checkpoint: Checkpoint) -> dict[str, Any]:
    known = checkpoint.training
    settings = {key: value for key, value in known.get("settings", {}).items() if key not in _FREE}
    fit = {key: n for key, n in settings.pop("fit", {}).items() if key not in _FREE_OF_FIT}
    # a file for each fold or seed has the same name
    origin = (known.get("weights") or {}).get("origin")
    geometry = {"crop": checkpoint.tile_size, "scale": checkpoint.tile_scale}
    return {**settings, **fit, **geometry, "weights": origin}
