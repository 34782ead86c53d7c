"""Which cells a plan has, and which files they share."""

import re

import pytest

from mstool.design.cells import dividing_cell, list_cells
from mstool.errors import UsageError

DESIGN = "seeds = [0, 1]"


def names(plan):
    return [cell.name for cell in list_cells(plan)]


def test_one_at_a_time_has_the_base_once(read, small):
    assert names(read(small)) == [
        "phantoms/base",
        "phantoms/encoder-tu-vgg16",
        "phantoms/context-small",
        "phantoms/context-blended",
    ]


def test_factorial_has_all_combinations(read, small):
    found = names(read(small.replace(DESIGN, "design = 'factorial'")))
    assert found == [
        "phantoms/context-small",
        "phantoms/context-blended",
        "phantoms/encoder-tu-vgg16,context-small",
        "phantoms/encoder-tu-vgg16,context-blended",
    ]


def test_list_has_what_it_names(read, small):
    cells = "[[cell]]\n[[cell]]\nencoder = 'tu-vgg16'\ncontext = 'base'\n"
    plan = read(small.replace(DESIGN, "design = 'list'") + cells)
    assert names(plan) == ["phantoms/base", "phantoms/encoder-tu-vgg16"]


def test_cell_says_its_levels(read, small):
    base, encoder, context, _ = list_cells(read(small))
    assert base.levels == {"encoder": "base", "context": "base"}
    assert encoder.levels == {"encoder": "tu-vgg16", "context": "base"}
    assert (base.differs, encoder.differs) == ((), ("encoder",))
    assert context.options("tile") == {"size": 128}
    assert context.options("train") == {"epochs": 12, "encoder": "efficientnet-lite0", "crop": 96}


def test_cells_share_what_their_levels_do_not_touch(read, small):
    base, encoder, context, blended = list_cells(read(small))
    assert base.tiles == encoder.tiles == blended.tiles == "tiles/phantoms/base"
    assert context.tiles == "tiles/phantoms/context-small"
    assert base.split == encoder.split == context.split == "splits/phantoms/base.csv"
    assert encoder.model(1) == "models/phantoms/encoder-tu-vgg16/seed-1"
    assert blended.model(0) == base.model(0)
    assert blended.probs(0) == base.probs(0)
    assert blended.masks(0) == "masks/phantoms/context-blended/seed-0"
    assert blended.score == "scores/phantoms/context-blended.json"
    assert blended.seed_score(1) == "scores/phantoms/context-blended/seed-1.json"


def test_only_seed_has_the_score_of_the_cell(read, small):
    base = list_cells(read(small.replace(DESIGN, "seeds = [3]")))[0]
    assert base.seed_score(3) == base.score == "scores/phantoms/base.json"


def test_chosen_fold_has_a_model(read, small):
    base = list_cells(read(small.replace(DESIGN, "folds = [2]")))[0]
    assert base.model_records(0) == ("models/phantoms/base/seed-0/fold-2/train.json",)
    assert base.parts(base.masks(0)) == ("masks/phantoms/base/seed-0/fold-2",)


def test_groups_of_tiles_decide_the_split(read, small):
    factor = "[factors.leak.levels]\nimages.tile.group-by = '(.*)'\nheats.tile.group-by = '(.)'\n"
    *_, images, heats = list_cells(read(small + factor))
    assert images.split == "splits/phantoms/leak-images.csv"
    assert heats.split == "splits/phantoms/leak-heats.csv"
    plan = read(small + factor)
    assert dividing_cell(plan, images).tiles == images.tiles == "tiles/phantoms/leak-images"


def test_options_of_split_beside_a_split_that_is_a_file_are_refused(read, small):
    factor = "[factors.folds]\noption = 'split.folds'\nlevels = [2, 3]\n"
    with pytest.raises(
        UsageError, match=r"^factors\.folds: level 2 sets split\.folds, but data\.ph"
    ):
        list_cells(read(small.replace("folds = 4", "split = 'a.csv'") + factor))


def test_listed_cell_that_no_data_set_has_is_refused(read, small):
    second = "[data.steel]\nimages = 'i'\nlabels = 'l'\nfolds = 2\n"
    second += "[factors.lr]\noption = 'train.lr'\nlevels = [1, 2]\ndata = ['steel']\n"
    cells = "[[cell]]\n[[cell]]\ncontext = 'small'\nlr = 1\n"
    plan = read(small.replace(DESIGN, "design = 'list'") + second + cells)
    with pytest.raises(UsageError, match="^cell 2: no data set has all its factors"):
        list_cells(plan)


def test_level_of_the_default_is_the_base(read, small):
    factor = "[factors.overlap]\noption = 'tile.overlap'\nlevels = [64, 32]\n"
    assert names(read(small + factor))[-1] == "phantoms/overlap-32"
    assert len(names(read(small + factor))) == 5


