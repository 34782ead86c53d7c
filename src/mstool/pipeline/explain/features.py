"""What layers of a network hold for one image."""

from typing import Any

import numpy as np
import torch

from mstool.io.atomic import atomic_path
from mstool.nn.layers import list_layers, match_layers, rank_channels, watch
from mstool.pictures.features import draw_features
from mstool.pictures.save import save_figure
from mstool.pipeline.explain.study import Study

N_SHOWN = 24


def dump_features(study: Study) -> dict[str, Any]:
    """Write the channels of layers, strongest first, for the first field.

    Returns
    -------
    dict
        By layer: files, channels, and how many are zero everywhere.
    """
    field = study.fields[0]
    n_channels = field.image.shape[2]
    names = match_layers(study.settings.features, list_layers(study.segmenter, n_channels))
    subject = study.ask(field.image, field.region)
    with torch.inference_mode(), watch(study.segmenter, names) as seen:
        study.segmenter(subject.place(field.image))
    folder = study.out / "features"
    folder.mkdir(exist_ok=True)
    found = {}
    for name in names:
        activation = seen[name][0].float().cpu()
        order, n_dead = rank_channels(activation)
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip("_")
        values = activation.numpy()
        with atomic_path(folder / f"{safe}.npz") as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, activation=values.astype(np.float16), order=np.array(order))
        shown = order[:N_SHOWN]
        title = f"{name}: the {len(shown)} strongest of {len(values)} channels ({field.name})"
        figure = draw_features(values[shown], shown, title, stamp=study.settings.stamp)
        save_figure(folder / f"{safe}.png", figure)
        found[name] = {
            "picture": f"features/{safe}.png",
            "arrays": f"features/{safe}.npz",
            "n_channels": len(values),
            "n_dead": n_dead,
            "strength": [float(np.abs(values[channel]).mean()) for channel in order],
        }
    return found
