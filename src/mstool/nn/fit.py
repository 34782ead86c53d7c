"""The training loop: resumable at every step, the same whether interrupted or not."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mstool.errors import CheckFailed
from mstool.io.damage import reading
from mstool.io.records import Run
from mstool.labels.legend import IGNORE_INDEX
from mstool.nn.dataset import CropSet, derive_seed, epoch_batches
from mstool.nn.device import Compute
from mstool.nn.finetune import train_mode
from mstool.nn.fit_state import FitSettings, FitState, state_from
from mstool.nn.later import Later
from mstool.nn.masking import MaskedSet
from mstool.nn.model import Segmenter
from mstool.nn.optimizer import build_optimizer, moments_of, one_cycle, restore_moments
from mstool.nn.outlook import is_still_rising
from mstool.nn.pace import Pace
from mstool.nn.pixel_bank import PixelBank
from mstool.nn.pretrainer import Pretrainer
from mstool.nn.resume import load_tensors, save_tensors
from mstool.nn.team import ALONE, Team
from mstool.nn.threads import ThreadTrial
from mstool.nn.views import ViewSet
from mstool.nn.workers import batches_of, begin_worker, ending_workers
from mstool.reporting import Reporter

_SAVE_EVERY_S = 120.0
_PACE_KNOWN_AFTER = 10  # steps
_PATIENCE_WITH_LOSS = 8  # steps in a row without a finite loss, where a scaler leaves them out

Validate = Callable[[Segmenter], dict[str, Any]]


class Fit:
    """A training run.

    Parameters
    ----------
    segmenter : Segmenter or Pretrainer
        On the device; ends with the best weights. Its ``answer`` gives what the loss compares.
    crops : CropSet, PixelBank, MaskedSet or ViewSet
        Training crops, or features of pixels where `segmenter` is a head that reads them.
    loss : callable
        From `build_loss`, or that of a way to learn without labels.
    validate : callable or None
        Gives scores of a segmenter, ``mean_iou`` among them, which is NaN if no pixel is labelled.
        Without it, or without a score, the last weights are kept.
    settings : FitSettings
        How.
    compute : Compute
        Where.
    folder : Path
        For what is needed to go on.
    run : Run
        From whose start the budget counts.
    threads : ThreadTrial
        From `begin_trial`, which knows those of the unfinished run in `folder`.
    team : Team
        Processes that train it together, each with a share of every batch; the first one writes.
    validation_s : float
        What a validation is expected to take, which the budget leaves for the first one [s].
    """

    def __init__(
        self,
        segmenter: Segmenter | Pretrainer,
        crops: CropSet | PixelBank | MaskedSet | ViewSet,
        loss: Callable[..., torch.Tensor],
        validate: Validate | None,
        settings: FitSettings,
        compute: Compute,
        folder: Path,
        run: Run,
        threads: ThreadTrial,
        team: Team = ALONE,
        validation_s: float = 0.0,
    ):
        self.segmenter, self.crops, self.loss = segmenter, crops, loss
        self.validate, self.settings, self.compute = validate, settings, compute
        self.folder, self.threads, self.team = folder, threads, team
        self.answer = team.answering(segmenter)
        self.state = FitState()
        self.optimizer = build_optimizer(
            segmenter.network, settings.lr, settings.encoder_lr_factor, settings.weight_decay
        )
        self.scaler = torch.amp.GradScaler(
            compute.device.type, enabled=compute.dtype == torch.float16
        )
        self.mean_weights = _copy_weights(segmenter) if settings.ema else None
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.pace = Pace(settings, run, validate is not None, validation_s)
        self._saved = time.monotonic()
        self._losses: deque[tuple[Later, int]] = deque()  # and crops of steps not noted yet

    def run(self, report: Reporter, stop_requested: Callable[[], bool]) -> bool:
        """Train to the end, or until asked to stop.

        Parameters
        ----------
        report : Reporter
            Where progress goes.
        stop_requested : callable
            Asked after each step.

        Returns
        -------
        bool
            False if stopped before the end, with all saved that is needed to go on.
        """
        n_batches = len(epoch_batches(len(self.crops), self.settings.batch_size, 0, 0))
        total = n_batches * self.settings.epochs
        with report.progress("training", total) as advance, ending_workers():
            advance(self.state.n_steps)
            while not self.state.is_done:
                if not self._run_epoch(total, report, advance, stop_requested):
                    self.save()
                    self.team.wait()  # torchrun ends all when one ends
                    return False
                self._end_epoch(total, report)
        if self.best_weights is not None:
            self.segmenter.load_state_dict(self.best_weights)
        elif self.mean_weights is not None:
            self.segmenter.load_state_dict(self.mean_weights)
        return True

    def progress(self, total: int) -> float:
        """Share of the schedule that is done: of the steps, or of the budget if that is more."""
        share = self.state.n_steps / total
        if self.settings.max_time_s is None:
            return min(share, 1.0)
        return self.team.follow(self.pace.progress(self.state, share))

    def save(self) -> None:
        """Write what is needed to go on."""
        self._note_losses()
        self.pace.keep(self.state)
        self.state.scaler = self.scaler.state_dict()
        self.state.threads = asdict(self.threads)
        tensors = {"weights": self.segmenter.state_dict(), "optimizer": moments_of(self.optimizer)}
        if self.mean_weights is not None:
            tensors["mean"] = self.mean_weights
        if self.best_weights is not None:
            tensors["best"] = self.best_weights
        if self.team.is_first:
            save_tensors(self.folder, tensors, asdict(self.state))
        self._saved = time.monotonic()

    def spent(self) -> dict[str, float | None]:
        """Time and core-seconds [s] of all sessions, up to the last `save`, by key of a record."""
        core_s = self.state.core_s
        return {
            "train_s": round(self.state.elapsed_s, 1),
            "train_core_s": None if core_s is None else round(core_s, 1),
        }

    def resume(self) -> bool:
        """Go on where `save` left off; False if there is nothing to go on from."""
        loaded = load_tensors(self.folder)
        if loaded is None:
            return False
        tensors, state = loaded
        with reading(self.folder, "cannot go on from here", "use --overwrite"):
            self.state = state_from(state)
            names = {"weights"} | ({"mean"} if self.mean_weights is not None else set())
            names |= {"best"} if self.state.best_epoch is not None else set()
            for name in sorted(names):  # each of the whole network
                self.segmenter.load_state_dict(tensors[name])
            self.segmenter.load_state_dict(tensors["weights"])
            restore_moments(self.optimizer, tensors.get("optimizer", {}))
            self.mean_weights = self._to_device(tensors.get("mean"))
            self.best_weights = self._to_device(tensors.get("best"))
            if self.scaler.is_enabled():
                self.scaler.load_state_dict(self.state.scaler)
        return True

    def _run_epoch(
        self, total: int, report: Reporter, advance: Callable, stop_requested: Callable
    ) -> bool:
        state, settings = self.state, self.settings
        batches = epoch_batches(len(self.crops), settings.batch_size, settings.seed, state.epoch)
        train_mode(self.segmenter)
        started, n_done, first_step = time.monotonic(), 0, state.n_steps
        s_before = state.training_s
        batches = batches[state.step :]
        shares = [self.team.share(batch) for batch in batches]
        for batch, (images, labels) in zip(batches, self._load(shares), strict=True):
            progress = self.progress(total)
            if progress >= 1.0 and state.n_steps > 0:
                break  # the budget is spent: what is left of the epoch is left out
            self._time_step(images, labels, progress, report)
            n_done += len(batch)
            epoch_s = time.monotonic() - started
            state.training_s = s_before + epoch_s  # with the time that crops were waited for
            self.pace.step_s = epoch_s / (state.n_steps - first_step)
            rate = n_done / epoch_s
            score = "" if state.best_score is None else f", IoU {state.best_score:.3f}"
            loss = state.loss_sum / state.n_crops if state.n_crops else math.nan
            advance(1, f"loss {loss:.3f}{score}, {rate:.1f} images/s")
            if state.n_steps >= _PACE_KNOWN_AFTER:
                self._warn_of_short_budget(total, report)
            if self.team.most(int(stop_requested())):
                return False
            if time.monotonic() - self._saved > _SAVE_EVERY_S:
                self.save()
        return True

    def _time_step(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        progress: float,
        report: Reporter,
    ) -> None:
        self.threads.begin_step()
        started = time.monotonic()
        self._train_step(images, labels, progress)
        seconds = time.monotonic() - started
        if decision := self.threads.end_step(seconds):
            report.note(decision)

    def _train_step(self, images: torch.Tensor, labels: torch.Tensor, progress: float) -> None:
        """Learn from a share of a batch."""
        # where no pixel is labelled the loss is 0, which is no success
        (n_crops,) = self.team.total(np.array([_n_with_labels(labels)]))
        state, ranks = self.state, () if self.team.is_first else (self.team.rank,)
        torch.manual_seed(derive_seed(self.settings.seed, 1, state.n_steps, *ranks))  # for dropout
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest_lr"] * one_cycle(progress)
        labels = labels.to(self.compute.device, non_blocking=True)
        with self.compute.autocast():
            answer, truth = self.answer(self.compute.place_batch(images), labels)
        loss = self.loss(answer, truth)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(self.team.share_of_loss(loss)).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        state.step, state.n_steps = state.step + 1, state.n_steps + 1
        self._losses.append((Later(loss), int(n_crops)))
        self._note_losses(self.compute.n_ahead)
        self._average_weights()

    def _note_losses(self, n_left: int = 0) -> None:
        """Take note of the losses of steps, but for the last `n_left`."""
        while len(self._losses) > n_left:
            loss, n_crops = self._losses.popleft()
            self._note_loss(loss.read(), n_crops)

    def _note_loss(self, loss: float, n_crops: int) -> None:
        state = self.state
        if math.isfinite(loss):
            state.n_not_finite = 0
            state.loss_sum += loss * n_crops
            state.n_crops += n_crops
            return
        state.n_not_finite += 1
        # a scaler leaves such a step out, and a single one means little
        if not self.scaler.is_enabled() or state.n_not_finite >= _PATIENCE_WITH_LOSS:
            raise self._diverged("the loss is not a number")

    def _diverged(self, what: str) -> CheckFailed:
        return CheckFailed(
            f"{self.folder.parent}: {what} at step {self.state.n_steps}; use a lower --lr, or "
            "another loss, and --overwrite"
        )

    def _end_epoch(self, total: int, report: Reporter) -> None:
        state, settings = self.state, self.settings
        self._note_losses()
        if not _is_finite(self.segmenter):  # the running means of a step that was left out
            raise self._diverged("the weights are not numbers")
        is_last = state.epoch + 1 >= settings.epochs or self.progress(total) >= 1.0
        is_due = is_last or (state.epoch + 1) % settings.validate_every == 0
        row = {
            "epoch": state.epoch + 1,
            "step": state.n_steps,
            "lr": self.optimizer.param_groups[-1]["lr"],
            "train_loss": state.loss_sum / state.n_crops if state.n_crops else None,
        }
        if self.validate and is_due:
            row |= self._validate()
            is_last = is_last or self.progress(total) >= 1.0
        gave_up = 0 < settings.patience <= state.n_worse
        state.history.append(row | {"elapsed_s": round(self.pace.elapsed_s(state), 1)})
        self._warn_of_short_budget(total, report)
        state.is_done = is_last or gave_up
        outlook = "" if state.is_done else self.pace.outlook(state, total)
        report.note(_row_in_words(state.history[-1], settings.epochs) + outlook)
        state.epoch, state.step, state.loss_sum, state.n_crops = state.epoch + 1, 0, 0.0, 0
        if is_last and state.n_steps < total:
            self._say_what_the_budget_cost(report)
        if state.is_done or time.monotonic() - self._saved > _SAVE_EVERY_S:
            self.save()

    def _warn_of_short_budget(self, total: int, report: Reporter) -> None:
        if warning := self.pace.warning(self.state, total):
            is_slow = isinstance(self.crops, CropSet)
            report.note(warning + (", or use --arch pixel-classifier" if is_slow else ""))

    def _say_what_the_budget_cost(self, report: Reporter) -> None:
        n_epochs = self.settings.epochs
        if n_left := n_epochs - self.state.epoch:
            report.note(f"--max-time left out {n_left} of {n_epochs} epochs")
        if is_still_rising(self.state.history):
            report.note(
                "the validation score was still improving; give it more time, or go on with "
                f"--weights {self.folder.parent / 'model.safetensors'} and another --out"
            )

    def _validate(self) -> dict[str, Any]:
        state, started = self.state, time.monotonic()
        trained = _copy_weights(self.segmenter)
        if self.mean_weights is not None:
            self.segmenter.load_state_dict(self.mean_weights)
        self.segmenter.eval()
        scores = self.validate(self.segmenter)
        score = scores["mean_iou"]
        if math.isnan(score):
            pass  # no pixel to validate on is neither a gain nor a loss
        elif state.best_score is None or score > state.best_score:
            state.best_score, state.best_epoch, state.n_worse = score, state.epoch + 1, 0
            self.best_weights = _copy_weights(self.segmenter)
        else:
            state.n_worse += 1
        self.segmenter.load_state_dict(trained)
        state.validation_s += time.monotonic() - started
        state.n_validations += 1
        return {f"val_{key}": value for key, value in scores.items()}

    def _load(self, batches: list[list[tuple[int, int]]]) -> Iterable:
        loader = torch.utils.data.DataLoader(
            self.crops,
            batch_sampler=batches,
            num_workers=self.settings.workers,
            pin_memory=self.compute.device.type == "cuda",
            worker_init_fn=begin_worker,
        )
        return batches_of(loader, self.settings.workers)

    def _average_weights(self) -> None:
        if self.mean_weights is None:
            return
        n = self.state.n_steps
        decay = min(self.settings.ema, n / (n + 9))  # quick at first, when all is new
        means, now = [], []
        for name, tensor in self.segmenter.state_dict().items():
            if tensor.is_floating_point():
                means.append(self.mean_weights[name])
                now.append(tensor)
            else:
                self.mean_weights[name].copy_(tensor)
        torch._foreach_lerp_(means, now, 1 - decay)

    def _to_device(self, weights: dict[str, torch.Tensor] | None) -> dict | None:
        device = self.compute.device
        return weights and {name: tensor.to(device) for name, tensor in weights.items()}


def _n_with_labels(labels: torch.Tensor) -> int:
    """Crops (N, ...), on the CPU, that show a pixel which is not ignored."""
    return np.count_nonzero((labels != IGNORE_INDEX).flatten(1).any(dim=1).numpy())


def _is_finite(module: nn.Module) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in module.state_dict().values())


def _copy_weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _row_in_words(row: dict[str, Any], epochs: int) -> str:
    words = [f"epoch {row['epoch']}/{epochs}"]
    if row["train_loss"] is not None:
        words.append(f"loss {row['train_loss']:.4f}")
    score = row.get("val_mean_iou")
    if score is not None:
        is_defined = not math.isnan(score)
        words.append(f"validation mean IoU {score:.4f}" if is_defined else "nothing to validate on")
    return ", ".join([*words, f"{row['elapsed_s']:.0f} s"])
