"""What tells the two sides of a comparison apart."""

from pathlib import Path

import pytest

from mstool.micrographs.find import SetFiles
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
