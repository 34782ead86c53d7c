import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from mstool.explanations.faithfulness import RemovalCurves
from mstool.pictures.attribution import Panel, draw_attribution, scale_for_display
from mstool.pictures.boundary import draw_boundary
from mstool.pictures.counterfactual import draw_counterfactual
from mstool.pictures.faithfulness import draw_faithfulness
from mstool.pictures.features import draw_features
from mstool.pictures.receptive_field import draw_receptive_field
from mstool.pictures.sanity import SanityRow, draw_sanity

from mstool.explanations.boundaries import distance_profile, signed_distance

RNG = np.random.default_rng(0)
MAP = RNG.normal(size=(32, 48))
ZEROS = np.zeros((32, 48))
IMAGE = RNG.uniform(0, 255, (32, 48, 1)).astype(np.float32)
LABELS = np.zeros((32, 48), np.uint8)
LABELS[8:24, 8:24] = 1


def words_of(figure):
    """All text of a figure; drawing it must not warn, since warnings are errors here."""
    FigureCanvasAgg(figure)
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    artists = figure.findobj(Text)
    return " | ".join(artist.get_text() for artist in artists)


def draw_all(stamp):
    curves = RemovalCurves(np.array([0, 0.5]), np.array([1, 0.2]), np.array([0.1, 0.9]))
    profile = distance_profile(MAP, signed_distance(LABELS, 1), np.ones((32, 48), bool))
    empty = distance_profile(ZEROS, signed_distance(LABELS, 1), np.ones((32, 48), bool))
    panels = [Panel("ig", MAP, True), Panel("cam", ZEROS, False)]
    rows = [SanityRow("ig", True, MAP, [MAP, ZEROS], [0.4, None])]
    drops = {"boundary": [0.9, np.nan], "grey level": [0.1], "texture": [np.nan]}
    spans = dict.fromkeys(drops, (np.nan, np.nan))
    radii = {"r50": 4.0, "r68": 6.0, "r95": 12.0}
    return {
        "attribution": draw_attribution(IMAGE, panels, LABELS > 0, "Why?", 0.1, stamp),
        "sanity": draw_sanity(rows, ["head", "encoder"], "Sanity", stamp),
        "faithfulness": draw_faithfulness(
            {"ig": curves, "random": curves}, {"ig": [0.2], "random": []}, {"random"}, "F", stamp
        ),
        "boundary": draw_boundary({"ig": profile, "cam": empty}, "Boundary", 0.1, stamp),
        "counterfactual": draw_counterfactual(
            {"micrograph": IMAGE, "without x": IMAGE}, drops, spans, "boundary", "C", 0.1, stamp
        ),
        "receptive field": draw_receptive_field(
            np.ones((33, 33)) / 33**2, radii, None, 128, {"ferrite": 30.0}, 0.1, "R", stamp
        ),
        "features": draw_features(np.stack([MAP, ZEROS]), [3, 1], "Features", stamp),
    }


@pytest.fixture(scope="module")
def texts():
    return {
        stamp: {n: words_of(f) for n, f in draw_all(stamp).items()} for stamp in ("", "not checked")
    }


def test_stamp_is_on_every_picture_that_was_not_checked(texts):
    assert all("NOT CHECKED" in text for text in texts["not checked"].values())
    assert not any("NOT CHECKED" in text for text in texts[""].values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("attribution", ("Why?", "against / for", "map of zeros", "500 nm")),
        ("sanity", ("trained", "+ encoder", "rank correlation")),
        ("faithfulness", ("probability of the class [1]", "ROAD")),
        ("boundary", ("distance to the boundary [px, below in µm]", "cam (map of zeros)")),
        ("counterfactual", ("the decision rests on: boundary", "without texture")),
        ("receptive field", ("the whole input", "ferrite, median thickness", "3 µm")),
        ("features", ("3:", "1:")),
    ],
)
def test_pictures_say_what_they_show(texts, name, words):
    for word in words:
        assert word in texts[""][name]


def test_field_without_any_gradient_is_drawn():
    nothing = dict.fromkeys(("r50", "r68", "r95"), np.nan)
    figure = draw_receptive_field(np.full((5, 5), np.nan), nothing, None, 64, {}, None, "R")
    assert "R" in words_of(figure)


def test_display_keeps_zero_and_the_sign():
    scaled = scale_for_display(np.array([[-2.0, 0.0, 1.0, np.nan]]))
    assert scaled[0, 1] == 0
    assert scaled[0, 0] < 0 < scaled[0, 2]
    assert not scale_for_display(np.zeros((3, 3))).any()
