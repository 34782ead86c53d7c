"""The picture of a prediction: what it counts, and what its legends say."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mstool.labels.legend import palette, parse_classes
from mstool.pictures.overlay import draw_overlay, stretch
from mstool.pictures.preview import draw_preview
from mstool.pictures.repairs import draw_examples

LEGEND = parse_classes("matrix=0,carbide=1")


def draw(truth):
    prediction = np.zeros((24, 24), np.uint8)
    prediction[16:] = 1  # as a network does with the bar below a micrograph
    image = np.full((24, 24), 100, np.uint8)
    return draw_overlay(image, prediction, truth, LEGEND.names, palette(LEGEND), "a.tif", None).axes


def keys(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.fixture
def panels():
    """Micrograph, prediction and errors, where the truth ignores the bar."""
    truth = np.zeros((24, 24), np.uint8)
    truth[:2], truth[16:] = 1, 255
    return draw(truth)


def test_prediction_is_not_drawn_where_the_truth_ignores(panels):
    _, prediction, errors = panels
    assert keys(prediction) == ["matrix", "ignored by the labels"]
    assert keys(errors) == ["wrong, taken for matrix", "ignored by the labels"]
    for axes in (prediction, errors):
        bar = np.asarray(axes.images[0].get_array())[16:]
        np.testing.assert_array_equal(bar[..., 0], bar[..., 2])  # no tint, so no class


def test_share_of_errors_is_of_the_labelled_area(panels):
    assert panels[2].get_title() == "errors: 12.5% of the labelled area"


def test_what_has_no_class_is_no_error():
    truth = np.zeros((24, 24), np.uint8)
    prediction = truth.copy()
    prediction[:4], prediction[12:] = 1, 255  # left open by --abstain
    image = np.full((24, 24), 100, np.uint8)
    colours = palette(LEGEND)
    panels = draw_overlay(image, prediction, truth, LEGEND.names, colours, "a", None).axes
    assert panels[2].get_title() == "errors: 33.3% of the area with a class"
    assert keys(panels[1]) == ["matrix", "carbide", "no class"]
    assert keys(panels[2]) == ["wrong, taken for carbide"]


def test_without_truth_the_prediction_is_drawn_everywhere():
    _, prediction = draw(None)
    assert keys(prediction) == ["matrix", "carbide"]


def test_heights_in_metres_are_drawn_from_black_to_white():
    shown = stretch(np.linspace(5e-8, 6e-8, 400, dtype=np.float32).reshape(20, 20))
    assert (shown.min(), shown.max()) == (0, 1)


def test_nothing_to_compare_is_no_perfect_score():
    assert draw(np.full((24, 24), 255, np.uint8))[2].get_title() == (
        "errors: no pixel has a class in both"
    )


MANY = tuple(f"phase number {number}" for number in range(30))
LONG = ("matrix", "degenerated upper bainite with films of retained austenite", "carbides")


def is_inside(figure, artist):
    """Whether all of it is in the picture, but for a pixel."""
    box = artist.get_window_extent()
    width, height = figure.bbox.size
    return box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1


@pytest.mark.parametrize("names", [MANY, LONG], ids=["many", "long"])
def test_legends_hold_all_classes_and_leave_panels_their_room(names):
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    prediction = np.arange(24 * 24, dtype=np.uint16).reshape(24, 24) % len(names)
    prediction, truth = prediction.astype(np.uint8), np.roll(prediction, 1).astype(np.uint8)
    image = np.full((24, 24), 100, np.uint8)
    crop = image[..., None], prediction
    figures = [
        draw_overlay(image, prediction, truth, names, colours, "a", None),
        draw_preview([[crop] * 3], ["a"], names, colours, (0, 255), "a", None),
        draw_examples([[("a", crop[0] / 255, prediction)] * 2], names, colours, "a", None),
    ]
    for figure, least_in in zip(figures, (4.5, 1.8, 2.8), strict=True):
        FigureCanvasAgg(figure).draw()
        legends = [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]
        assert legends
        for legend in legends:
            assert is_inside(figure, legend)
            assert len(legend.get_texts()) == len(names)
        assert min(axes.get_window_extent().width for axes in figure.axes) / figure.dpi > least_in
