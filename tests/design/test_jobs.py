"""Each artefact is made once, by one command, after what it needs."""

import pytest

from mstool.design.cells import list_cells
from mstool.design.jobs import list_inputs, list_jobs
from mstool.errors import UsageError

DESIGN = "seeds = [0, 1]"


def jobs_of(plan, **more):
    return list_jobs(plan, list_cells(plan), **more)


def calls(jobs, stage):
    return [" ".join(job.argv) for job in jobs if job.stage == stage]


def test_shared_artefacts_are_made_once(read, small):
    jobs = jobs_of(read(small))
    targets = [job.target for job in jobs]
    assert len({*targets}) == len(targets)
    counts = {stage: len(calls(jobs, stage)) for stage in dict.fromkeys(job.stage for job in jobs)}
    # context-blended has the models of the base; two seeds, and one score more for both
    assert counts == {"tile": 2, "split": 1, "train": 6, "predict": 6, "stitch": 8, "score": 12}


def test_jobs_come_after_what_they_need(read, small):
    jobs = jobs_of(read(small))
    made = {job.target for job in jobs}
    done = {"phantom/images", "phantom/labels"}
    assert {*list_inputs(jobs)} == done
    for job in jobs:
        assert {*job.needs} <= done
        done.add(job.target)
    assert made < done


def test_chain_of_a_cell_is_what_a_person_would_type(read, small):
    jobs = jobs_of(read(small.replace(DESIGN, "seeds = [3]")))
    place = "phantoms/base/seed-3"
    assert [calls(jobs, stage)[0] for stage in ("tile", "split", "train")] == [
        "tile phantom/images --labels phantom/labels --size 256 -o tiles/phantoms/base",
        "split tiles/phantoms/base --folds 4 -o splits/phantoms/base.csv",
        "train tiles/phantoms/base --split splits/phantoms/base.csv --test-fold all --seed 3 "
        f"--epochs 12 --encoder efficientnet-lite0 -o models/{place}",
    ]
    assert [calls(jobs, stage)[0] for stage in ("predict", "stitch", "score")] == [
        f"predict tiles/phantoms/base --model models/{place} --select out-of-fold -o probs/{place}",
        f"stitch probs/{place} -o masks/{place}",
        f"score masks/{place} phantom/labels --probs probs/{place} -o scores/phantoms/base.json",
    ]


def test_chosen_fold_is_trained_and_tested_by_itself(read, small):
    jobs = jobs_of(read(small.replace(DESIGN, "folds = [2]")))
    model, masks = "models/phantoms/base/seed-0", "masks/phantoms/base/seed-0"
    assert calls(jobs, "train")[0].endswith(f"--encoder efficientnet-lite0 -o {model}/fold-2")
    assert "--test-fold 2" in calls(jobs, "train")[0]
    assert f"--model {model}/fold-2 --select test" in calls(jobs, "predict")[0]
    assert calls(jobs, "score")[0].startswith(f"score {masks}/fold-2 phantom/labels --probs")


def test_tiles_that_training_leaves_out_are_predicted(read, small):
    left_out = "[base.tile]\ndiscard-ignored = 0.1\n"
    jobs = jobs_of(read(small.replace("[base.tile]\n", left_out).replace(DESIGN, "seeds = [3]")))
    tiles = "tiles/phantoms/base"
    cut = "tile phantom/images --labels phantom/labels"
    assert calls(jobs, "tile")[:2] == [
        f"{cut} --discard-ignored 0.1 --size 256 -o {tiles}",
        f"{cut} --size 256 -o {tiles}-whole",
    ]
    assert calls(jobs, "split")[0].startswith(f"split {tiles} ")
    assert calls(jobs, "train")[0].startswith(f"train {tiles} ")
    predict = next(job for job in jobs if job.stage == "predict")
    assert predict.argv[1] == f"{tiles}-whole"
    assert f"{tiles}-whole/tiles.json" in predict.needs


def test_seeds_are_scored_alone_and_together(read, small):
    scores = calls(jobs_of(read(small)), "score")
    masks = "masks/phantoms/base/seed"
    assert scores[0].startswith(
        f"score {masks}-0 phantom/labels --probs probs/phantoms/base/seed-0"
    )
    assert scores[2].startswith(
        f"score {masks}-0 {masks}-1 phantom/labels -o scores/phantoms/base."
    )


def test_all_cells_have_the_split_of_the_base_even_if_it_is_no_cell(read, small):
    plan = read(small.replace(DESIGN, "design = 'factorial'"))
    jobs = jobs_of(plan)
    assert calls(jobs, "split") == [
        "split tiles/phantoms/base --folds 4 -o splits/phantoms/base.csv"
    ]
    assert any("-o tiles/phantoms/base" in call for call in calls(jobs, "tile"))


