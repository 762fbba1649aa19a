"""Training on a corpus that is given by its files alone: plan, train, tune the search."""

import logging
from collections.abc import Sequence
from pathlib import Path

from nmt.config import Config, differences, load_saved_config, parse_config
from nmt.data.named_corpus import corpus_settings
from nmt.runs.folder import RunFolder, check_own
from nmt.runs.tuning import tune_search
from nmt.training.plan import plan_training
from nmt.training.train import train
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)


def train_on_text(
    names: Sequence[str],
    run: str | Path,
    *,
    source: str | None = None,
    target: str | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    overrides: Sequence[str] = (),
) -> RunFolder:
    """Trains a translator on a corpus with the settings that `nmt.training.plan` chooses, and tunes its search.

    A run that is there already goes on with the settings that it has.

    Args:
        names: the files or the dataset; see `nmt.data.named_corpus.corpus_settings`.
        run: the run folder, made if needed.
        source: code of the source language; None to take it from the names.
        target: code of the target language; None to take it from the names.
        minutes: see `nmt.training.plan.plan_training`.
        epochs: see `nmt.training.plan.plan_training`.
        overrides: settings to change in what is chosen, such as `model.units=512`.

    Returns:
        The run.

    Raises:
        UserError: if there is a mistake in the corpus, a setting, or the folder.

    Example:

    >>> train_on_text(["my.en.gz", "my.de.gz"], "runs/mine", minutes=30)  # doctest: +SKIP
    """
    data = corpus_settings(names, source, target)
    folder = RunFolder(Path(run))
    check_own(folder)
    config = _settings_of(folder, data, overrides)
    if config is None:
        config = plan_training(data, minutes=minutes, epochs=epochs, overrides=overrides)
    trained = train(config, run)
    tune_search(run, sentences=config.training.validation_sentences)
    return trained


def _settings_of(run: RunFolder, data: dict[str, object], overrides: Sequence[str]) -> Config | None:
    """The settings of a run that is there already; None if there is none."""
    if not run.config.exists():
        return None
    config = load_saved_config(run.config, overrides)
    tree = config.model_dump(mode="json")
    other = parse_config(tree | {"data": tree["data"] | data})
    if changed := differences(config, other):
        raise UserError(f"{run.path}: was started with another corpus ({'; '.join(changed)}); choose another folder")
    _LOG.info("going on with the settings of %s", run.config)
    return config
