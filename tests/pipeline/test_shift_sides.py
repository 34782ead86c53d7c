"""What the two sides of a comparison are, and what is said of both."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tifffile import imwrite

from mstool.chance.divisions import divide
from mstool.errors import InputError
from mstool.labels.legend import parse_classes
from mstool.micrographs.find import Naming, SetFiles
from mstool.micrographs.sets import Reading
from mstool.pipeline.shift import drawings
from mstool.pipeline.shift.comparison import Comparison, list_doubts
from mstool.pipeline.shift.samples import find_sets, name_sides, read_sets
from mstool.pipeline.shift.steps import find_fractions
from mstool.reporting import Reporter

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


def labelled(legend, values):
    """Set of two micrographs with label maps."""
    samples = [SimpleNamespace(truths=(np.full((4, 4), value, np.uint8),)) for value in values]
    opened = SimpleNamespace(legend=legend)
    groups = [str(number) for number in range(len(samples))]
    return SimpleNamespace(opened=opened, samples=samples, groups=groups, has_all_truths=True)


def test_phases_have_the_names_of_the_legend_without_a_model():
    sets = [labelled(parse_classes("ferrite=0,bainite=1"), values) for values in ((0, 0), (1, 0))]
    comparison = Comparison(None, *sets, None, None, None, None, None, 0.0, None)
    found = find_fractions(comparison, divide(*comparison.groups, 99, 0))
    assert found.source == {"ferrite": 1, "bainite": 0}
    assert found.target == {"ferrite": 0.5, "bainite": 0.5}


def test_one_class_index_of_both_sets_is_one_phase(tmp_path, run_mstool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, value in (("raw", 90), ("new", 110), ("labels", 1)):
        Path(folder).mkdir()
        imwrite(Path(folder) / "a.tif", np.full((64, 64), value, np.uint8))
    cut = ("tile", "raw", "--labels", "labels", "--classes", "a=0,b=1", "--overlap", 0)
    assert run_mstool(*cut).code == 0
    sides, labels = (Path("tiles"), Path("new")), (None, [Path("labels")])
    files = find_sets(sides, labels, Naming(), Reporter())
    with pytest.raises(InputError, match="classes a, b, the target b, a"):
        read_sets(files, parse_classes("b=0,a=1"), Reading(), [], 64, 1, Reporter())
    read_sets(files, parse_classes("a=0,b=1"), Reading(), [], 64, 1, Reporter())


def sampled(name, scale):
    """Set of one micrograph of greys, read at a magnification."""
    field = np.arange(32 * 32, dtype=np.float32).reshape(32, 32, 1) % 256
    sample = SimpleNamespace(name="a.tif", sha256=name, fields=(field,))
    opened = SimpleNamespace(reading=Reading(scale=scale))
    return SimpleNamespace(
        name=name, samples=[sample], fields=[field], pixel_size_um=0.1, opened=opened
    )


def test_a_target_that_was_resampled_is_told_of_in_the_record():
    assert list_doubts(sampled("source", 2.0), sampled("target", 2.0)) == []
    (words,) = list_doubts(sampled("source", 2.0), sampled("target", 2.6))
    assert "the target was magnified 1.3 times" in words


def test_examples_show_the_repair_of_whole_fields(monkeypatch):
    """Waves of a part are others, and a network sees less around it."""
    rows, changed, predicted = [], [], []

    def look(field):
        predicted.append(field.shape)
        return np.zeros(field.shape[:2], np.uint8)

    def change(field):
        changed.append(field.shape)
        return field

    monkeypatch.setattr(drawings, "_EXAMPLE_PX", 16)
    monkeypatch.setattr(drawings, "draw_examples", lambda found, *_: rows.extend(found))
    monkeypatch.setattr(drawings, "save_figure", lambda *_: None)
    network = SimpleNamespace(classes=look)
    repair = SimpleNamespace(name="fourier", network=network, for_sample=lambda *_: change)
    sets = [sampled("source", 1.0), sampled("target", 1.0)]
    sets[1].dtype = "uint8"
    parts = SimpleNamespace(folder=Path())
    c = Comparison(None, *sets, (0.0, 255.0), None, None, network, None, 0.0, parts)
    drawings._draw_examples(c, repair)
    assert changed == [(32, 32, 1)]
    assert predicted == [(32, 32, 1)] * 3
    assert [(image.shape, classes.shape) for _, image, classes in rows[0]] == [
        ((16, 16, 1), (16, 16))
    ] * 3
