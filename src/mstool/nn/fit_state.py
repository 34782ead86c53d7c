"""How to train, and where training stands."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mstool.errors import UsageError
from mstool.io.plain import check_values
from mstool.nn.threads import ThreadTrial


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes
    ----------
    epochs : int
        Passes over the tiles.
    batch_size : int
        Crops a step.
    lr : float
        Highest learning rate of the decoder.
    encoder_lr_factor : float
        Times `lr` for the encoder.
    weight_decay : float
        Of AdamW.
    ema : float
        Decay a step of the running mean of weights that is validated and kept; 0 for none.
    patience : int
        Validations without gain after which to stop; 0 for never.
    validate_every : int
        Epochs between validations; the last epoch always has one.
    max_time_s : float or None
        Budget to which the schedule is fitted [s].
    workers : int
        Processes that cut crops; 0 for none but this one.
    seed : int
        Source of all chance.
    """

    epochs: int
    batch_size: int
    lr: float
    encoder_lr_factor: float
    weight_decay: float
    ema: float
    patience: int
    validate_every: int
    max_time_s: float | None
    workers: int
    seed: int

    def __post_init__(self):
        """Refuse a learning rate with which nothing is learnt."""
        if not 0 < self.lr < 10:
            raise UsageError(f"--lr {self.lr:g}: must be above 0 and below 10")


def describe_settings(settings: Any) -> dict[str, Any]:
    """All settings that decide the weights, of a dataclass whose field ``fit`` is `FitSettings`.

    How many processes help does not. Threads decide their rounding, so those of an unfinished
    training are kept beside its weights.
    """
    record = asdict(settings)
    del record["fit"]["workers"], record["threads"]
    return record


@dataclass
class FitState:
    """Where training stands: numbers that go to JSON.

    Attributes
    ----------
    epoch, step : int
        Epoch under way, and batches of it that are done.
    n_steps : int
        Optimiser updates so far.
    loss_sum, n_crops : float, int
        Of the epoch under way, without steps whose loss is not finite, and without crops that show
        no labelled pixel.
    n_not_finite : int
        Steps in a row, up to now, whose loss is not finite.
    best_score, best_epoch : float, int, or None
        Highest validation mean IoU so far and where; None before there is one.
    n_worse : int
        Validations since then.
    elapsed_s : float
        Time spent in earlier sessions [s].
    core_s : float or None
        Time spent on CPUs in earlier sessions [s]; None where the system does not tell.
    training_s, validation_s : float
        Time spent in epochs, loading of crops included, and in validations [s].
    n_validations : int
        Validations so far.
    scaler : dict
        State of the gradient scaler (float16 only).
    threads : dict
        Fields of the `ThreadTrial`.
    n_views : int or None
        Times that each tile was looked at for a `PixelBank`, so that the same is filled again.
    is_done : bool
        Whether the last epoch, or the budget, is reached.
    history : list of dict
        One row an epoch.
    """

    epoch: int = 0
    step: int = 0
    n_steps: int = 0
    loss_sum: float = 0.0
    n_crops: int = 0
    n_not_finite: int = 0
    best_score: float | None = None
    best_epoch: int | None = None
    n_worse: int = 0
    elapsed_s: float = 0.0
    core_s: float | None = 0.0
    training_s: float = 0.0
    validation_s: float = 0.0
    n_validations: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)
    threads: dict[str, Any] = field(default_factory=dict)
    n_views: int | None = None
    is_done: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


def state_from(values: dict[str, Any]) -> FitState:
    """State of a training that JSON gives.

    Raises
    ------
    TypeError, ValueError, KeyError
        If it is of another type, or contradicts itself.
    """
    check_values(FitState, values)
    check_values(ThreadTrial, values.get("threads", {}))
    state = FitState(**values)
    counts = (state.epoch, state.step, state.n_steps, state.n_crops, state.n_worse)
    if min(*counts, state.n_not_finite, state.n_validations) < 0:
        raise ValueError("a count is negative")
    epochs = [row["epoch"] for row in state.history]
    if epochs != [*range(1, state.epoch + 1)] or (state.is_done and not epochs):
        raise ValueError("its history is not that of its epochs")
    if state.best_epoch is not None and state.best_epoch not in epochs:
        raise ValueError(f"the best epoch is {state.best_epoch}, of {len(epochs)}")
    return state
