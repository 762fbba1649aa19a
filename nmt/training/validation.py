"""Validation by loss and, of translations, by BLEU of real beam search, and what follows from it."""

import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from nmt.config import Config
from nmt.constants import SIDES
from nmt.data.batches import evaluation_batches
from nmt.data.token_store import TokenizedCorpus, read_sentences
from nmt.decoding.scoring import corpus_loss, make_sentence_scorer
from nmt.evaluation.metrics import evaluate
from nmt.inference.translator import Translator
from nmt.runs.checkpoints import save_arrays, weights_of
from nmt.runs.folder import RunFolder
from nmt.text.tokenizer import Tokenizer
from nmt.training.distribution import Distribution
from nmt.training.optimizer import averaged_weights
from nmt.training.progress import peak_memory
from nmt.training.state import TrainingState
from nmt.training.trainer import Trainer
from nmt.utils.files import written_whole

Validator = Callable[[], tuple[float, float | None]]  # to the loss of a token, and BLEU, which a language model lacks


def make_validator(
    config: Config, run: RunFolder, trainer: Trainer, tokenizers: tuple[Tokenizer, Tokenizer]
) -> Validator:
    """A function that measures the model, with averaged weights if it keeps them, on the validation split."""
    score = make_sentence_scorer(trainer.model)
    batches = evaluation_batches(TokenizedCorpus.open(run.data, "validation"), config.batches).cache()
    if config.task == "language_model":
        return lambda: (corpus_loss(score, batches), None)
    translator = Translator(
        trainer.model,
        *tokenizers,
        max_tokens=config.batches.max_length,
        batch_size=config.decoding.batch_size,
        **config.decoding.search_arguments(),
    )
    count = config.training.validation_sentences
    source, references = (list(itertools.islice(read_sentences(run.data, "validation", side), count)) for side in SIDES)

    def validate() -> tuple[float, float]:
        loss = corpus_loss(score, batches)
        hypotheses = list(translator.best(source))
        (bleu,) = evaluate(hypotheses, references, config.data.target_language, metrics=["BLEU"])
        return loss, bleu.value

    return validate


class Validation(keras.callbacks.Callback):
    """After each period of steps: measures the model, keeps weights, lowers the learning rate, or stops.

    The chief does so while other workers wait, and they follow its decisions.

    Args:
        config: the run's.
        run: its folder.
        state: where the training stands; kept up to date here.
        validate: see `make_validator`; None where the chief is another.
        report: is given a line of metrics after each validation.
        distribution: of the training.
    """

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        state: TrainingState,
        validate: Validator | None,
        report: Callable[[dict[str, Any]], None],
        distribution: Distribution,
    ) -> None:
        super().__init__()
        self.settings = config.training
        self.run = run
        self.state = state
        self.validate = validate
        self.report = report
        self.distribution = distribution

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock of the period."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Validates; a Keras epoch is the period between two validations."""
        logs = logs if logs is not None else {}
        stop, reduction = self.distribution.by_chief(lambda: self._validate(logs), 2)
        self.model.stop_training = bool(stop)
        if not self.distribution.chief:
            self.model.schedule.reduction.assign(reduction)

    def _validate(self, logs: dict[str, Any]) -> tuple[float, float]:
        """Returns whether to stop, as 1 or 0, and the plateau's reduction of the learning rate."""
        state, settings = self.state, self.settings
        trained = time.perf_counter()
        rate = float(self.model.optimizer.learning_rate)
        assert self.validate is not None
        with averaged_weights(self.model.optimizer):
            loss, bleu = self.validate()
            weights = weights_of(self.model.model)
        quality = {"perplexity": math.exp(loss)} if bleu is None else {"bleu": bleu}
        score = bleu if bleu is not None and settings.monitor == "bleu" else -loss
        best = state.best is None or score > state.best
        step = state.batches // settings.accumulate
        self._keep(weights, step, {"step": step, "validation_loss": loss, **quality}, best)
        if best:
            state.best, state.best_step, state.stale = score, step, 0
        else:
            state.stale += 1
        self._lower_on_plateau(loss)
        metrics = {
            "step": step,
            "epoch": state.position.epoch,
            "training_loss": logs["loss"],
            "training_plain_loss": logs["plain_loss"],
            "validation_loss": loss,
            **quality,
            "best": best,
            "learning_rate": rate,
            "target_tokens_per_second": logs["tokens"] / (trained - self.started),
            "peak_memory_gib": round(peak_memory() / 2**30, 3),
            "seconds": state.seconds + time.perf_counter() - trained,
        }
        logs |= {"validation_loss": loss, **quality, "learning_rate": rate}  # for TensorBoard
        append_line(self.run.metrics, metrics)
        self.report(metrics)
        over = settings.max_minutes is not None and metrics["seconds"] >= 60 * settings.max_minutes
        return float(state.stale >= settings.patience or over), float(self.model.schedule.reduction.numpy())

    def _keep(self, weights: dict[str, Any], step: int, state: dict[str, Any], best: bool) -> None:
        save_arrays(self.run.checkpoint(f"step-{step:08}"), weights, state)
        if best:
            save_arrays(self.run.best, weights, state)
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


def append_line(path: Path, metrics: dict[str, Any]) -> None:
    """Adds a JSON line to a file, whole."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    with written_whole(path) as file:
        file.write(before + json.dumps(metrics) + "\n")
