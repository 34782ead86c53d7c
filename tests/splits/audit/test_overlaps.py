import numpy as np
import pytest
from scipy import ndimage

from mstool.splits.audit.blocks import Match
from mstool.splits.audit.coarse import find_candidates, transform_size, whitened_spectra
from mstool.splits.audit.overlaps import (
    ALL_TURNS,
    UPRIGHT,
    Field,
    find_overlaps,
    shared_windows,
    small_scale,
    verify,
)
from mstool.splits.audit.structure import turned


def blobs(shape, seed, width=4.0):
    """Grey values 0..1 with structure of one width [px], as of grains."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=shape), width)
    return (1 / (1 + np.exp(-3 * noise / noise.std()))).astype(np.float32)


def stripes(shape, seed):
    """Lamellae of one spacing and direction, and camera noise."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(shape)
    wave = np.sin((rows * np.cos(0.6) + cols * np.sin(0.6)) * 0.5 + rng.uniform(0, 6))
    return (0.5 + 0.4 * wave + rng.normal(0, 0.05, shape)).astype(np.float32)


def compare(one, other, turns=ALL_TURNS):
    """Overlap of two micrographs; half their scale is small."""
    images = [Field(one), Field(other)]
    small = {k: Field(ndimage.zoom(image.grey, 0.5, order=1)) for k, image in enumerate(images)}
    (overlap,) = find_overlaps(small, [(0, 1)], images.__getitem__, 0.5, turns)
    return overlap


def test_strip_that_two_micrographs_share_is_found_where_it_is():
    field = blobs((300, 500), seed=1)
    overlap = compare(field[:, :300], field[:, 240:500])
    assert overlap.offset == pytest.approx((0, 240), abs=0.5)
    assert (overlap.turn, overlap.scale) == (0, pytest.approx(1, abs=0.002))
    assert overlap.share == pytest.approx(60 / 260, abs=0.005)


def test_corner_that_two_micrographs_share_is_found():
    field = blobs((500, 500), seed=2)
    overlap = compare(field[:300, 200:], field[180:480, :320])
    assert overlap.offset == pytest.approx((180, -200), abs=0.5)


@pytest.mark.parametrize("turn", ALL_TURNS)
def test_turn_by_which_the_second_lies_on_the_first_is_named(turn):
    field = blobs((260, 460), seed=3)
    one, other = field[:, :300], field[:, 200:]
    back = next(t for t in ALL_TURNS if np.array_equal(turned(turned(other, t), turn), other))
    overlap = compare(one, turned(other, back))
    assert overlap.turn == turn
    assert overlap.offset == pytest.approx((0, 200), abs=0.5)


def test_long_micrograph_is_found_where_it_lies_once_turned():
    field = blobs((450, 300), seed=13)
    overlap = compare(field[150:], np.rot90(field[:300, 100:220], -1))
    assert overlap.turn == 1
    assert overlap.offset == pytest.approx((-150, 100), abs=0.5)


@pytest.mark.parametrize(("least", "is_found"), [(0.04, True), (0.08, False)])
def test_overlap_below_the_least_is_no_candidate(least, is_found):
    field = blobs((250, 488), seed=14, width=2.0)
    one, other = field[:, :250], field[:, 238:]  # which share 12 of 250 columns
    size = transform_size([one.shape, other.shape])
    first, second = (whitened_spectra(each, None, size, UPRIGHT) for each in (one, other))
    peaks = find_candidates(first[0], second, (one.shape, other.shape), UPRIGHT, least, 3)
    off = [np.abs(np.subtract(peak.offset, (0, 238))).max() for peak in peaks]
    assert (min(off) <= 1) == is_found


def test_gamma_noise_contrast_and_scale_are_no_hindrance():
    rng, field = np.random.default_rng(4), blobs((300, 520), seed=4)
    other = ndimage.zoom(field[:, 220:], 1.02, order=1) ** 2.0
    other = 40 + 30 * np.rot90(other + rng.normal(0, 0.08, other.shape))
    overlap = compare(field[:, :300], other.astype(np.float32))
    assert overlap.scale == pytest.approx(1.02, abs=0.003)
    assert overlap.turn == 3
    assert overlap.offset == pytest.approx((0, 220), abs=1.5)


