"""The one function that trains."""

import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import nmt
from nmt.config import Config
from nmt.data.batches import advance
from nmt.data.preparation import load_report, load_shapes, prepare
from nmt.data.shapes import Shape
from nmt.data.vocabulary import load_tokenizers
from nmt.runs.folder import RunFolder, join_run, open_run
from nmt.runs.models import build_model
from nmt.training.compilation import choose_extent, compile_shapes
from nmt.training.distribution import Distribution, make_distribution
from nmt.training.fine_tuning import check_start, start_weights
from nmt.training.make_trainer import make_trainer
from nmt.training.precision import settle_precision
from nmt.training.progress import ProgressReport
from nmt.training.state import TrainingState, restore_state, save_state
from nmt.training.trainer import Trainer
from nmt.training.validation import Validation, append_line, make_validator
from nmt.utils.files import written_whole

Report = Callable[[dict[str, Any]], None]


def train(
    config: Config, folder: Path, validated: Report = lambda _: None, message: Callable[[str], None] = print
) -> RunFolder:
    """Trains a model, or goes on with it where it stopped or was killed.

    The weights at the end are the same to the last bit, however often the training was interrupted: a checkpoint
    holds every variable that a step depends on, and the data's order is a function of the seed and the position.

    Args:
        config: the settings.
        folder: the run folder, made if need be. See `open_run` for what may differ when it exists.
        validated: is given the metrics of each validation.
        message: is given lines for people about what is being done.

    Returns:
        The run.

    Raises:
        UserError: for whatever is wrong with the settings, the data, or the folder.
    """
    distribution = make_distribution(config.training)
    with distribution.watched():
        return _train(config, folder, validated, message if distribution.chief else lambda _: None, distribution)


def _train(
    config: Config, folder: Path, validated: Report, message: Callable[[str], None], distribution: Distribution
) -> RunFolder:
    """What each worker does. The chief alone writes, validates and reports."""

    def prepare_run() -> tuple[()]:
        check_start(config, folder)
        prepare(config, open_run(folder, config).data)
        return ()

    distribution.by_chief(prepare_run, 0)
    run = RunFolder(folder) if distribution.chief else join_run(folder, config)
    config = settle_precision(config, run, distribution, message)
    report, tokenizers, shapes = (
        load_report(run.data),
        load_tokenizers(run.data, config.tokenizer.placeholders),
        load_shapes(run.data),
    )
    settings = config.training
    with distribution.scope():
        model = build_model(config, *tokenizers)
    trainer = make_trainer(model, settings, distribution.strategy)
    items = "pairs" if config.task == "translation" else "texts"
    message(
        f"{report['pairs']['train']:,} training {items}; {model.count_params():,} parameters; "
        f"{len(shapes)} batch shapes, {report['padding_share']:.1%} padding"
    )
    state = restore_state(run, trainer)
    distribution.check_agreement(
        state.batches, f"{folder}: the workers stand at different steps; all of them have to share the run folder"
    )
    step = state.batches // settings.accumulate
    if not step and settings.start_from is not None:
        start_weights(model, tokenizers, settings.start_from, message)
    if step:
        message(f"going on from step {step}")
    if step >= settings.max_steps or state.stale >= settings.patience:
        message(f"training has ended at step {step}; training.max_steps above that would go on")
        return run
    compiling = _compile(config, trainer, distribution, shapes, state, message)
    if distribution.chief:
        _begin_metrics(run, config, state, compiling)

    validator = make_validator(config, run, trainer, tokenizers) if distribution.chief else None
    callbacks = [
        Saving(config, run, state, shapes, distribution),
        Validation(config, run, state, validator, validated, distribution),
    ]
    if distribution.chief:
        callbacks += [
            ProgressReport(settings.max_steps, settings.accumulate, step),
            keras.callbacks.TensorBoard(run.tensorboard, write_graph=False),
        ]
    for first, last, steps in periods(step, settings.validate_every, settings.max_steps):
        trainer.fit(
            distribution.batches(run.data, config, shapes, state.position),
            initial_epoch=first,
            epochs=last,
            steps_per_epoch=steps * settings.accumulate,
            callbacks=callbacks,
            shuffle=False,  # `training_batches` did
            verbose=0,
        )
        if trainer.stop_training:
            break
    distribution.by_chief(tuple, 0)  # no worker leaves before the chief has written the last checkpoint
    return run