def test_level_may_change_the_data(read, small):
    factor = """
    [factors.rater.levels.a]
    data.labels = "phantom/raters/a"
    data.truth = "phantom/labels"
    [factors.rater.levels.leaky]
    data.split = "leaky.csv"
    train.allow-leak = true
    """
    *_, rater, leaky = list_cells(read(small + factor))
    assert rater.tiles == "tiles/phantoms/rater-a"
    assert (rater.settings["data.labels"], rater.truth) == ("phantom/raters/a", "phantom/labels")
    assert (leaky.split, leaky.tiles) == ("leaky.csv", "tiles/phantoms/base")


def test_factor_can_keep_to_some_data(read, small):
    second = "[data.steel]\nimages = 'i'\nlabels = 'l'\nfolds = 2\nlabel-suffix = '_m'\n"
    found = list_cells(read(small + second))
    assert [cell.name for cell in found[4:]] == ["steel/base", "steel/encoder-tu-vgg16"]
    assert found[4].options("tile") == {"size": 256, "label-suffix": "_m"}


@pytest.mark.parametrize("levels", ['["a:b", "a/b"]', '["A", "a"]', '["x y", "x  y"]'])
def test_cells_that_would_write_one_folder_are_refused(read, small, levels):
    factor = f"[factors.augment]\noption = 'train.augment'\nlevels = {levels}\n"
    with pytest.raises(UsageError, match=r"^factors: augment = .* would both write scores/"):
        list_cells(read(small + factor))


def test_names_of_factor_and_level_may_not_run_together(read, small):
    clash = """
    [factors.a]
    option = "train.lr"
    levels = ["b-1", "c"]
    [factors.a-b]
    option = "train.depth"
    levels = [1, 2]
    """
    with pytest.raises(UsageError, match="a = b-1 and a-b = 1 would both write"):
        list_cells(read(small + clash))


def test_levels_that_contradict_each_other_are_refused(read, small):
    crop = "[factors.crop]\noption = 'train.crop'\nlevels = [64, 80]\n"
    plan = read(small.replace(DESIGN, "design = 'factorial'") + crop)
    with pytest.raises(UsageError, match=r"context and crop both set train\.crop, to 96 and 64"):
        list_cells(plan)


def test_levels_that_are_the_same_are_refused(read, small):
    factor = "[factors.size.levels]\na.tile.size = 64\nb.tile.size = 64\n"
    with pytest.raises(UsageError, match=r"^factors\.size: levels a and b are the same"):
        list_cells(read(small + factor))


def test_levels_that_are_the_same_by_default_are_refused(read, small):
    factor = "[factors.way.levels]\na.stitch.blend = 'hann'\nb.predict.tta = 'none'\n"
    with pytest.raises(UsageError, match=r"^factors\.way: levels a and b are the same"):
        list_cells(read(small + factor))


def test_too_long_a_name_is_refused(read, small):
    factor = f"[factors.w]\noption = 'train.weights'\nlevels = ['{'a' * 130}', 'b']\n"
    with pytest.raises(UsageError, match="too long"):
        list_cells(read(small + factor))


def test_paths_hold_nothing_that_make_or_a_shell_reads(read, small):
    levels = """["ce+0.3*dice", "a b#c$d=%e:f'g\\\\h\\n;|&<>(){}[]~!?\\u00e9"]"""
    factor = f"[factors.augment]\noption = 'train.augment'\nlevels = {levels}\n"
    for cell in list_cells(read(small + factor)):
        for path in (cell.tiles, cell.model(0), cell.masks(1), cell.score, cell.seed_score(0)):
            assert re.fullmatch(r"[A-Za-z0-9/_.+@,-]+", path)


def test_cells_to_explain_must_be_there(read, small):
    after = "[after.explain]\nclass = '1'\ncells = ['encoder-vgg']\n"
    with pytest.raises(UsageError, match=r"^after\.explain\.cells: no cell is called encoder-vgg"):
        list_cells(read(small + after))


@pytest.mark.parametrize(
    ("option", "value", "own"),
    [
        ("tile.size", "64", "tiles model probs masks explanation shift"),
        ("split.folds", "2", "split model probs masks explanation shift"),
        ("train.lr", "0.1", "model probs masks explanation shift"),
        ("predict.tta", "'flips'", "probs masks"),
        ("stitch.blend", "'crop'", "masks"),
        ("score.objects", "['a']", ""),
        ("explain.quick", "true", "explanation"),
        ("domain-shift.scale", "2.0", "shift"),
    ],
)
def test_level_has_files_of_its_own_from_its_verb_on(read, small, option, value, own):
    more = f"[factors.x.levels]\none.{option} = {value}\ntwo.stitch.blend = 'other'\n"
    more += "[after.explain]\nclass = '1'\n[after.domain-shift]\ntarget = 'new'\n"
    base, *_, cell, _ = list_cells(read(small + more))
    assert cell.name == "phantoms/x-one"
    places = {name: getattr(cell, name) for name in ("tiles", "split", "explanation", "shift")}
    places |= {name: getattr(cell, name)(0) for name in ("model", "probs", "masks")}
    assert {name for name, place in places.items() if "x-one" in place} == {*own.split()}
    assert cell.score != base.score


def test_what_is_said_of_data_goes_before_the_base(read, small):
    base = list_cells(read(small.replace("folds = 4", "folds = 4\nsize = 96")))[0]
    assert base.options("tile") == {"size": 96}
