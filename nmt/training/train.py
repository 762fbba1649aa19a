"""`train`: from settings to a trained run."""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import keras

from nmt.config import Config
from nmt.data.preparation import load_report, load_shapes
from nmt.data.shapes import Shape
from nmt.data.token_store import TokenizedCorpus
from nmt.data.vocabulary import load_tokenizers
from nmt.models.seq2seq import Seq2Seq
from nmt.models.token_model import TokenModel
from nmt.runs.data import prepare_data
from nmt.runs.folder import RunFolder, join_run, lock_run, open_run
from nmt.runs.models import build_model, check_model
from nmt.text.tokenizer import Tokenizer
from nmt.training.callbacks import ProgressReport, TensorBoard, TrainingCheckpoint, Validation
from nmt.training.compilation import choose_extent
from nmt.training.distribution import Distribution, make_distribution
from nmt.training.fine_tuning import check_start, start_weights
from nmt.training.initial_embeddings import start_from_corpus
from nmt.training.interruption import Interruption
from nmt.training.make_trainer import make_trainer
from nmt.training.metrics import begin_metrics
from nmt.training.precision import settle_precision
from nmt.training.state import TrainingState, restore_state
from nmt.training.trainer import Trainer
from nmt.training.validation import make_validator

_LOG = logging.getLogger(__name__)


def train(config: Config, run: str | Path, callbacks: Sequence[keras.callbacks.Callback] = ()) -> RunFolder:
    """Trains a model, or goes on where an earlier training ended, stopped or was killed.

    However often the training is interrupted, the weights at the end are the same to the last bit: a checkpoint holds
    every variable that a step depends on, and the order of the data follows from the seed and the position.

    What is being done, and the metrics of each validation, are logged at level info under the name `nmt`.

    Args:
        config: the settings.
        run: the run folder, made if needed. See `nmt.runs.folder.open_run` for the settings that may differ from those
            of an existing one.
        callbacks: further callbacks for `fit`. Their `model` is the `Trainer`, whose own `model` is trained; their
            epochs are the periods between two validations, and `fit` may be called up to three times. The `logs` at the
            end of an epoch hold `validation_loss`, `learning_rate`, and `bleu` or `perplexity`. With several workers,
            all of them have to stop at the same step.

    Returns:
        The run.

    Raises:
        UserError: if there is a mistake in the settings, the data, or the folder.
        KeyboardInterrupt: at SIGINT, once the step in hand is saved; see `nmt.training.interruption`.
        SystemExit: at SIGTERM, once the step in hand is saved.

    Example:

    >>> run = train(nmt.load_config("configs/base.yaml"), "runs/mine")  # doctest: +SKIP
    """
    distribution = make_distribution(config.training)
    with ExitStack() as held, distribution.guard(), distribution.log_on_chief():
        return _train(config, Path(run), callbacks, distribution, held)