def periods(step: int, every: int, end: int) -> list[tuple[int, int, int]]:
    """The periods between validations from `step` to `end`, as calls of `fit`.

    Each is the first period, the one after the last, and the steps of each.

    Example:

    >>> periods(0, 100, 250)
    [(0, 2, 100), (2, 3, 50)]
    >>> periods(130, 100, 400)
    [(1, 2, 70), (2, 4, 100)]
    """
    calls = []
    if step % every and step < end:
        steps = min(every - step % every, end - step)
        calls.append((step // every, step // every + 1, steps))
        step += steps
    if whole := (end - step) // every:
        calls.append((step // every, step // every + whole, every))
        step += whole * every
    if step < end:
        calls.append((step // every, step // every + 1, end - step))
    return calls


class Saving(keras.callbacks.Callback):
    """Writes, on the chief, the checkpoint from which training goes on.

    It comes first among the callbacks, so that the state is up to date for the others; the checkpoint at the end of a
    period is written when the next one begins, after the validation has had its say.
    """

    def __init__(
        self, config: Config, run: RunFolder, state: TrainingState, shapes: list[Shape], distribution: Distribution
    ) -> None:
        super().__init__()
        self.config = config
        self.run = run
        self.state = state
        self.shapes = shapes
        self.writes = distribution.chief
        self.unsaved = 0  # batches since the position in the state
        self.clock = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """The state after a validation."""
        if self.state.batches:
            self._save()
        self.clock = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts, and saves now and then."""
        self.state.batches += 1
        self.unsaved += 1
        accumulate, every = self.config.training.accumulate, self.config.training.save_every
        if self.state.batches % (accumulate * every) == 0:
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Brings the state up to date for the validation."""
        self._settle()

    def on_train_end(self, logs: Any = None) -> None:
        """The state after the last validation."""
        self._save()

    def _settle(self) -> None:
        state = self.state
        state.position = advance(state.position, self.unsaved, self.run.data, self.config, self.shapes)
        self.unsaved = 0
        now = time.perf_counter()
        state.seconds += now - self.clock
        self.clock = now

    def _save(self) -> None:
        self._settle()
        if self.writes:
            save_state(self.run, self.model, self.state)


def _compile(
    config: Config,
    trainer: Trainer,
    distribution: Distribution,
    shapes: list[Shape],
    state: TrainingState,
    message: Callable[[str], None],
) -> float:
    """Has XLA compile what the settings, the training so far, or measurements say; returns the seconds spent."""
    start, settings = time.perf_counter(), config.training
    if settings.xla != "auto":
        state.extent = settings.xla
    elif state.extent is None:
        left = settings.max_steps * settings.accumulate - state.batches
        state.extent = choose_extent(trainer, distribution, shapes, left, message)
    trainer.compile_extent(state.extent)
    if state.extent != "none":
        compile_shapes(trainer, distribution, shapes, message)
    state.seconds += time.perf_counter() - start
    return time.perf_counter() - start


def _begin_metrics(run: RunFolder, config: Config, state: TrainingState, compiling: float) -> None:
    """Drops the lines of steps that will be made again, and says what is running."""
    if run.metrics.exists():
        step = state.batches // config.training.accumulate
        lines = [line for line in run.metrics.read_text(encoding="utf-8").splitlines() if line]
        kept = [line for line in lines if json.loads(line).get("step", 0) <= step]
        with written_whole(run.metrics) as file:
            file.writelines(line + "\n" for line in kept)
    names = ("tensorflow", "tensorflow-text", "keras", "sentencepiece", "sacrebleu", "numpy")
    append_line(
        run.metrics,
        {
            "nmt": nmt.__version__,
            "versions": {name: version(name) for name in names},
            "python": platform.python_version(),
            "machine": platform.machine(),
            "devices": [device.device_type for device in tf.config.list_physical_devices()],
            "xla": {"extent": state.extent, "seconds": compiling},
            "config": config.model_dump(mode="json"),
        },
    )
