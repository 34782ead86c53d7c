"""What a part costs says what the whole costs."""

import pytest

from mstool.design.cells import list_cells
from mstool.design.costs import Cost, extend, kinds_of
from mstool.design.jobs import list_jobs


def test_more_of_the_same_begins_but_once():
    assert Cost(5.0, 100).times(3, start_s=2.0) == Cost(11.0, 300)
    assert Cost(1.0, 100).times(3, start_s=2.0) == Cost(2.0, 300)  # measured with noise


def test_epochs_are_added_to_what_a_training_takes_besides():
    assert extend(Cost(5.0, 10), Cost(9.0, 12), 3, 40) == Cost(9.0 + 37 * 2.0, 12)
    assert extend(Cost(5.0, 10), Cost(4.0, 10), 3, 40) == Cost(5.0, 10)  # by chance


@pytest.fixture
def kinds(read, small):
    plan = read(small)
    jobs = list_jobs(plan, list_cells(plan))
    network = {"depth": 4, "width": 32, "padding": "same", "decoder_channels": None}
    trainings = {
        job.target: {
            **network,
            "arch": "unet",
            "encoder": "vgg" if "vgg" in job.target else "lite",
            "features": None,
            "test_fold": "all",
            "fit": {"epochs": 12, "seed": int("seed-1" in job.target)},
        }
        for job in jobs
        if job.stage == "train"
    }
    return kinds_of(jobs, trainings)


def test_seeds_are_of_one_kind_and_networks_are_not(kinds):
    place = "phantoms/{}/seed-{}"
    for folder, record in (("models", "cv.json"), ("probs", "predict.json")):
        base, again, other = (
            kinds[f"{folder}/{place.format(cell, seed)}/{record}"]
            for cell, seed in (("base", 0), ("base", 1), ("encoder-tu-vgg16", 0))
        )
        assert base == again != other


def test_masks_of_all_networks_are_of_one_kind_and_blends_are_not(kinds):
    base, encoder, blended, small = (
        kinds[f"masks/phantoms/{cell}/seed-0/stitch.json"]
        for cell in ("base", "encoder-tu-vgg16", "context-blended", "context-small")
    )
    assert base == encoder
    assert len({base, blended, small}) == 3


def test_scores_of_one_run_and_of_two_are_of_two_kinds(kinds):
    base, encoder = (f"scores/phantoms/{cell}" for cell in ("base", "encoder-tu-vgg16"))
    assert kinds[f"{base}/seed-0.json"] == kinds[f"{encoder}/seed-1.json"]
    assert kinds[f"{base}.json"] == kinds[f"{encoder}.json"] != kinds[f"{base}/seed-0.json"]


def test_trainings_on_other_splits_are_of_two_kinds(read, small):
    factor = "[factors.folds]\noption = 'split.folds'\nlevels = [4, 2]\n"
    plan = read(small + factor)
    jobs = [job for job in list_jobs(plan, list_cells(plan)) if job.stage == "train"]
    kinds = kinds_of(jobs, {job.target: {"fit": {"seed": 0}} for job in jobs})
    base, folds = (kinds[f"models/phantoms/{cell}/seed-0/cv.json"] for cell in ("base", "folds-2"))
    assert base != folds


def test_trainings_of_other_lengths_are_of_two_kinds(read, small):
    plan = read(small)
    jobs = [job for job in list_jobs(plan, list_cells(plan)) if job.stage == "train"]
    one, two, *_ = (job.target for job in jobs)
    fits = {job.target: {"fit": {"seed": 0, "epochs": 9}} for job in jobs}
    fits[two] = {"fit": {"seed": 1, "epochs": 12}}
    assert kinds_of(jobs, fits)[one] != kinds_of(jobs, fits)[two]
