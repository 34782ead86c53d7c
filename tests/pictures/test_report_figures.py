"""Figures of a report: SVG whose text is text, whose colours follow the page, always the same."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mstool.pictures.calibration_plot import draw_calibration
from mstool.pictures.cell_plots import PlottedCell, draw_cells
from mstool.pictures.inline_svg import page_style, to_svg
from mstool.pictures.training_lines import draw_trainings

ROWS = [
    PlottedCell("base <i>", 0.8, (0.7, 0.9), (0.79, 0.81), True),
    PlottedCell("costs $5 or $6", float("nan"), None, (float("nan"),), False),
]
HISTORY = [{"epoch": k, "train_loss": k * k % 7, "val_mean_iou": None} for k in range(1, 400)]
BINS = [{"n_pixels": 9, "confidence": 0.6, "accuracy": 0.5}] + [
    {"n_pixels": 0, "confidence": None, "accuracy": None}
] * 19
COVERAGE = [{"threshold": t, "coverage": 1 - t, "mean_iou": 0.8, "accuracy": None} for t in (0, 1)]


def cells():
    return draw_cells(ROWS, "mean IoU [1]", is_difference=False)


FIGURES = {
    "cells": cells,
    "differences": lambda: draw_cells(ROWS, "less", is_difference=True),
    "trainings": lambda: draw_trainings({0: [HISTORY, HISTORY], 1: [HISTORY]}),
    "calibration": lambda: draw_calibration(BINS, COVERAGE, 0.1),
}


def svg(draw, key="k"):
    with page_style():
        return to_svg(draw(), key, 'dots & <lines> "here"')


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_one_element_the_same_each_time(name):
    text = svg(FIGURES[name])
    assert text == svg(FIGURES[name])
    root = ElementTree.fromstring(text)
    assert root.attrib["aria-label"] == 'dots & <lines> "here"'
    assert "matplotlib" not in text and "<metadata" not in text
    assert not re.search("font-family|font:", text)


def test_names_are_text_as_they_are():
    words = ElementTree.fromstring(svg(cells)).itertext()
    found = {word.strip() for word in words}
    assert {"base <i>", "costs $5 or $6", "mean IoU [1]"} <= found


def test_colours_follow_the_page():
    text = svg(cells)
    assert "currentColor" in text and "var(--blue)" in text
    assert not re.search("#0072b2|#000000|#ffffff", text, re.I)


def test_identifiers_of_two_figures_differ():
    found = [re.findall(r' id="([^"]+)"', svg(cells, key)) for key in ("a", "b")]
    assert found[0]
    assert len({*found[0], *found[1]}) == len(found[0]) + len(found[1])
    assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg(cells, "a"))) <= {
        pair for name in found[0] for pair in ((name, ""), ("", name))
    }


def test_long_names_end_early_and_long_histories_are_thinned():
    long = [PlottedCell("x" * 200, 0.5, None, (), True)]
    assert "x" * 50 not in svg(lambda: draw_cells(long, "", False))
    text = svg(lambda: draw_trainings({0: [HISTORY]}))
    line = max(re.findall(r'<path d="([^"]+)"', text), key=len)
    assert 100 < len(re.findall("[ML]", line)) <= 150


def test_interval_and_repeats_lie_inside_the_axes():
    axes = cells().axes[0]
    low, high = axes.get_xlim()
    assert low < 0.7 and high > 0.9
    drawn = np.concatenate([line.get_xdata() for line in axes.lines]).astype(float)
    assert {0.7, 0.79, 0.8, 0.81, 0.9} <= set(drawn[np.isfinite(drawn)])


def test_base_is_black_wherever_it_stands():
    rows = [PlottedCell(name, 0.5, None, (), True, name == "base") for name in ("wide", "base")]
    (axes,) = draw_cells(rows, "mean IoU [1]", is_difference=False).axes
    colours = [line.get_markeredgecolor() for line in axes.lines]
    assert colours == ["#0072B2", "#000000"]


def test_curves_keep_the_numbers_of_their_repeats():
    figure = draw_trainings({0: [HISTORY], 2: [HISTORY]})
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == [
        "repeat 0",
        "repeat 2",
    ]
