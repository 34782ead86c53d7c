"""A plan is read whole, or refused with one line that names the key."""

import re

import pytest

from mstool.design.study_plan import level_name
from mstool.errors import UsageError


def test_small_plan_is_read(read, small):
    plan = read(small)
    assert plan.seeds == (0, 1)
    assert plan.folds is None
    assert plan.base["train.epochs"] == 12
    assert plan.data[0].settings == {
        "data.images": "phantom/images",
        "data.labels": "phantom/labels",
        "split.folds": 4,
    }
    assert [level.name for level in plan.factors[1].levels] == ["small", "blended"]
    assert plan.factors[1].levels[0].settings == {"tile.size": 128, "train.crop": 96}


@pytest.mark.parametrize(
    ("value", "name"),
    [(True, "true"), (0.5, "0.5"), (2, "2"), (["a", 1], "a,1"), ("ce+0.3*dice", "ce+0.3*dice")],
)
def test_levels_are_called_as_the_plan_spells_them(value, name):
    assert level_name(value) == name


def test_base_of_a_factor_is_said_in_one_place(read, small):
    said = small.replace('encoder = "efficientnet-lite0"\n', "").replace(
        "[factors.encoder]\n", "[factors.encoder]\nbase = 'efficientnet-lite0'\n"
    )
    assert read(said).base == read(small).base
    twice = small.replace("[factors.encoder]\n", "[factors.encoder]\nbase = 'tu-vgg16'\n")
    with pytest.raises(UsageError, match=r"^factors\.encoder\.base: is tu-vgg16, but base\.train"):
        read(twice)


def test_base_of_a_factor_is_not_ignored_where_a_data_set_says_otherwise(read, small):
    factor = "[factors.size]\noption = 'tile.size'\nlevels = [64, 96]\nbase = 64\n"
    plan = small.replace("size = 256", "").replace("folds = 4", "folds = 4\nsize = 96")
    with pytest.raises(
        UsageError, match=r"^factors\.size\.base: is 64, but data\.phantoms says 96"
    ):
        read(plan + factor)


def test_base_of_a_factor_says_nothing_of_data_on_which_it_is_not_varied(read, small):
    plan = (
        small.replace("folds = 4", "split = 'ours.csv'")
        + """
    [data.steel]
    images = "steel/images"
    labels = "steel/labels"
    folds = 2
    [factors.division]
    option = "data.split"
    levels = ["ours.csv", "leaky.csv"]
    base = "ours.csv"
    data = ["phantoms"]
    [factors.truth]
    option = "data.truth"
    levels = ["phantom/a", "phantom/b"]
    base = "phantom/a"
    data = ["phantoms"]
    """
    )
    found = read(plan)
    assert found.data[0].settings["data.truth"] == "phantom/a"
    assert {"data.split", "data.truth"}.isdisjoint({*found.base, *found.data[1].settings})


def test_data_are_divided_in_one_way_also_where_a_factor_gives_its_base(read, small):
    factor = "[factors.division]\noption = 'data.split'\nlevels = ['a.csv', 'b.csv']\n"
    factor += "base = 'a.csv'\n"
    with pytest.raises(UsageError, match=r"^data\.phantoms: has a split and split\.folds"):
        read(small + factor)
    assert read(small.replace("folds = 4", "") + factor).data[0].settings["data.split"] == "a.csv"


