import pytest

from mstool.errors import UsageError
from mstool.geometry.length import Length, parse_length


@pytest.mark.parametrize(
    ("text", "length"),
    [("2", (2, "px")), (" 2 px", (2, "px")), (".5um", (0.5, "um")), ("1.5µm", (1.5, "um"))],
)
def test_lengths_are_read(text, length):
    assert parse_length(text, "--x") == Length(*length)


@pytest.mark.parametrize("text", ["", "0", "0.0um", "-1", "2mm", "nan", "1e3", "9999999"])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(UsageError, match="--x .*: give a length above 0, such as 2px or 0.5um"):
        parse_length(text, "--x")


def test_micrometres_need_a_pixel_size():
    assert Length(0.5, "um").in_pixels(0.1) == pytest.approx(5)
    assert Length(0.5, "um").in_pixels(None) is None
    assert Length(2, "px").in_pixels(None) == Length(2, "px").in_pixels(0.1) == 2


def test_it_is_written_as_people_do():
    assert str(Length(2.0, "px")) == "2 px"
    assert str(Length(0.5, "um")) == "0.5 um"


@pytest.mark.parametrize(("value", "pixel_size_um"), [(0.3, 0.1), (0.7, 0.1), (0.6, 0.2)])
def test_whole_pixels_stay_whole_in_micrometres(value, pixel_size_um):
    assert Length(value, "um").in_pixels(pixel_size_um) == round(value / pixel_size_um)
