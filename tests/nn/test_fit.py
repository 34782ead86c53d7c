"""The training loop, on one tile of two greys."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mstool.errors import CheckFailed
from mstool.io.records import Run
from mstool.io.tiles import Tile
from mstool.nn import fit as fit_module
from mstool.nn.augment import PRESETS
from mstool.nn.dataset import CropSet, TileStore, fit_normalisation
from mstool.nn.device import Compute
from mstool.nn.fit import Fit
from mstool.nn.fit_state import FitSettings
from mstool.nn.losses import build_loss
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.resume import load_tensors, read_state, save_tensors
from mstool.nn.threads import ThreadTrial
from mstool.reporting import Reporter

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def make_fit(tmp_path):
    """Callable that makes a `Fit` of one step a tile and epoch on the CPU."""
    labels = np.repeat(np.array([[0, 1]], np.uint8), 16, 0).repeat(8, 1)
    tile = Tile("t", "a.tif", "a", 0, 0, 16, 16)

    def make(loss=None, validate=None, threads=None, n_tiles=1, validation_s=0.0, **settings):
        decode = lambda _: (labels * np.uint8(90) + np.uint8(80), labels)  # noqa: E731
        store = TileStore([tile] * n_tiles, decode)
        normalisation = fit_normalisation(store, Path("tiles"))
        crops = CropSet(store, 16, PRESETS["none"], normalisation, 0)
        torch.manual_seed(0)
        segmenter = build_segmenter(
            ModelSpec("unet-plain", None, 1, 2, 2, 2), normalisation.mean, normalisation.std
        )
        chosen = {
            "epochs": 20,
            "batch_size": 1,
            "lr": 0.01,
            "encoder_lr_factor": 1.0,
            "weight_decay": 0.0,
            "ema": 0.9,
            "patience": 0,
            "validate_every": 1,
            "max_time_s": None,
            "workers": 0,
            "seed": 0,
        }
        return Fit(
            segmenter,
            crops,
            loss or build_loss("ce"),
            validate,
            FitSettings(**chosen | settings),
            Compute(torch.device("cpu"), torch.float32),
            tmp_path / "model" / "resume",
            Run(clock=0.0),
            threads or ThreadTrial(1),
            validation_s=validation_s,
        )

    return make


def never():
    return False


def spoil(steps, value=NAN):
    """Loss that is not finite in some steps, counted from 1."""
    plain, n_calls = build_loss("ce"), 0

    def loss(logits, labels):
        nonlocal n_calls
        n_calls += 1
        return plain(logits, labels) + (value * logits.sum() if n_calls in steps else 0)

    return loss


def scaled(fit):
    """The same run as under float16: steps whose gradients are not finite are left out."""
    fit.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    return fit


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_loss_that_stays_not_finite_ends_the_run_though_the_scaler_hides_it(make_fit, value):
    fit = scaled(make_fit(spoil(range(3, 100), value)))
    with pytest.raises(CheckFailed, match="model: the loss is not a number at step 10;"):
        fit.run(Reporter(), never)
    assert fit.state.n_steps == 10  # the eighth in a row


def test_losses_that_are_not_finite_now_and_then_are_left_out_under_the_scaler(make_fit):
    bad = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]
    fit = scaled(make_fit(spoil(bad)))
    assert fit.run(Reporter(), never)
    losses = [row["train_loss"] for row in fit.state.history]
    assert [step for step, loss in enumerate(losses, 1) if loss is None] == bad
    assert losses[-1] < losses[7]
    assert all(torch.isfinite(tensor).all() for tensor in fit.segmenter.state_dict().values())


def test_without_a_scaler_the_first_loss_that_is_not_finite_ends_the_run(make_fit):
    with pytest.raises(CheckFailed, match="at step 2;"):
        make_fit(spoil([2])).run(Reporter(), never)


def test_steps_in_a_row_are_counted_across_an_interruption(make_fit):
    fit = scaled(make_fit(spoil(range(1, 100))))
    assert not fit.run(Reporter(), iter([False, False, False, False, True]).__next__)
    again = scaled(make_fit(spoil(range(1, 100))))
    assert again.resume()
    with pytest.raises(CheckFailed, match="at step 8;"):
        again.run(Reporter(), never)


def test_time_and_core_seconds_of_all_sessions_add_up(make_fit):
    fit = make_fit(epochs=3)
    assert not fit.run(Reporter(), iter([False, True]).__next__)
    fit.state.elapsed_s, fit.state.core_s = 1e6, 1e5
    fit.save()
    again = make_fit(epochs=3)
    before = again.spent()
    assert again.resume()
    assert again.run(Reporter(), never)
    assert before == {"train_s": 0.0, "train_core_s": 0.0}
    assert again.state.elapsed_s > 1e6
    assert 1e5 < again.state.core_s < 1e5 + 600
    assert again.spent()["train_core_s"] == round(again.state.core_s, 1)


def test_sessions_of_versions_that_kept_no_core_seconds_are_gone_on_from(make_fit):
    fit = make_fit(epochs=3)
    assert not fit.run(Reporter(), iter([False, True]).__next__)
    tensors, state = load_tensors(fit.folder)
    save_tensors(fit.folder, tensors, {k: v for k, v in state.items() if k != "core_s"})
    again = make_fit(epochs=3)
    assert again.resume()
    assert again.run(Reporter(), never)
    assert again.state.core_s > 0


def test_running_means_that_are_not_finite_end_the_run(make_fit):
    """One overflow on the way forward stays in them, though all later losses are finite."""
    fit = scaled(make_fit(epochs=2))
    norm = next(m for m in fit.segmenter.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_var[0] = INF
    with pytest.raises(CheckFailed, match="model: the weights are not numbers at step 1;"):
        fit.run(Reporter(), never)


@pytest.mark.parametrize("n_labelled", [2, 1, 0])
def test_crops_without_a_label_do_not_make_the_loss_look_small(make_fit, n_labelled):
    class Crops(CropSet):
        def __getitem__(self, place):
            image, labels = super().__getitem__(place)
            return image, labels if place[1] < n_labelled else labels * 0 + 255

    fit = make_fit(n_tiles=2, epochs=1, lr=1e-9, ema=0)
    fit.crops.__class__ = Crops
    fit.run(Reporter(), never)
    image, labels = CropSet.__getitem__(fit.crops, (0, 0))
    loss = build_loss("ce")(fit.segmenter.train()(image[None]), labels[None])
    told = fit.state.history[0]["train_loss"]
    assert told == (pytest.approx(loss.item(), rel=1e-4) if n_labelled else None)


def test_validation_without_a_labelled_pixel_is_not_called_a_score(make_fit, capsys):
    fit = make_fit(validate=lambda _: {"mean_iou": NAN}, epochs=3, patience=1)
    assert fit.run(Reporter("train", 0), never)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3  # patience waits for scores
    assert all("nothing to validate on" in line for line in lines)
    assert (fit.state.best_score, fit.state.best_epoch) == (None, None)
    kept = fit.segmenter.state_dict()
    assert all(torch.equal(kept[name], mean) for name, mean in fit.mean_weights.items())


def test_weights_of_the_best_validation_are_kept(make_fit):
    scores = iter([0.2, 0.6, 0.4])
    seen = []

    def validate(segmenter):
        seen.append({name: tensor.clone() for name, tensor in segmenter.state_dict().items()})
        return {"mean_iou": next(scores)}

    fit = make_fit(validate=validate, epochs=3)
    assert fit.run(Reporter(), never)
    assert (fit.state.best_score, fit.state.best_epoch) == (0.6, 2)
    kept = fit.segmenter.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in seen[1].items())
    assert not all(torch.equal(kept[name], tensor) for name, tensor in seen[2].items())


@pytest.fixture
def clock(monkeypatch):
    """A clock of the training loop that gains 0.1 s with each reading."""
    readings = itertools.count(0.0, 0.1)
    monkeypatch.setattr(fit_module.time, "monotonic", lambda: next(readings))


def notes_of(fit, capsys):
    assert fit.run(Reporter("train", 0), never)
    return capsys.readouterr().err.splitlines()


def score_by_rank(scores):
    """Validation that gives one score after another, and the last again and again."""
    scores = iter([*scores[:-1], *itertools.repeat(scores[-1], 1000)])
    return lambda _: {"mean_iou": next(scores)}


def test_time_that_is_left_is_told_once_after_the_first_epoch(make_fit, clock, capsys):
    lines = notes_of(make_fit(validate=score_by_rank([0.5]), epochs=4), capsys)
    assert re.search(r"epoch 1/4, .* s; about \d+ s more$", lines[0])
    assert not any("about" in line for line in lines[1:])
    (only,) = notes_of(make_fit(epochs=1), capsys)
    assert "about" not in only


def test_time_that_is_left_is_told_again_after_an_interruption(make_fit, capsys):
    fit = make_fit(epochs=4)
    assert not fit.run(Reporter(), iter([False, True]).__next__)
    again = make_fit(epochs=4)
    assert again.resume()
    # all of the second epoch was done before, and tells nothing of the pace
    assert ["about" in line for line in notes_of(again, capsys)] == [False, True, False]


def test_time_of_validations_that_are_not_timed_yet_is_left_open(make_fit, capsys):
    scores = score_by_rank([0.5, 0.4])
    first, *_ = notes_of(make_fit(validate=scores, epochs=4, validate_every=2), capsys)
    assert first.endswith(" more, and validations, of which none is timed yet")


def test_training_that_is_told_to_end_says_no_time(make_fit, capsys):
    scores = score_by_rank([0.5, 0.4])
    lines = notes_of(make_fit(validate=scores, epochs=9, validate_every=1, patience=1), capsys)
    assert ["about" in line for line in lines] == [True, False]


def test_schedule_follows_the_budget_where_crops_take_longer_than_steps(make_fit, monkeypatch):
    now, plain, cut = [0.0], build_loss("ce"), CropSet.__getitem__

    def take(seconds, function):
        def slow(*given):
            now[0] += seconds
            return function(*given)

        return slow

    monkeypatch.setattr(fit_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(CropSet, "__getitem__", take(0.3, cut))
    fit = make_fit(take(0.1, plain), n_tiles=5, epochs=1000, max_time_s=20.0)
    found, progress = [], fit.progress
    fit.progress = lambda total: found.append((now[0] / 20, progress(total))) or found[-1][1]
    assert fit.run(Reporter(), never)
    spent, done = np.array(found[5:]).T  # the first step cannot know
    assert np.abs(spent - done).max() < 0.05


def test_budget_leaves_time_for_the_only_validation(make_fit, monkeypatch):
    now, plain = [0.0], build_loss("ce")

    def take(seconds, given):
        now[0] += seconds
        return given

    monkeypatch.setattr(fit_module.time, "monotonic", lambda: now[0])
    fit = make_fit(
        lambda *given: take(0.1, plain(*given)),
        lambda _: take(5.0, {"mean_iou": 0.5}),
        epochs=1000,
        validate_every=1000,
        max_time_s=20.0,
        validation_s=5.5,
    )
    assert fit.run(Reporter(), never)
    assert 19 < now[0] <= 20
    assert fit.state.n_validations == 1


@pytest.mark.parametrize(("epochs", "is_short"), [(24, False), (50, False), (400, True)])
def test_budget_for_less_than_a_third_of_the_steps_is_warned_of_once(
    make_fit, clock, capsys, epochs, is_short
):
    lines = notes_of(make_fit(epochs=epochs, max_time_s=12.0), capsys)
    warnings = [line for line in lines if "warning" in line]
    assert len(warnings) == is_short
    if is_short:
        n_told = int(re.search(r"--max-time leaves about (\d+) of 400 planned", warnings[0])[1])
        n_left = int(re.search(r"left out (\d+) of", lines[-1])[1])
        assert 0.5 < n_told / (400 - n_left) < 2.5
        assert "use --arch pixel-classifier" in warnings[0]
        assert lines.index(warnings[0]) == 0
        assert int(re.search(r"about (\d+) s more", lines[1])[1]) <= 12


def test_short_budget_is_warned_of_before_the_first_epoch_ends(make_fit, clock, capsys):
    fit = make_fit(n_tiles=100, epochs=10, max_time_s=30.0)
    n_steps = iter(range(1, 100))
    assert not fit.run(Reporter("train", 0), lambda: next(n_steps) == 15)
    (line,) = capsys.readouterr().err.splitlines()
    assert "warning: --max-time leaves about" in line


@pytest.mark.parametrize(
    ("scores", "max_time_s", "is_rising"),
    [([0.1, 0.5, 0.9], 3.0, True), ([0.5, 0.5, 0.5], 3.0, False), ([0.1, 0.5, 0.9], None, False)],
)
def test_score_that_still_rises_when_the_time_is_up_is_said(
    make_fit, clock, capsys, scores, max_time_s, is_rising
):
    rising = score_by_rank(list(np.linspace(scores[0], scores[-1], 12)))
    lines = notes_of(make_fit(validate=rising, epochs=10, max_time_s=max_time_s), capsys)
    said = [line for line in lines if "was still improving; give it more time, or go on" in line]
    assert len(said) == is_rising
    assert all(line.endswith("model.safetensors and another --out") for line in said)


def test_trial_of_threads_is_kept_and_goes_on(make_fit, capsys):
    n_before = torch.get_num_threads()
    used, plain = [], build_loss("ce")

    def loss(logits, labels):
        used.append(torch.get_num_threads())
        return plain(logits, labels)

    torch.set_num_threads(2)
    fit = make_fit(loss, threads=ThreadTrial(2, is_over=False))
    assert not fit.run(Reporter(), iter([False, False, True]).__next__)
    kept = read_state(fit.folder)["threads"]
    assert [len(kept[name]) for name in ("many_s", "one_s")] == [2, 1]
    assert used == [2, 1, 2]
    again = make_fit(threads=ThreadTrial(**read_state(fit.folder)["threads"]))
    assert again.resume()
    lines = notes_of(again, capsys)
    torch.set_num_threads(n_before)
    assert again.threads.is_over
    assert again.threads.many_s[:2] == kept["many_s"]
    assert sum("threads and" in line for line in lines) == 1


def test_weights_after_each_step_are_averaged(make_fit):
    fit = make_fit(epochs=3, ema=0.5)
    expected = {name: tensor.clone() for name, tensor in fit.mean_weights.items()}
    step = fit._train_step

    def follow(*arguments):
        step(*arguments)
        n = fit.state.n_steps
        for name, now in fit.segmenter.state_dict().items():
            decay = min(0.5, n / (n + 9)) if now.is_floating_point() else 0.0
            expected[name] = (decay * expected[name] + (1 - decay) * now).to(now.dtype)

    fit._train_step = follow
    assert fit.run(Reporter(), never)
    for name, kept in fit.segmenter.state_dict().items():
        torch.testing.assert_close(kept, expected[name])


def test_steps_are_those_of_adamw_whatever_the_order_in_memory(make_fit):
    fit = make_fit(weight_decay=0.1)
    fit.compute.place(fit.segmenter)
    plain = make_fit(weight_decay=0.1)
    groups = [dict(group) for group in plain.optimizer.param_groups]
    plain.optimizer = torch.optim.AdamW(groups, fused=False, foreach=False)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        images = torch.rand(2, 1, 16, 16, generator=generator)
        labels = torch.randint(0, 2, (2, 16, 16), generator=generator)
        for one in (fit, plain):
            one._train_step(images, labels, 0.5)
    for ours, theirs in zip(fit.segmenter.parameters(), plain.segmenter.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_moments_that_were_saved_go_on_in_the_order_of_the_weights(make_fit):
    whole, stopped, resumed = (make_fit() for _ in range(3))
    images, labels = torch.rand(2, 1, 16, 16), torch.randint(0, 2, (2, 16, 16))
    for fit in (whole, stopped, resumed):
        fit.compute.place(fit.segmenter)
    for fit in (whole, stopped):
        fit._train_step(images, labels, 0.5)
    stopped.save()
    assert resumed.resume()
    for fit in (whole, resumed):
        fit._train_step(images, labels, 0.5)
    after = resumed.segmenter.state_dict()
    assert all(torch.equal(after[name], t) for name, t in whole.segmenter.state_dict().items())


def test_losses_that_a_gpu_gives_a_step_later_are_all_noted(make_fit, monkeypatch):
    plain = make_fit(epochs=3, n_tiles=4)
    assert plain.run(Reporter(), never)
    monkeypatch.setattr(Compute, "n_ahead", 1)
    late = make_fit(epochs=3, n_tiles=4)
    assert late.run(Reporter(), never)
    one, other = ([row["train_loss"] for row in fit.state.history] for fit in (plain, late))
    assert one == other


def test_a_loss_that_is_still_to_come_is_in_what_is_saved(make_fit, monkeypatch):
    monkeypatch.setattr(Compute, "n_ahead", 1)
    fit = make_fit(n_tiles=4)
    assert not fit.run(Reporter(), lambda: True)
    assert read_state(fit.folder)["n_crops"] == 1


def test_the_last_loss_of_an_epoch_can_end_the_run_too(make_fit, monkeypatch):
    monkeypatch.setattr(Compute, "n_ahead", 1)
    fit = make_fit(spoil([1]), epochs=1)
    with pytest.raises(CheckFailed, match="the loss is not a number at step 1;"):
        fit.run(Reporter(), never)


def test_a_step_on_a_gpu_is_not_waited_for(make_fit, monkeypatch, waits):
    monkeypatch.setattr(Compute, "n_ahead", 1)
    fit = make_fit()
    image, labels = fit.crops[0, 0]
    labels[:3] = 255
    with waits:
        fit._train_step(image[None], labels[None], 0.5)
    assert waits.found == []
