import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from mstool.explanations.boundaries import distance_profile, signed_distance
from mstool.explanations.removal import RemovalCurves
from mstool.pictures.changed_micrographs import draw_counterfactual
from mstool.pictures.channels import draw_features
from mstool.pictures.distance_curves import draw_boundary
from mstool.pictures.field_widths import draw_receptive_field
from mstool.pictures.map_panels import Panel, draw_attribution, scale_for_display
from mstool.pictures.random_cascade import SanityRow, draw_sanity
from mstool.pictures.removal_curves import draw_faithfulness
from mstool.pictures.stamp import stamp_picture

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


def draw_all():
    curves = RemovalCurves(np.array([0, 0.5]), np.array([1, 0.2]), np.array([0.1, 0.9]))
    profile = distance_profile(MAP, signed_distance(LABELS, 1), np.ones((32, 48), bool))
    empty = distance_profile(ZEROS, signed_distance(LABELS, 1), np.ones((32, 48), bool))
    panels = [Panel("ig", MAP, True), Panel("cam", ZEROS, False)]
    rows = [SanityRow("ig", True, MAP, [MAP, ZEROS], [0.4, np.nan])]
    drops = {"boundary": [0.9, np.nan], "grey level": [0.1], "texture": [np.nan]}
    spans = dict.fromkeys(drops, (np.nan, np.nan))
    radii = {"r50": 4.0, "r68": 6.0, "r95": 12.0}
    return {
        "attribution": draw_attribution(IMAGE, panels, LABELS > 0, "Why?", 0.1),
        "sanity": draw_sanity(rows, ["head", "encoder"], "Sanity", (0.25, 0.125)),
        "faithfulness": draw_faithfulness(
            {"ig": curves, "random": curves},
            {"ig": [0.2], "random": []},
            {"ig": 0.2, "random": np.nan},
            {"random"},
            "F",
        ),
        "boundary": draw_boundary({"ig": profile, "cam": empty}, "Boundary", 0.1),
        "counterfactual": draw_counterfactual(
            {"micrograph": IMAGE, "without x": IMAGE},
            drops,
            dict.fromkeys(drops, 0.3),
            spans,
            "boundary",
            "C",
            0.1,
        ),
        "receptive field": draw_receptive_field(
            np.ones((33, 33)) / 33**2,
            radii,
            np.inf,
            128,
            {"ferrite": 30.0},
            0.1,
            "R",
            is_lower_bound=True,
        ),
        "features": draw_features(np.stack([MAP, ZEROS]), [3, 1], "Features"),
    }


@pytest.fixture(scope="module")
def texts():
    return {name: words_of(figure) for name, figure in draw_all().items()}


def test_no_text_is_a_formula_which_would_be_shown_as_it_is_written(texts):
    assert not [name for name, words in texts.items() if "$" in words]


@pytest.mark.parametrize("shape", [(60, 500, 4), (60, 500, 3), (60, 130, 4)])
def test_stamp_stands_above_the_picture_and_hides_nothing(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if shape[2:] == (4,):
        pixels[..., 3] = 255
    figure = stamp_picture(pixels, "not checked: patch")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    stamped = np.asarray(canvas.buffer_rgba())
    assert stamped.shape[1] == shape[1]
    expected = pixels if shape[2:] != (3,) else np.dstack([pixels, np.full(shape[:2], 255)])
    np.testing.assert_array_equal(stamped[-60:], expected)
    strip = stamped[:-60, :, :3]
    assert strip.min() < 60 < 200 < strip.max()
    (text,) = figure.texts
    assert " ".join(text.get_text().split()) == "NOT CHECKED: PATCH"
    box = text.get_window_extent()
    assert box.x0 >= 0
    assert box.y0 >= 60


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("attribution", ("Why?", "against / for", "map of zeros", "500 nm")),
        ("sanity", ("trained", "+ encoder", "rank correlation")),
        ("faithfulness", ("probability of the class [1]", "ROAD")),
        ("boundary", ("distance to the boundary [px, below in µm]", "cam (map of zeros)")),
        ("counterfactual", ("cause of the decision: boundary", "without texture")),
        (
            "receptive field",
            (
                "the whole input",
                "(2 r95), at least",
                "r95 ≥ 12 px",
                "ferrite, median thickness",
                "3 µm",
            ),
        ),
        ("features", ("3:", "1:")),
    ],
)
def test_pictures_say_what_they_show(texts, name, words):
    for word in words:
        assert word in texts[name]


def test_field_without_any_gradient_is_drawn():
    nothing = dict.fromkeys(("r50", "r68", "r95"), np.nan)
    figure = draw_receptive_field(np.full((5, 5), np.nan), nothing, np.nan, 64, {}, None, "R")
    assert "theoretical field: not known" in words_of(figure)


def test_display_keeps_zero_and_the_sign():
    scaled = scale_for_display(np.array([[-2.0, 0.0, 1.0, np.nan]]))
    assert scaled[0, 1] == 0
    assert scaled[0, 0] < 0 < scaled[0, 2]
    assert not scale_for_display(np.zeros((3, 3))).any()


def test_losses_far_below_zero_and_wide_intervals_are_in_the_picture():
    drops = {"boundary": [-0.8, 0.9], "grey level": [0.1], "texture": [0.0]}
    spans = dict.fromkeys(drops, (0.0, 0.2)) | {"texture": (-1.3, 1.4)}
    means = dict.fromkeys(drops, 0.1)
    figure = draw_counterfactual(
        {"micrograph": IMAGE, "without x": IMAGE}, drops, means, spans, "mixed", "C", None
    )
    (axes,) = (one for one in figure.findobj(Axes) if "loss" in one.get_xlabel())
    low, high = axes.get_xlim()
    assert low <= -1.3
    assert high >= 1.4


def test_image_of_a_patch_is_not_called_the_micrograph_with_its_region():
    panels = [Panel("ig", MAP, True)]
    words = words_of(draw_attribution(IMAGE, panels, LABELS > 0, "T", None, "with patch"))
    assert "with patch" in words
    assert "region outlined" not in words