def test_a_factor_of_the_split_has_splits_of_its_own(read, small):
    factor = "[factors.folds]\noption = 'split.folds'\nlevels = [4, 2]\n"
    jobs = jobs_of(read(small + factor))
    assert [job.target for job in jobs if job.stage == "split"] == [
        "splits/phantoms/base.csv",
        "splits/phantoms/folds-2.csv",
    ]


def test_a_split_of_the_user_is_needed_and_not_made(read, small):
    jobs = jobs_of(read(small.replace("folds = 4", "split = 'my folds.csv'")))
    assert calls(jobs, "split") == []
    train = next(job for job in jobs if job.stage == "train")
    assert train.needs == ("tiles/phantoms/base/tiles.json", "my folds.csv")


def test_what_is_said_of_reading_reaches_all_readers(read, small):
    more = "folds = 4\nlabel-suffix = '_m'\ngroup-by = '(..)'\nlegend = 'l.toml'"
    after = """
    [after.explain]
    class = "1"
    quick = true
    cells = ["base"]
    [after.domain-shift]
    target = "-new"
    fold = 2
    """
    jobs = jobs_of(read(small.replace("folds = 4", more) + after), files={"l.toml"})
    reading = "--label-suffix _m --group-by (..)"
    assert reading in calls(jobs, "tile")[0]
    assert reading in calls(jobs, "score")[0]
    assert calls(jobs, "explain") == [
        "explain phantom/images --labels phantom/labels --model models/phantoms/base/seed-0/fold-0 "
        "--legend l.toml --class 1 --quick -o explain/phantoms/base"
    ]
    shift = calls(jobs, "domain-shift")
    assert len(shift) == 3  # context-blended has the models of the base
    assert shift[0].startswith("domain-shift phantom/images ./-new --model models/phantoms/base/")
    assert "seed-0/fold-2 --source-labels phantom/labels" in shift[0]
    assert "l.toml" in next(job for job in jobs if job.stage == "tile").needs


def test_options_are_typed_as_a_shell_would(read, small):
    more = "crop = 64\nallow-leak = true\nlr = 0.001\n[base.score]\nobjects = ['a', 'b c']\n"
    jobs = jobs_of(
        read(small.replace("epochs = 12\n", "").replace("[factors.enc", more + "[factors.enc", 1))
    )
    assert "--crop 64 --allow-leak --lr 0.001 -o" in calls(jobs, "train")[0]
    assert jobs[-1].argv[-6:-2] == ("--objects", "a", "--objects", "b c")


def test_fold_without_a_model_cannot_be_explained(read, small):
    after = "[after.explain]\nclass = '1'\nfold = 3\n"
    with pytest.raises(UsageError, match="fold 3 is none of study"):
        jobs_of(read(small.replace(DESIGN, "folds = [0]") + after))


def test_masks_are_scored_against_one_folder_of_labels(read, small):
    several = small.replace('"phantom/labels"', '["la", "lb"]')
    with pytest.raises(UsageError, match=r"^data\.phantoms: has several folders of labels"):
        jobs_of(read(several))
    jobs = jobs_of(read(several.replace("folds = 4", "folds = 4\ntruth = 'lt'")))
    assert "--labels la --labels lb" in calls(jobs, "tile")[0]
    assert calls(jobs, "score")[0].split()[2] == "lt"
    assert (
        "score masks/phantoms/base/seed-0 la"
        in calls(jobs_of(read(small.replace('"phantom/labels"', '["la"]'))), "score")[0]
    )


def test_two_commands_for_one_file_are_refused(read, small):
    factors = "[factors.lr]\noption = 'train.lr'\nlevels = ['a b', 'a-b']\n"
    cells = "[[cell]]\nlr = 'a b'\n[[cell]]\nlr = 'a-b'\ncontext = 'blended'\n"
    plan = read(small.replace(DESIGN, "design = 'list'") + factors + cells)
    with pytest.raises(UsageError, match="would write models/phantoms/lr-a-b/seed-0 with other"):
        jobs_of(plan)


def test_first_words_of_reading_reach_all_readers_too(read, small):
    more = "folds = 4\nrecursive = true\nimage-suffix = '_i'\n"
    jobs = jobs_of(read(small.replace("folds = 4", more) + "[after.explain]\nclass = '1'\n"))
    assert "--recursive --image-suffix _i" in calls(jobs, "explain")[0]
    assert "--image-suffix _i" in calls(jobs, "score")[0]
    assert "--recursive" not in calls(jobs, "score")[0]  # which has no such option
