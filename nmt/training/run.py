"""A run folder: all that a training leaves, and all that later commands need."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf

from nmt.config import Config, SideFiles, TextCorpus, differences, load_config, save_config
from nmt.data.corpus import SIDES, read_lines, read_model
from nmt.data.hiding import encode_pair
from nmt.data.prepare import load_tokenizers
from nmt.data.readers import Split, read_split
from nmt.data.tokenizer import PADDING, Tokenizer
from nmt.decoding.scoring import make_scorer
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.files import written_whole
from nmt.models.language_model import LanguageModel, make_language_model
from nmt.models.seq2seq import Seq2Seq, make_model
from nmt.models.token_model import TokenModel
from nmt.progress import tracked
from nmt.training.checkpoints import load_weights

Task = Literal["translation", "language_model"]
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True)
class RunFolder:
    """The paths within a run folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def data(self) -> Path:
        """The prepared corpus."""
        return self.path / "data"

    @property
    def metrics(self) -> Path:
        """A JSON line of metrics for each validation."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    @property
    def last(self) -> Path:
        """The checkpoint from which training goes on."""
        return self.checkpoint("last")

    @property
    def best(self) -> Path:
        """The weights that did best in validation."""
        return self.checkpoint("best")

    def checkpoint(self, name: str) -> Path:
        """The checkpoint of that name."""
        return self.path / "checkpoints" / f"{name}.npz"

    def kept(self) -> list[Path]:
        """The weights kept of the latest validations, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*.npz"))


def open_run(path: Path, config: Config) -> RunFolder:
    """Makes a run folder, or opens one to go on.

    Args:
        path: the folder.
        config: its configuration. Once training has begun there, only how long to train, on which devices, and the
            search may differ.

    Raises:
        UserError: naming the settings that differ.
    """
    run = RunFolder(path)
    if run.last.exists() and run.config.exists():
        old = load_config(run.config)
        free: tuple[str, ...] = (
            "training.max_steps:", "training.max_minutes:", "training.patience:", "training.strategy:", "decoding.",
        )  # fmt: skip
        if old.training.schedule == "linear":
            free = free[1:]  # the whole course of the learning rate hangs on the number of steps
        changed = [change for change in differences(old, config) if not change.startswith(free)]
        if changed:
            raise UserError(
                f"{path}: was started with other settings ({'; '.join(changed)}); choose another run folder"
            )
    save_config(config, run.config)
    return run


def join_run(path: Path, config: Config) -> RunFolder:
    """Opens the run folder that the chief of several workers has just made.

    Raises:
        UserError: if it is not here, or of other settings.
    """
    run = RunFolder(path)
    if not run.config.exists() or not (run.data / "report.json").exists():
        raise UserError(f"{path}: the chief's run folder is not here; all workers have to share it")
    if changed := differences(load_config(run.config), config):
        raise UserError(f"{path}: the chief was started with other settings ({'; '.join(changed)})")
    return run


def load_run_config(path: Path, task: Task | None = None) -> tuple[RunFolder, Config]:
    """The configuration of an existing run.

    Args:
        path: the folder.
        task: what its model has to be trained for; None for any.

    Raises:
        UserError: if the folder is no run, or one of another task.
    """
    run = RunFolder(path)
    if not run.config.exists():
        raise UserError(f"{path}: is not a run folder (it has no config.yaml); `nmt train` makes one")
    config = load_config(run.config)
    if task is not None and config.task != task:
        raise UserError(f"{path}: expected a run of task {task}, got one of task {config.task}")
    return run, config


def load_model(run: RunFolder, config: Config, checkpoint: str | None = None) -> tuple[Any, Tokenizer, Tokenizer]:
    """A run's model, `Seq2Seq` or `LanguageModel`, with the weights of a checkpoint, and its tokenizers.

    Args:
        run: the folder.
        config: its configuration.
        checkpoint: `best`, `last`, `averaged` or another name; by default the averaged one if there is one, else the
            best.

    Raises:
        UserError: if there is no such checkpoint or it cannot be read.
    """
    if checkpoint is None:
        checkpoint = "averaged" if run.checkpoint("averaged").exists() else "best"
    if not run.checkpoint(checkpoint).exists():
        have = sorted(path.stem for path in (run.path / "checkpoints").glob("[!.]*.npz"))
        raise UserError(f"{run.path}: has no checkpoint `{checkpoint}`; it has {', '.join(have) or 'none yet'}")
    source, target = load_tokenizers(run.data, config.tokenizer.placeholders)
    model = build_model(config, source, target, "float32")
    load_weights(model, run.checkpoint(checkpoint))
    return model, source, target


