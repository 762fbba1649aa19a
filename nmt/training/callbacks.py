"""What happens during `fit`: checkpoints, validation and what follows from it, and progress."""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from nmt.config import Config
from nmt.data.batches import advance
from nmt.data.shapes import Shape
from nmt.evaluation.perplexity import perplexity
from nmt.runs.checkpoints import Arrays, save_arrays, weights_of
from nmt.runs.data import identity
from nmt.runs.folder import RunFolder
from nmt.training.distribution import Distribution
from nmt.training.divergence import check_loss, check_weights
from nmt.training.metrics import append_metrics, describe_validation, peak_memory
from nmt.training.optimizer import averaged_weights
from nmt.training.state import TrainingState, save_state
from nmt.training.validation import Validator
from nmt.utils.errors import UserError
from nmt.utils.progress import progress_line

_LOG = logging.getLogger(__name__)


class TrainingCheckpoint(keras.callbacks.Callback):
    """Keeps the state of the training up to date and, on the chief, writes it to the checkpoint `last`.

    Keras's `ModelCheckpoint` saves neither the place in the data nor the random streams of dropout, and overwrites the
    file in place, so that a process killed while writing would leave nothing to go on from.

    It comes first among the callbacks, so that the others find the state up to date. The checkpoint at the end of a
    period is written when the next period begins, or training ends, since it includes what the validation decided: a
    training that went on from an earlier one would leave the validation out.

    Args:
        config: the settings.
        run: the run folder.
        state: the state of the training, which is updated here.
        shapes: the shapes of the batches.
        distribution: the devices of the training.
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
        """Saves the state after a validation."""
        if self.state.batches:
            self.save()
        self.clock = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the batch, and saves after every `training.save_every` updates."""
        accumulate, every = self.config.training.accumulate, self.config.training.save_every
        if logs:  # the mean of the period so far, which stays NaN or infinite once a batch's loss is
            check_loss(logs["loss"], self.state.batches // accumulate + 1)
        self.state.batches += 1
        self.unsaved += 1
        if self.state.batches % (accumulate * every) == 0:
            self.save_step()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Brings the state up to date for the validation."""
        self._update()

    def on_train_end(self, logs: Any = None) -> None:
        """Saves the state after the last validation."""
        self.save()

    def _update(self) -> None:
        state = self.state
        state.position = advance(state.position, self.unsaved, self.run.data, self.config, self.shapes)
        self.unsaved = 0
        now = time.perf_counter()
        state.seconds += now - self.clock
        self.clock = now

    def save_step(self) -> bool:
        """Saves the state after a step, unless a validation follows; returns whether it did."""
        settings = self.config.training
        steps, rest = divmod(self.state.batches, settings.accumulate)
        if not rest and (steps % settings.validate_every == 0 or steps == settings.max_steps):
            return False
        self.save()
        return True

    def save(self) -> None:
        """Brings the state up to date and writes it."""
        self._update()
        if self.writes:
            save_state(self.run, self.model, self.state, self.state.batches // self.config.training.accumulate)


class Validation(keras.callbacks.Callback):
    """At the end of each period, measures the model, saves its weights, lowers the learning rate, or stops training.

    A period, the steps between two validations, is what Keras calls an epoch. The chief validates while the other
    workers wait, and they follow its decisions. On the chief, later callbacks find the results in their `logs`.

    Keras's `EarlyStopping` and `ReduceLROnPlateau` count from zero whenever `fit` begins, so that their counts are lost
    when a process is killed; here they are in the checkpoint. `ReduceLROnPlateau` also sets the optimizer's learning
    rate, which Keras refuses where a schedule computes it, such as one with a warm-up.

    Args:
        config: the settings.
        run: the run folder.
        state: the state of the training, which is updated here.
        validate: from `make_validator`; None on workers other than the chief.
        distribution: the devices of the training.
    """

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        state: TrainingState,
        validate: Validator | None,
        distribution: Distribution,
    ) -> None:
        super().__init__()
        self.settings = config.training
        self.run = run
        self.state = state
        self.validate = validate
        self.distribution = distribution

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock of the period."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validates, and decides how training goes on."""
        logs = logs if logs is not None else {}
        stop, reduction = self.distribution.run_on_chief(lambda: self._validate(logs), 2)
        if stop:
            self.model.stop_training = True
        if not self.distribution.chief:
            self.model.schedule.reduction.assign(reduction)

    def _validate(self, logs: dict[str, Any]) -> tuple[float, float]:
        """Returns whether to stop, as 1 or 0, and the factor of the learning rate that the plateau has reached."""
        state, settings = self.state, self.settings
        steps = state.batches // settings.accumulate
        trained = time.perf_counter()
        learning_rate = float(self.model.optimizer.learning_rate)
        assert self.validate is not None
        with averaged_weights(self.model.optimizer):
            weights = weights_of(self.model.model)
            check_weights(weights, steps)
            loss, bleu = self.validate()
        check_loss(loss, steps, "validation")
        quality = {"perplexity": perplexity(loss)} if bleu is None else {"bleu": bleu}
        best = self._count(steps, bleu if bleu is not None and settings.monitor == "bleu" else -loss, loss)
        self._save_weights(weights, {"step": steps, "validation_loss": loss, **quality}, best)
        self._lower_on_plateau(loss)
        metrics = {
            "step": steps,
            "epoch": state.position.epoch,
            "training_loss": logs["loss"],
            "training_plain_loss": logs["plain_loss"],
            "validation_loss": loss,
            **quality,
            "best": best,
            "learning_rate": learning_rate,
            "target_tokens_per_second": logs["tokens"] / (trained - self.started),
            "peak_memory_gib": round(peak_memory() / 2**30, 3),
            "seconds": state.seconds + time.perf_counter() - trained,
        }
        logs |= {"validation_loss": loss, **quality, "learning_rate": learning_rate}  # for the callbacks that follow
        append_metrics(self.run, metrics)
        _LOG.info("%s", describe_validation(metrics))
        return float(self._stops(metrics["seconds"])), float(self.model.schedule.reduction.numpy())

    def _stops(self, seconds: float) -> bool:
        """Returns whether training ends here, and logs why."""
        state, settings = self.state, self.settings
        if state.stale >= settings.patience:
            measure = "BLEU" if settings.monitor == "bleu" else "loss"
            _LOG.info(
                "stopping early: no better %s than %.4g at step %s in the last %d validations (training.patience)",
                measure, abs(state.best or 0.0), f"{state.best_step:,}", state.stale,
            )  # fmt: skip
            return True
        if settings.max_minutes is not None and seconds >= 60 * settings.max_minutes:
            _LOG.info("stopping: training.max_minutes %g are over", settings.max_minutes)
            return True
        return False

    def _count(self, steps: int, score: float, loss: float) -> bool:
        """Counts the validations since the best one, and returns whether this is the best.

        While BLEU stays the same, such as 0 at first, the lower loss is better.
        """
        state = self.state
        lower = state.best_loss is not None and loss < state.best_loss
        best = state.best is None or score > state.best or (score == state.best and lower)
        if best:
            state.best, state.best_loss, state.best_step, state.stale = score, loss, steps, 0
        else:
            state.stale += 1
        return best

    def _save_weights(self, weights: Arrays, values: dict[str, Any], best: bool) -> None:
        values = values | {"belongs_to": identity(self.run)}
        save_arrays(self.run.checkpoint(f"step-{values['step']:08}"), weights, values)
        if best:
            save_arrays(self.run.best, weights, values)
        for old in self.run.recent_checkpoints()[: -self.settings.keep]:
            old.unlink()

    def _lower_on_plateau(self, loss: float) -> None:
        state, settings = self.state, self.settings
        if state.lowest_loss is None or loss < state.lowest_loss:
            state.lowest_loss, state.stale_losses = loss, 0
            return
        state.stale_losses += 1
        if settings.schedule == "plateau" and state.stale_losses >= settings.plateau_patience:
            reduction = self.model.schedule.reduction
            reduction.assign(reduction * settings.plateau_factor)
            state.stale_losses = 0


class TensorBoard(keras.callbacks.TensorBoard):
    """Writes the metrics of each period for TensorBoard; that they cannot be written is an error that names the folder.

    Args:
        folder: where the files are written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, write_graph=False)

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the file."""
        with self._named_errors():
            super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the metrics."""
        with self._named_errors():
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the file."""
        with self._named_errors():
            super().on_train_end(logs)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            reason = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", error.message, flags=re.DOTALL).strip()
            raise UserError(f"{self.log_dir}: cannot be written: {reason}") from error


class ProgressReport(keras.callbacks.Callback):
    """Shows the steps, the loss, the target tokens per second and the time left, on a terminal only.

    Keras's own progress bar counts the batches of a period, not the updates of the whole training.

    Args:
        max_steps: int, the number of updates of the whole training.
        accumulate: int, the number of batches of an update.
        steps: int, the number of updates before training begins or goes on.
    """

    def __init__(self, max_steps: int, accumulate: int, steps: int) -> None:
        super().__init__()
        self.accumulate = accumulate
        self.progress = progress_line("loss {task.fields[loss]:.3f}, {task.fields[rate]:,.0f} target tokens/s")
        self.task = self.progress.add_task("training", total=max_steps, completed=steps, loss=0.0, rate=0.0)

    def on_train_begin(self, logs: Any = None) -> None:
        """Shows the line."""
        self.progress.start()

    def on_train_end(self, logs: Any = None) -> None:
        """Removes the line."""
        self.progress.stop()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock of the period, whose metrics begin at zero."""
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Updates the line."""
        if self.progress.disable or not logs:
            return
        rate = logs["tokens"] / (time.perf_counter() - self.started)
        self.progress.update(self.task, advance=1 / self.accumulate, loss=logs["loss"], rate=rate)
