"""Plans as a user writes them, and what the verbs of a small program take."""

import tomllib

import pytest

from mstool.design.plan_table import parse_plan
from mstool.design.study_plan import Option

VALUE, SWITCH, VALUES = Option("value"), Option("switch", False), Option("values")
OPTIONS = {
    "tile": {"size": Option("value", 512), "overlap": Option("value", 64), "out": VALUE}
    | {"label-suffix": Option("value", ""), "group-by": VALUE, "legend": VALUE, "labels": VALUES}
    | {"classes": VALUE, "grey": SWITCH, "scale": Option("value", 1.0)},
    "split": {"folds": VALUE, "loo": SWITCH, "holdout": VALUE, "seed": Option("value", 0)}
    | {"by-folder": SWITCH},
    "train": {"arch": Option("value", "unet"), "encoder": VALUE, "epochs": VALUE, "lr": VALUE}
    | {"depth": VALUE, "crop": VALUE, "seed": Option("value", 0), "test-fold": VALUE}
    | {"weights": VALUE, "augment": Option("value", "default"), "allow-leak": SWITCH},
    "predict": {"tta": Option("value", "none")},
    "stitch": {"blend": Option("value", "hann")},
    "score": {"label-suffix": Option("value", ""), "group-by": VALUE, "objects": VALUES},
    "explain": {"class": VALUE, "quick": SWITCH, "legend": VALUE, "labels": VALUES},
    "domain-shift": {"target-labels": VALUES, "scale": Option("value", 1.0)},
}
SMALL = """
[study]
seeds = [0, 1]
[data.phantoms]
images = "phantom/images"
labels = "phantom/labels"
folds = 4
[base.tile]
size = 256
[base.train]
epochs = 12
encoder = "efficientnet-lite0"
[factors.encoder]
option = "train.encoder"
levels = ["efficientnet-lite0", "tu-vgg16"]
[factors.context]
data = ["phantoms"]
[factors.context.levels.small]
tile.size = 128
train.crop = 96
[factors.context.levels.blended]
stitch.blend = "crop"
"""


@pytest.fixture
def read():
    """Read a plan from text."""
    return lambda text: parse_plan(tomllib.loads(text), OPTIONS)


@pytest.fixture
def small():
    """Text of a plan of four cells, of which one is the base."""
    return SMALL
