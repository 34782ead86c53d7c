"""What records say that models were trained on."""

from types import SimpleNamespace

import pytest

from mstool.pipeline.fold_models import trained_on

X = {"name": "x", "group": "s", "sha256": "of x"}


def model(train=(), val=(), unlabelled=()):
    inherited = [{**each, "part": "unlabelled"} for each in unlabelled]
    sources = {"train": list(train), "val": list(val), "inherited": inherited}
    return SimpleNamespace(checkpoint=SimpleNamespace(sources=sources))


@pytest.mark.parametrize(
    ("models", "part"),
    [
        ([model(train=[X], unlabelled=[X])], "train"),
        ([model(val=[X]), model(unlabelled=[X])], "val"),
        ([model(unlabelled=[X]), model(train=[X])], "train"),
        ([model(unlabelled=[X])], "unlabelled"),
        ([model(train=[X]), model(val=[X])], "train"),
        ([model(val=[X]), model(train=[X])], "train"),
    ],
)
def test_labels_that_were_seen_count_more_than_pixels(models, part):
    assert trained_on(models) == [{**X, "part": part}]


def test_one_content_in_two_groups_is_of_both():
    other = {**X, "group": "t"}
    assert trained_on([model(train=[X]), model(train=[other])]) == [
        {**X, "part": "train"},
        {**other, "part": "train"},
    ]


def test_pixels_without_labels_add_no_group_to_what_was_labelled():
    other = {**X, "group": "t"}
    assert trained_on([model(train=[X], unlabelled=[other])]) == [{**X, "part": "train"}]
