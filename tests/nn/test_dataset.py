import pytest

from mstool.nn.dataset import balanced_weights, epoch_batches


def test_weights_are_as_one_over_the_root_of_counts_with_mean_one():
    # 1/10 and 1/5, whose mean is 0.15
    assert balanced_weights([100, 25]) == pytest.approx([2 / 3, 4 / 3])


def test_class_that_is_absent_has_no_weight_and_does_not_count_in_the_mean():
    assert balanced_weights([100, 0, 25]) == pytest.approx([2 / 3, 0, 4 / 3])


@pytest.mark.parametrize(("n_tiles", "sizes"), [(8, [4, 4]), (9, [3, 3, 3]), (5, [3, 2]), (1, [1])])
def test_epoch_has_each_tile_once_in_batches_as_equal_as_can_be(n_tiles, sizes):
    batches = epoch_batches(n_tiles, 4, seed=1, epoch=3)
    assert [len(batch) for batch in batches] == sizes
    places = [place for batch in batches for place in batch]
    assert sorted(places) == [(3, index) for index in range(n_tiles)]


def test_every_epoch_and_seed_has_its_own_order():
    orders = {
        tuple(index for _, index in epoch_batches(20, 20, seed, epoch)[0])
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9
