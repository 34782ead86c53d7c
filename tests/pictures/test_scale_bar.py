"""Scale bars."""

import pytest

from mstool.pictures.scale_bar import nice_length


@pytest.mark.parametrize(
    ("width_um", "length_um"), [(51.2, 10.0), (49.0, 5.0), (0.5, 0.1), (1.0, 0.2), (1e4, 2000.0)]
)
def test_a_bar_is_the_longest_round_length_up_to_a_fifth(width_um, length_um):
    assert nice_length(width_um) == pytest.approx(length_um)


@pytest.mark.parametrize("field_um", [0.5, 1, 5, 10, 50, 100, 500, 5000])
def test_a_round_field_of_view_has_a_bar_whatever_its_number_of_pixels(field_um):
    widths = range(64, 2049)
    lengths = {round(nice_length(field_um / width * width), 9) for width in widths}
    assert lengths == {field_um / 5}
