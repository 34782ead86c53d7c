import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mstool.errors import InputError, LabelError, UsageError
from mstool.labels.legend import (
    IGNORE_COLOUR,
    OKABE_ITO,
    Legend,
    PhaseClass,
    legend_from_toml,
    legend_from_values,
    legend_to_toml,
    palette,
    parse_classes,
)

BLUE, RED, WHITE, BLACK = (0, 0, 255), (255, 0, 0), (255, 255, 255), (0, 0, 0)
SUPERALLOY = "matrix=*,gamma-prime=#0000ff,tertiary=#FF0000"


def colours(*rows):
    return np.array(rows, np.uint8)


# Short form


def test_short_form_gives_classes_in_order():
    legend = parse_classes(SUPERALLOY)
    assert legend.names == ("matrix", "gamma-prime", "tertiary")
    assert [phase.value for phase in legend.classes] == ["*", "#0000ff", "#ff0000"]
    assert legend.ignore == (255,)


def test_class_whose_value_is_a_colour_is_displayed_in_it():
    legend = parse_classes(SUPERALLOY)
    assert legend.classes[1].colour == BLUE
    assert legend.classes[0].colour == OKABE_ITO[2]


def test_255_is_not_ignored_when_a_class_has_it():
    assert parse_classes("background=0,phase=255").ignore == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("matrix", "not NAME=VALUE"),
        ("a=*,b=(0,0,255)", "a colour is written #0000ff"),
        ("", "not NAME=VALUE"),
        ("a=0,,b=1", "not NAME=VALUE"),
        ("=0", "empty"),
        ("a=0,a=1", "class name 'a' occurs twice"),
        ("a=0,b=0", "value 0 occurs twice"),
        ("a=*,b=*", r"'\*' occurs twice"),
        ("a=#00f", "means nothing"),
        ("a=blue", "means nothing"),
        ("a=1.5", "means nothing"),
        ("a=", "means nothing"),
        ("a=0=1", "means nothing"),
        ("a=0,b=#0000ff", "mix integers with colours"),
        ("a\tb=0", "unprintable"),
    ],
)
def test_bad_short_form_is_refused_with_the_reason(text, message):
    with pytest.raises(UsageError, match=message):
        parse_classes(text)


def test_256_classes_are_refused_and_255_are_not():
    text = ",".join(f"c{i}={i}" for i in range(255))
    assert len(parse_classes(text).classes) == 255
    with pytest.raises(UsageError, match="256 classes"):
        parse_classes(text + ",more=1000")


def test_display_colours_differ_for_255_classes():
    legend = legend_from_values(range(255))
    shown = {phase.colour for phase in legend.classes}
    assert len(shown | {IGNORE_COLOUR}) == 256


def test_filled_in_colour_avoids_one_that_a_class_has_taken():
    legend = parse_classes("rest=*,black=#000000")
    assert legend.classes[0].colour != BLACK


@pytest.mark.parametrize("name", ["", " ", "a,b", "a=b", "a\nb", " a"])
def test_legend_refuses_names_that_the_short_form_cannot_hold(name):
    with pytest.raises(InputError, match="class name"):
        Legend((PhaseClass(name, 0, BLACK),))


def test_ignored_value_that_is_a_class_is_refused():
    with pytest.raises(InputError, match="value 3 occurs twice"):
        Legend((PhaseClass("a", 3, BLACK),), ignore=(3,))


def test_ignored_colour_in_a_legend_of_integers_is_refused():
    with pytest.raises(InputError, match="ignore holds a colour"):
        Legend((PhaseClass("a", 3, BLACK),), ignore=("#ffffff",))


# TOML


def test_toml_of_the_manual_reads_as_the_short_form():
    text = """
    ignore = [255]
    [[class]]
    name = "matrix"
    value = "*"
    [[class]]
    name = "gamma-prime"
    value = "#0000FF"
    [[class]]
    name = "tertiary"
    value = "#ff0000"
    """
    assert legend_from_toml(text) == parse_classes(SUPERALLOY)


