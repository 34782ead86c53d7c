"""What layers of a network hold for one image."""

import numpy as np

from mstool.explanations.layer_features import LayerFeatures, count_dead, rank_channels
from mstool.io.tables import to_csv
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.layers import layer_activations, list_layers, match_layers
from mstool.pictures.channels import draw_features
from mstool.pipeline.explain.question import Question, file_word

N_SHOWN = 24


def dump_features(question: Question) -> dict[str, LayerFeatures]:
    """Write the channels of layers, strongest first, for the first field; by layer."""
    field, segmenter = question.fields[0], question.segmenter
    layers = list_layers(segmenter, field.image.shape[2])
    names = match_layers(question.settings.features, layers)
    seen = layer_activations(segmenter, names, field.image, question.compute)
    return {name: _write(question, name, seen[name]) for name in names}


def _write(question: Question, name: str, values: np.ndarray) -> LayerFeatures:
    order, strength = rank_channels(values)
    stem = f"features/{file_word(name)}"
    arrays = {"activation": values.astype(np.float16), "order": order}
    question.write_arrays(f"{stem}.npz", arrays)
    shown, of = order[:N_SHOWN], f"{len(values)} channels ({question.fields[0].name})"
    title = f"{name}: the {len(shown)} strongest of {of}"
    question.draw(f"{stem}.png", draw_features(values[shown], shown, title))
    return LayerFeatures(
        f"{stem}.png", f"{stem}.npz", len(values), count_dead(values), tuple(strength.tolist())
    )


def layers_as_csv(model: LoadedModel) -> str:
    """Table of the layers: name, stride [px], channels, and height and width for 64 x 64 pixels."""
    layers = list_layers(model.segmenter, model.checkpoint.spec.n_channels)
    rows = [(each.name, each.stride, each.channels, each.height, each.width) for each in layers]
    return to_csv(("layer", "stride", "channels", "height", "width"), rows)
