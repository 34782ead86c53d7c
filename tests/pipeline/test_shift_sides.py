"""What the two sides of a comparison are, and what is said of both."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mstool.micrographs.find import SetFiles
from mstool.pipeline.shift import drawings
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.samples import name_sides

RAW, NEW = Path("raw/a.tif"), Path("new/a.tif")
OURS, THEIRS = Path("labels/a.png"), Path("others/a.png")
ASKED = SetFiles((RAW,), {RAW: OURS}), SetFiles((NEW,), {NEW: THEIRS})


@pytest.mark.parametrize(
    "other",
    [
        ASKED[::-1],
        (SetFiles((RAW,), {RAW: THEIRS}), SetFiles((NEW,), {NEW: OURS})),
        (SetFiles((RAW, OURS)), SetFiles((NEW, THEIRS))),
    ],
    ids=["sides swapped", "labels swapped", "labels as micrographs"],
)
def test_the_same_files_in_other_roles_are_another_question(other):
    assert name_sides(other, Path("shift")) != name_sides(ASKED, Path("shift"))


def test_sides_are_named_as_the_record_names_inputs():
    assert name_sides(ASKED, Path("out/shift")) == {
        "source": ["../../raw/a.tif"],
        "source_labels": ["../../labels/a.png"],
        "target": ["../../new/a.tif"],
        "target_labels": ["../../others/a.png"],
    }


def test_the_text_of_a_microscope_is_an_input_and_no_micrograph_of_a_side(tmp_path):
    image, text = tmp_path / "a.tif", tmp_path / "a.txt"
    text.write_text("$$SM_MICRON_BAR 200\n$$SM_MICRON_MARKER 10um\n")
    files = SetFiles((image,))
    assert files.files() == [image, text]
    assert name_sides((files, ASKED[1]), tmp_path)["source"] == ["a.tif"]


@pytest.mark.parametrize(
    ("sizes", "told"), [((0.1, 0.1), 0.1), ((0.1, None), None), ((None, 0.1), None)]
)
def test_spectra_of_both_sets_are_in_um_only_where_both_are(monkeypatch, sizes, told):
    found = []
    monkeypatch.setattr(drawings, "draw_spectra", lambda *arguments: found.append(arguments[-1]))
    monkeypatch.setattr(drawings, "_save", lambda *_: None)
    sets = [SimpleNamespace(pixel_size_um=size) for size in sizes]
    looks = [[SimpleNamespace(log_power=drawings.FREQUENCY)]] * 2
    drawings._draw_spectra(Comparison(None, *sets, None, looks, None, None, None, 0.0, None))
    assert found == [told]