@pytest.mark.parametrize("texture", [blobs, stripes])
def test_fields_with_nothing_in_common_are_told_apart(texture):
    pairs = [(texture((260, 300), seed), texture((260, 300), seed + 50)) for seed in range(6)]
    assert [compare(*pair) for pair in pairs] == [None] * 6


def test_information_bar_that_all_share_is_no_overlap():
    bar = blobs((60, 300), seed=5)
    images = [np.vstack([blobs((240, 300), seed), bar]) for seed in (6, 7)]
    assert compare(*images) is None


def test_blank_micrographs_are_no_overlap():
    blank = np.full((200, 200), 7, np.float32)
    assert compare(blank, blank + 1) is None


def test_what_is_not_known_is_not_compared():
    same = blobs((300, 300), seed=8)
    one, other = (
        np.where(np.indices(same.shape)[0] < 40, blobs(same.shape, s), same) for s in (9, 10)
    )  # the rest is the same
    is_known = np.indices(same.shape)[0] < 40
    fields = [Field(one, is_known), Field(other, is_known)]
    small = {k: Field(field.grey[::2, ::2], is_known[::2, ::2]) for k, field in enumerate(fields)}
    assert list(find_overlaps(small, [(0, 1)], fields.__getitem__, 0.5)) == [None]


def test_turned_copies_are_not_looked_for_upright():
    field = blobs((300, 300), seed=11)
    assert compare(field, np.rot90(field), UPRIGHT) is None


def test_shared_windows_show_the_same():
    field = blobs((300, 500), seed=12)
    one, other = field[:, :300], np.rot90(field[:, 200:], -1)
    overlap = compare(one, other)
    lying = turned(other, overlap.turn)
    ours, theirs = shared_windows(one.shape, lying.shape, overlap)
    np.testing.assert_array_equal(one[ours], lying[theirs])


def test_small_scale_keeps_the_smallest_legible():
    assert small_scale([(1000, 800)]) == pytest.approx(0.192)
    assert small_scale([(100, 90)]) == 1
    assert small_scale([(2000, 2000), (256, 256)]) == pytest.approx(0.25)
    assert small_scale([(20000, 20000), (256, 256)]) == pytest.approx(512 / 20000)


@pytest.mark.parametrize(
    ("agreement", "n_votes", "is_clear", "is_shared"),
    [
        (1.0, 3, True, True),  # small overlaps of coarse lamellae have few blocks
        (1.0, 3, False, False),
        (0.9, 3, True, False),
        (1.0, 2, True, False),
        (0.8, 5, False, True),
        (0.7, 9, True, False),
    ],
)
def test_clear_peak_needs_fewer_blocks_of_one_mind(
    monkeypatch, agreement, n_votes, is_clear, is_shared
):
    match = Match(agreement, n_votes, (30.0, 0.0), 1.0)
    monkeypatch.setattr("mstool.splits.audit.overlaps.match_blocks", lambda *_, **__: match)
    one, other = np.zeros((2, 100, 100), np.float32)
    found = verify(one, other, 0, (30, 0), 1.0, is_clear)
    assert (found is not None) == is_shared
    if is_shared:
        assert found.share == pytest.approx(0.7)


def test_share_is_of_the_smaller_field_and_not_of_the_fewer_pixels(monkeypatch):
    match = Match(1.0, 9, (0.0, 75.0), 2.0)  # the second shows half as much in as many pixels
    monkeypatch.setattr("mstool.splits.audit.overlaps.match_blocks", lambda *_, **__: match)
    one, other = np.zeros((2, 100, 100), np.float32)
    assert verify(one, other, 0, (0, 75), 1.0).share == pytest.approx(25 * 50 / 50**2)


@pytest.mark.parametrize("edge", [2, 4, 5])
def test_micrographs_of_some_pixels_are_compared_and_show_nothing(edge):
    images = [Field(blobs((edge, edge), seed)) for seed in range(2)]
    assert [*find_overlaps(dict(enumerate(images)), [(0, 1)], images.__getitem__, 1.0)] == [None]
