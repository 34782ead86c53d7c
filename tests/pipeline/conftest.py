"""Questions to networks that are made by hand, so that the answer is known."""

import numpy as np
import pytest

from mstool.explanations.field_of_view import Field
from mstool.explanations.verdicts import Thresholds
from mstool.geometry.window import Window
from mstool.nn.attribution import Method
from mstool.nn.device import choose_compute
from mstool.nn.infer import image_probabilities
from mstool.pipeline.explain.question import Question
from mstool.pipeline.explain.request import ExplainSettings
from mstool.pipeline.kept_parts import Budget
from mstool.reporting import Reporter

CPU = choose_compute("cpu", "fp32")


def field_of(segmenter, image, region, name="a"):
    """Field of view of a micrograph of its own, with what the network says of it."""
    probabilities = image_probabilities(segmenter, image, CPU)
    window = Window(0, 0, *region.shape)
    return Field(name, name, name, image, None, window, None, probabilities, region)


@pytest.fixture
def ask(tmp_path):
    """Ask a network why pixels, bool (H, W) each, of images, float32 (H, W, 1), are of class 1."""

    def make(segmenter, images, regions, methods=("saliency",), contrast="rest", **changes):
        fields = [
            field_of(segmenter, image, region, f"field{number}")
            for number, (image, region) in enumerate(zip(images, regions, strict=True))
        ]
        plain = dict.fromkeys(("layers", "checks", "methods", "features"), ()) | {
            "class_name": "1",
            "contrast": str(contrast),
            "region": "class",
            "boundary": False,
            "receptive_field": False,
            "size": 512,
            "window": 64,
            "regions": 8,
            "reinit": "he",
            "thresholds": "",
            "max_time_s": None,
            "seed": 0,
        }
        greys = np.array([[image.min(), image.max()] for image in images])
        return Question(
            segmenter,
            CPU,
            ExplainSettings(**plain | changes),
            Thresholds(),
            tuple(one if isinstance(one, Method) else Method(one) for one in methods),
            ("0", "1"),
            1,
            contrast,
            tuple(fields),
            tmp_path,
            Reporter(),
            (float(greys[:, 0].min()), float(greys[:, 1].max())),
            Budget(),
        )

    return make