def build_model(config: Config, source: Tokenizer, target: Tokenizer, precision: str | None = None) -> TokenModel:
    """A new model of a configuration, computing in that of training or another precision; its weights are float32."""
    keras.config.set_dtype_policy(POLICIES[precision or config.training.precision])
    if config.task == "language_model":
        return make_language_model(config.model, target.vocabulary_size, config.seed)
    return make_model(config.model, source.vocabulary_size, target.vocabulary_size, config.seed)


def load_translator(
    path: Path | str,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
    n_best: int = 1,
    on_split: Callable[[int, int, int], None] = lambda line, tokens, parts: None,
    attention: bool = False,
) -> Translator:
    """A run's translator. It computes in float32, whatever precision the run was trained in.

    Args:
        path: the run folder.
        checkpoint: see `load_model`.
        overrides: of the search's settings, as `decoding.beam_size=1`.
        n_best: translations of each line.
        on_split: see `Translator`.
        attention: see `Translator`.

    Raises:
        UserError: if the run, the checkpoint or a setting is wrong.
    """
    model, tokenizers, config = load_for_search(Path(path), checkpoint, overrides, n_best)
    return Translator(
        model,
        *tokenizers,
        config.decoding,
        config.batches.max_length,
        n_best,
        on_split,
        attention=attention,
        frozen=True,
        language_model=load_fused(config, tokenizers[1]),
    )


def load_for_search(
    path: Path, checkpoint: str | None, overrides: Sequence[str], n_best: int
) -> tuple[Seq2Seq, tuple[Tokenizer, Tokenizer], Config]:
    """A run's model, tokenizers and configuration; arguments and errors as of `load_translator`."""
    for override in overrides:
        if not override.startswith("decoding."):
            raise UserError(f"--set {override}: only decoding.* can change after training")
    run, _ = load_run_config(path, "translation")
    config = load_config(run.config, overrides)
    if n_best > config.decoding.beam_size:
        raise UserError(f"--n-best {n_best}: expected at most decoding.beam_size {config.decoding.beam_size}")
    model, source, target = load_model(run, config, checkpoint)
    return model, (source, target), config


def load_fused(config: Config, target: Tokenizer) -> LanguageModel | None:
    """The language model that a run's search asks, if any.

    Args:
        config: the run's, of which `decoding` counts.
        target: the run's tokenizer of the target language.

    Raises:
        UserError: if it is no language model's run, or of another tokenizer.
    """
    path = config.decoding.language_model
    if path is None:
        return None
    run, of_language = load_run_config(path, "language_model")
    if read_model(run.data, "target") != target.model:
        raise UserError(
            f"decoding.language_model: {path}: its tokenizer is not the translation's; expected a language model "
            "trained with tokenizer.model, the `data/target.model` of the translation's run"
        )
    model, *_ = load_model(run, of_language)
    return model


def translate_split(
    path: Path, split: Split, checkpoint: str | None, overrides: Sequence[str], save: Path | None = None
) -> tuple[list[str], list[str], list[str], str]:
    """Translates a split of a run's corpus.

    Args:
        path: the run folder.
        split: `validation` or `test`.
        checkpoint: see `load_model`.
        overrides: see `load_translator`.
        save: where the translations are written too.

    Returns:
        Sources, translations, references, and the target language.
    """
    run, config = load_run_config(path)
    translator = load_translator(path, checkpoint, overrides)
    sources, references = (list(read_lines(run.data, split, side)) for side in SIDES)
    translations = list(tracked(translator.best(sources), "translating", len(sources)))
    if save is not None:
        with written_whole(save) as file:
            file.writelines(line + "\n" for line in translations)
    return sources, translations, references, config.data.target_language


def score_files(path: Path, source: Path, target: Path, checkpoint: str | None) -> Iterator[tuple[float, int]]:
    """Scores the translations in a file with a run's model, as a stream.

    Args:
        path: the run folder.
        source: a text file.
        target: its translations, line by line.
        checkpoint: see `load_model`.

    Yields:
        For each pair, log P(target | source) and the target's tokens, the end mark included.

    Raises:
        UserError: if the files differ in length or cannot be read.
    """
    run, config = load_run_config(path)
    corpus = TextCorpus(kind="text", train=SideFiles(source=[source], target=[target]))
    pairs = read_split(config.data.model_copy(update={"corpus": corpus}), "train")
    model, *tokenizers = load_model(run, config, checkpoint)
    scorer = make_scorer(model)
    while chunk := list(itertools.islice(pairs or (), config.decoding.sentences_at_once)):
        texts = tf.constant([pair.source for pair in chunk]), tf.constant([pair.target for pair in chunk])
        ids = (side.to_tensor(PADDING) for side in encode_pair(tokenizers, *texts))
        scores = scorer(dict(zip(SIDES, ids, strict=True)))
        yield from zip(scores.log_probabilities.numpy().tolist(), map(int, scores.tokens.numpy()), strict=True)