WRONG = {
    "extra": ("[study]", "[extra]\n[study]", "extra: unknown key"),
    "study": ("seeds = [0, 1]", "seed = 1", "study.seed: unknown key"),
    "seeds": ("seeds = [0, 1]", "seeds = [0, 0]", "study.seeds: names a number twice"),
    "seeds that are none": ("seeds = [0, 1]", "seeds = []", "study.seeds: give a list"),
    "yes for a seed": ("seeds = [0, 1]", "seeds = [true]", "study.seeds: give a list"),
    "folds": ("seeds = [0, 1]", "folds = 'some'", "study.folds: give a list of whole numbers"),
    "several folds": ("seeds = [0, 1]", "folds = [0, 2]", "study.folds: name one fold"),
    "design": ("seeds = [0, 1]", "design = 'full'", "study.design: 'full' is not known"),
    "verb": ("[base.tile]", "[base.segment]", "base.segment: unknown key"),
    "option": ("size = 256", "sise = 256", "base.tile.sise: mstool tile has no option --sise"),
    "own option": ("epochs = 12", "seed = 12", "base.train.seed: the study sets --seed itself"),
    "own out": ("size = 256", "out = 'a'", "base.tile.out: the study sets --out itself"),
    "share of the work": (
        "[study]",
        "[base.predict]\nshard = '0/2'\n[study]",
        "base.predict.shard: the study sets --shard itself",
    ),
    "check": (
        "[study]",
        "[base.score]\nmin-iou = 0.9\n[study]",
        "base.score.min-iou: what ends with an error is not kept",
    ),
    "switch": ("size = 256", "grey = 'yes'", "base.tile.grey: --grey takes true or false"),
    "no switch": ("size = 256", "size = true", "base.tile.size: --size takes a value, not true"),
    "list": ("size = 256", "size = [1, 2]", "base.tile.size: give one text or number"),
    "no images": ('images = "phantom/images"\n', "", "data.phantoms: has no images"),
    "empty labels": ('"phantom/labels"', '""', "data.phantoms.labels: name a file or folder"),
    "no division": ("folds = 4", "", "data.phantoms: is not divided"),
    "two divisions": ("folds = 4", "folds = 4\nsplit = 'a.csv'", "data.phantoms: has a split and"),
    "split and option": (
        "folds = 4\n[base.tile]",
        "split = 'a.csv'\nseed = 3\n[base.tile]",
        "data.phantoms: has a split and split.seed",
    ),
    "key of data": ("folds = 4", "folds = 4\nfold = 3", "data.phantoms.fold: is no key of a data"),
    "name of data": ("[data.phantoms]", "[data.'a b']", "data.a b: use letters, digits and"),
    "one level": (', "tu-vgg16"]', "]", "factors.encoder: has 1 level"),
    "no level": ('["efficientnet-lite0", "tu-vgg16"]', "[]", "factors.encoder: has 0 level"),
    "level twice": ('"tu-vgg16"', '"efficientnet-lite0"', "factors.encoder: level efficientnet"),
    "level base": ('"tu-vgg16"', '"base"', "factors.encoder: no level may be called base"),
    "no levels": ("levels = [", "level = [", "factors.encoder.level: unknown key"),
    "unknown verb": ("train.encoder", "fit.encoder", "factors.encoder.option: 'fit' is not known"),
    "no verb": ('"train.encoder"', '"encoder"', "factors.encoder.option: 'encoder' is not known"),
    "unknown option": ("train.encoder", "train.enc", "factors.encoder.option.train.enc: mstool"),
    "unknown level option": ("train.crop", "train.cut", "context.levels.small.train.cut: mstool"),
    "unknown data": ('data = ["phantoms"]', 'data = ["steel"]', "context.data: 'steel' is not"),
    "no data of a factor": ('data = ["phantoms"]', "data = []", "context.data: give a list of"),
    "text for data": ('data = ["phantoms"]', 'data = "phantoms"', "context.data: give a list of"),
    "base for nothing": (
        "[base.tile]",
        "[base.explain]\nquick = true\n[base.tile]",
        "base.explain.quick: nothing runs explain; add",
    ),
    "level for nothing": (
        "stitch.blend",
        "explain.class",
        "context: blended.explain.class: nothing runs",
    ),
    "cells": ("[study]", "[[cell]]\n[study]", "cell: tables [[cell]] and design"),
    "no data": ("[data.phantoms]", "[base.stitch]", "base.stitch.images: "),
    "after": ("[base.tile]", "[after.measure]\n[base.tile]", "after.measure: unknown key"),
    "explain": ("[base.tile]", "[after.explain]\n[base.tile]", "after.explain: has no class"),
    "shift": ("[base.tile]", "[after.domain-shift]\n[base.tile]", "domain-shift: has no target"),
    "place": (
        "[base.tile]",
        "[after.explain]\nclass = '1'\nimages = 5\n[base.tile]",
        "after.explain.images: name a",
    ),
    "target": (
        "[base.tile]",
        "[after.domain-shift]\ntarget = ['a', 'b']\n[base.tile]",
        "after.domain-shift.target: name a file or folder",
    ),
    "fold": (
        "[base.tile]",
        "[after.explain]\nclass = '1'\nfold = '1'\n[base.tile]",
        "after.explain.fold: give the number",
    ),
    "said twice": (
        "[base.tile]",
        "[base.explain]\nclass = '1'\n[after.explain]\nclass = '2'\n[base.tile]",
        "after.explain.class: is not what base.explain.class says",
    ),
    "table": ("[base.tile]\nsize = 256", "[base]\ntile = 256", "base.tile: must be a table"),
}


@pytest.mark.parametrize(("old", "new", "message"), WRONG.values(), ids=WRONG)
def test_wrong_plan_is_refused_by_the_key(read, small, old, new, message):
    assert old in small
    with pytest.raises(UsageError, match=re.escape(message)) as refused:
        read(small.replace(old, new, 1))
    assert "\n" not in str(refused.value)


def test_plan_without_data_is_refused(read):
    with pytest.raises(UsageError, match="^data: names no data set"):
        read("")
