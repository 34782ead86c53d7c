"""What a network asks of its input: all that is in the way, with advice that works."""

import pytest

from mstool.errors import InputError
from mstool.micrographs.needs import Given, GivenMicrograph, Needs, check_needs
from mstool.reporting import Reporter


def needs(**changes):
    return Needs(
        **{
            "name": "net", "classes": ("a", "b"), "n_channels": 1,
            "is_grey_in_colour": False, "dtype": "uint8",
        }
        | changes
    )  # fmt: skip


def given(**changes):
    return Given(**{"name": "set", "n_channels": 1, "dtype": "uint8"} | changes)


def known(**sizes):
    return tuple(GivenMicrograph(f"{name}.tif", size, name) for name, size in sizes.items())


def refusal(model, micrographs):
    with pytest.raises(InputError) as raised:
        check_needs([model], micrographs, Reporter())
    return str(raised.value)


def notes(capsys, model, micrographs):
    check_needs([model], micrographs, Reporter("predict", 0))
    return capsys.readouterr().err


def test_grey_is_colour_only_for_a_network_that_saw_grey_in_colour():
    check_needs([needs(n_channels=3, is_grey_in_colour=True)], given(), Reporter())
    assert "have 1 channels, net takes 3; give such" in refusal(needs(n_channels=3), given())


@pytest.mark.parametrize("classes", [("b", "a"), ("a", "c")], ids=["order", "names"])
def test_classes_are_the_same_in_the_same_order(classes):
    text = refusal(needs(), given(classes=classes, n_channels=3))
    assert f"classes {', '.join(classes)}, net has a, b; use the legend that" in text
    assert text.endswith("; mstool tile --grey makes them fit")


def test_each_network_is_asked():
    models = [needs(), needs(name="other", dtype="uint16")]
    with pytest.raises(InputError, match="other was trained on uint16; mstool tile --bits 16"):
        check_needs(models, given(), Reporter())


def test_the_command_that_mends_all_scales_from_the_files_as_they_are():
    micrographs = given(n_channels=3, pixel_size_um=0.4, scale=0.5)
    text = refusal(needs(pixel_size_um=0.1), micrographs)
    assert text.endswith("; mstool tile --grey --scale 2 makes them fit")


def test_another_pixel_size_is_noted_from_two_percent_on(capsys):
    model = needs(pixel_size_um=0.1)
    assert notes(capsys, model, given(pixel_size_um=0.1015)) == ""
    assert "has 0.103; --scale 1.03 makes them" in notes(capsys, model, given(pixel_size_um=0.103))
    assert notes(capsys, model, given(pixel_size_um=None)) == ""


def test_another_scale_is_told_where_no_pixel_size_can(capsys):
    model = needs(scale=0.5)
    words = "net was trained on tiles cut with --scale 0.5, those of set were cut with 1, and"
    assert words in notes(capsys, model, given())
    assert "magnification, --scale 0.5 makes them so" in notes(
        capsys, model, given(pixel_size_um=0.1)
    )
    assert notes(capsys, model, given(scale=0.5)) == ""
    assert notes(capsys, needs(), given(scale=0.5)) == ""  # models that do not know
    known = needs(scale=0.5, pixel_size_um=0.1)
    assert notes(capsys, known, given(scale=0.25, pixel_size_um=0.1)) == ""


def test_another_scale_of_the_same_micrographs_is_refused():
    model, micrographs = (
        needs(scale=0.5, micrographs={"x"}),
        given(micrographs=known(x=None, y=None)),
    )
    text = refusal(model, micrographs)
    assert "from the same micrographs; mstool tile --scale 0.5 makes them fit" in text
    model = needs(scale=0.5, micrographs={"x"}, pixel_size_um=0.2)  # whose size is noted, as ever
    check_needs([model], given(micrographs=known(x=0.1), pixel_size_um=0.1), Reporter())
    check_needs([model], given(micrographs=known(x=0.1, y=0.4, z=None)), Reporter())
    assert "same micrographs" in refusal(model, given(micrographs=known(x=None, y=0.4)))


def test_each_of_micrographs_of_unlike_pixel_sizes_is_held_against_that_of_the_model(capsys):
    model, unlike = needs(pixel_size_um=0.1, scale=0.5), known(x=0.1, y=0.2, z=0.4)
    said = notes(capsys, model, given(micrographs=unlike, scale=0.5))
    assert "trained at 0.1 um/px, y.tif of set has 0.2 (and 1 more another); take micro" in said
    assert "for that one, --scale 1 makes" in said
    said = notes(capsys, model, given(micrographs=known(x=0.1, y=0.103)))
    assert "y.tif of set has 0.103; take" in said
    assert said.count("\n") == 1  # that of scale is of sizes that are not known
    said = notes(capsys, model, given(micrographs=known(x=None, y=0.103)))
    assert "y.tif of set has 0.103; take" in said
    assert "no pixel size tells" in said
    assert notes(capsys, model, given(micrographs=known(x=0.099, y=0.1015))) == ""


def test_other_greys_are_noted(capsys):
    dark, bright = tuple(range(0, 70, 10)), tuple(range(180, 250, 10))
    assert "grey levels" in notes(capsys, needs(greys=bright), given(greys=dark))
    assert notes(capsys, needs(greys=bright), given(greys=bright)) == ""


@pytest.mark.parametrize(
    ("model", "micrographs"),
    [
        (needs(n_channels=3), given(dtype="uint16")),
        (needs(dtype="float32"), given(n_channels=3)),
    ],
    ids=["no colour in grey", "no float"],
)
def test_no_command_is_said_to_mend_what_none_can(model, micrographs):
    text = refusal(model, micrographs)
    assert (text.count(", and "), text.endswith("; give such")) == (1, True)


def test_own_greys_are_asked_for_and_refused_as_in_training(capsys):
    own, stored = needs(has_own_greys=True, greys=(10,) * 7), needs()
    text = refusal(own, given())
    assert "greys are read without --rescale-greys each, net was trained with it; mstool" in text
    assert text.endswith("; mstool tile --rescale-greys each makes them fit")
    text = refusal(stored, given(has_own_greys=True))
    assert text.endswith("trained without it; leave --rescale-greys each of mstool tile out")
    assert notes(capsys, own, given(has_own_greys=True, greys=(200,) * 7)) == ""
    wide = given(dtype="uint16", greys=(0, 10, 20, 30, 40, 50, 60), levels=(0, 65535))
    text = refusal(needs(has_own_greys=True, greys=(0, 40, 80, 120, 160, 200, 255)), wide)
    assert text.endswith("; mstool tile --bits 8 --rescale-greys each makes them fit")


@pytest.mark.parametrize(
    ("changes", "flags"),
    [({"dtype": "uint16"}, "--bits 8"), ({"n_channels": 3}, "--grey")],
    ids=["bits", "grey"],
)
def test_tiles_of_own_greys_are_mended_by_a_command_that_keeps_them(changes, flags):
    text = refusal(needs(has_own_greys=True), given(has_own_greys=True, **changes))
    assert text.endswith(f"; mstool tile {flags} --rescale-greys each makes them fit")
    assert "greys are" not in text and "leave" not in text


def test_own_greys_are_no_part_of_what_mends_for_a_network_without_them():
    text = refusal(needs(), given(has_own_greys=True, dtype="uint16"))
    assert text.endswith("each of mstool tile out; mstool tile --bits 8 makes them fit")
