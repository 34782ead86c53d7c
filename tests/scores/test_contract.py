"""Every score that is given is defined, once."""

from dataclasses import fields

from mstool.scores.boundary_agreement import BoundaryScores
from mstool.scores.contract import DEFINITIONS
from mstool.scores.metrics import Metrics
from mstool.scores.object_detection import DetectionScores


def test_every_metric_is_defined():
    assert {one.name for one in fields(Metrics)} - {"mean_iou"} <= {*DEFINITIONS}
    assert "mean_iou" in DEFINITIONS["averaging"]


def test_every_boundary_and_object_score_is_defined():
    words = " ".join((*DEFINITIONS, *DEFINITIONS.values()))
    assert all(one.name in words for one in fields(BoundaryScores))
    assert all(one.name in DEFINITIONS["objects"] for one in fields(DetectionScores))


def test_policies_are_stated():
    assert {"absent_class", "ignored_pixels", "border", "pooling", "averaging"} <= {*DEFINITIONS}
    assert all(words.endswith(".") for words in DEFINITIONS.values())