def test_toml_colour_is_the_display_colour():
    legend = legend_from_toml('[[class]]\nname = "a"\nvalue = 4\ncolour = "#0A0b0c"')
    assert legend.classes[0] == PhaseClass("a", 4, (10, 11, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "not TOML"),
        ("ignore = [255]", "lacks key 'class'"),
        ("class = 3", "not a list"),
        ("class = []", "0 classes"),
        ('[[class]]\nname = "a"', "lacks key 'value'"),
        ('[[class]]\nname = "a"\nvalue = 0\ncolor = "#000000"', "unknown key 'color'"),
        ('[[class]]\nname = "a"\nvalue = 0\ncolour = "red"', "is not a colour"),
        ("[[class]]\nname = 3\nvalue = 0", "class name 3"),
        ('[[class]]\nname = "a"\nvalue = true', "True means nothing"),
        ('[[class]]\nname = "a"\nvalue = 1.0', "1.0 means nothing"),
        ('ignore = 255\n[[class]]\nname = "a"\nvalue = 0', "not a list"),
        ('ignore = ["*"]\n[[class]]\nname = "a"\nvalue = 0', "list the values"),
        ('seed = 1\n[[class]]\nname = "a"\nvalue = 0', "unknown key 'seed'"),
    ],
)
def test_bad_toml_is_refused_with_the_reason(text, message):
    with pytest.raises(InputError, match=message):
        legend_from_toml(text)


names = st.text(min_size=1, max_size=12).filter(
    lambda name: (
        name.isprintable()
        and name == name.strip()
        and not set(",=") & set(name)
        and name not in ("ignore", "ignored")
    )
)
colour = st.tuples(*[st.integers(0, 255)] * 3)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_toml_round_trip_is_the_identity(data):
    is_colour = data.draw(st.booleans())
    hexes = colour.map(lambda rgb: "#" + bytes(rgb).hex())
    values = hexes if is_colour else st.integers(-(2**63) + 1, 2**63 - 1)
    distinct = data.draw(st.lists(values, min_size=2, max_size=6, unique=True))
    used = data.draw(st.lists(names, min_size=1, max_size=len(distinct) - 1, unique=True))
    classes = tuple(
        PhaseClass(name, value, data.draw(colour))
        for name, value in zip(used, distinct, strict=False)
    )
    legend = Legend(classes, tuple(distinct[len(used) :]))
    assert legend_from_toml(legend_to_toml(legend)) == legend


def test_quotes_and_backslashes_survive_toml():
    legend = Legend((PhaseClass('a"\\u0041\\', 0, BLACK),))
    assert legend_from_toml(legend_to_toml(legend)) == legend


# Legend from values


def test_values_without_a_legend_become_numbered_classes():
    legend = legend_from_values(np.array([2, 0, 1, 255], np.uint8))
    assert legend.names == ("0", "1", "2")
    assert [phase.value for phase in legend.classes] == [0, 1, 2]


@pytest.mark.parametrize("values", [[0, 2], [1, 2], [-1, 0], [], [255], [0, 1, 254]])
def test_values_that_are_not_0_to_k_are_refused(values):
    with pytest.raises(LabelError, match=r"not 0\.\.K-1.*--classes"):
        legend_from_values(values)


def test_many_values_are_not_all_listed():
    with pytest.raises(LabelError, match=r"0, 3, 6, .*\(80 in all\)"):
        legend_from_values(range(0, 240, 3))


# Colours and ignored values


def test_the_rest_is_shown_in_no_colour_like_those_that_are_given():
    legend = parse_classes(SUPERALLOY)
    first, *others = [phase.colour for phase in legend.classes]
    assert others == [(0, 0, 255), (255, 0, 0)]
    assert (
        min(sum((a - b) ** 2 for a, b in zip(first, o, strict=True)) ** 0.5 for o in others) > 200
    )


def test_classes_without_given_colours_have_those_of_okabe_and_ito_in_order():
    colours = [phase.colour for phase in parse_classes("a=0,b=1,c=2").classes]
    assert colours == list(OKABE_ITO[:3])


def test_values_to_leave_out_can_be_named_in_short_form():
    legend = parse_classes("a=0,ignore=7,b=1,ignore=255")
    assert (legend.names, legend.ignore, legend.is_ignore_given) == (("a", "b"), (7, 255), True)
    assert not parse_classes("a=0").is_ignore_given
    for one in (legend, parse_classes("a=0")):
        assert legend_from_toml(legend_to_toml(one)).is_ignore_given == one.is_ignore_given


# Palette


def test_palette_shows_classes_and_ignored_pixels():
    table = palette(parse_classes(SUPERALLOY))
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert table[[1, 2, 255, 100]].tolist() == [[0, 0, 255], [255, 0, 0], [128] * 3, [0] * 3]


def test_class_may_not_be_called_ignored():
    with pytest.raises(UsageError, match="ignored"):
        parse_classes("a=0,ignored=1")