def _train(
    config: Config,
    path: Path,
    callbacks: Sequence[keras.callbacks.Callback],
    distribution: Distribution,
    held: ExitStack,
) -> RunFolder:
    """Trains on each worker; the chief alone writes, validates and logs, and holds the lock of the run folder."""
    run = _prepare(config, path, distribution, held)
    config = settle_precision(config, run, distribution)
    settings = config.training
    tokenizers, shapes = load_tokenizers(run.data, config.tokenizer.placeholders), load_shapes(run.data)
    with distribution.scope():
        model = build_model(config, *tokenizers)
    trainer = make_trainer(model, settings, distribution.strategy)
    _log_sizes(config, run, model, shapes)
    state = restore_state(run, trainer)
    distribution.check_agreement(
        state.batches, f"{path}: the workers are at different steps; all of them have to share the run folder"
    )
    steps = state.batches // settings.accumulate
    if steps:
        _LOG.info("going on from step %d", steps)
    elif settings.start_from is not None:
        start_weights(model, tokenizers, settings.start_from)
    elif settings.initial_embeddings == "cooccurrence" and isinstance(model, Seq2Seq):
        _LOG.info("initial embeddings by the tokens that occur together")
        start_from_corpus(model, TokenizedCorpus.open(run.data, "train"), config.seed, distribution)
    if steps >= settings.max_steps or state.stale >= settings.patience:
        _LOG.info("training has ended at step %d; training.max_steps above that would go on", steps)
        return run
    choosing_seconds = _choose_extent(config, trainer, distribution, shapes, state)
    if distribution.chief:
        begin_metrics(run, config, state, choosing_seconds)
    checkpoint = TrainingCheckpoint(config, run, state, shapes, distribution)
    interruption = Interruption(checkpoint.save_step)
    own = [checkpoint, interruption, *_make_callbacks(config, run, state, distribution, trainer, tokenizers)]
    with interruption.handled():
        for first, last, length in periods(steps, settings.validate_every, settings.max_steps):
            trainer.fit(
                distribution.batches(run.data, config, shapes, state.position),
                initial_epoch=first,
                epochs=last,
                steps_per_epoch=length * settings.accumulate,
                callbacks=[*own, *callbacks],
                shuffle=False,  # `training_batches` has shuffled
                verbose=0,
            )
            if trainer.stop_training:
                break
    distribution.run_on_chief(tuple, 0)  # no worker leaves before the chief has written the last checkpoint
    return run


def periods(step: int, every: int, end: int) -> list[tuple[int, int, int]]:
    """Returns the periods between validations as calls of `fit`.

    Args:
        step: int, the number of updates so far.
        every: int, the number of updates between two validations.
        end: int, the number of updates at the end of the training.

    Returns:
        For each call the first period, the one after the last, and the number of updates of each period.

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


def _prepare(config: Config, path: Path, distribution: Distribution, held: ExitStack) -> RunFolder:
    """Opens the run folder, keeps other trainings from it, and prepares its data."""

    def prepare_run() -> tuple[()]:
        check_model(config)
        check_start(config, path)
        held.enter_context(lock_run(path))
        prepare_data(config, open_run(path, config))
        return ()

    distribution.run_on_chief(prepare_run, 0)
    return RunFolder(path) if distribution.chief else join_run(path, config)


def _log_sizes(config: Config, run: RunFolder, model: TokenModel, shapes: list[Shape]) -> None:
    report = load_report(run.data)
    items = "pairs" if config.task == "translation" else "texts"
    _LOG.info(
        f"{report['pairs']['train']:,} training {items}; {model.count_params():,} parameters; "
        f"{len(shapes)} batch shapes, {report['padding_share']:.1%} padding"
    )


def _choose_extent(
    config: Config, trainer: Trainer, distribution: Distribution, shapes: list[Shape], state: TrainingState
) -> float:
    """Has XLA compile what the settings, the training so far, or measurements say; returns the seconds spent.

    It compiles for each batch shape when the first such batch comes, so that training begins at once.
    """
    start, settings = time.perf_counter(), config.training
    if settings.xla != "auto":
        state.extent = settings.xla
    elif state.extent is None:
        left = settings.max_steps * settings.accumulate - state.batches
        state.extent = choose_extent(trainer, distribution, shapes, left)
    trainer.compile_extent(state.extent)
    seconds = time.perf_counter() - start
    state.seconds += seconds
    return seconds


def _make_callbacks(
    config: Config,
    run: RunFolder,
    state: TrainingState,
    distribution: Distribution,
    trainer: Trainer,
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> list[keras.callbacks.Callback]:
    validator = make_validator(config, run, trainer.model, tokenizers) if distribution.chief else None
    callbacks = [Validation(config, run, state, validator, distribution)]
    if distribution.chief:
        settings = config.training
        callbacks += [
            ProgressReport(settings.max_steps, settings.accumulate, state.batches // settings.accumulate),
            TensorBoard(run.tensorboard),
        ]
    return callbacks
