"""What a translator's run is used for: translations, and the scores of given ones."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from nmt.config import Config, SideFiles, TextCorpus, load_config
from nmt.constants import PADDING, SIDES, Split
from nmt.data.readers import read_split
from nmt.data.token_store import read_lines, read_model
from nmt.decoding.scoring import make_scorer
from nmt.inference.translator import Translator
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.folder import load_model, load_run_config
from nmt.text.masking import encode_pair
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.progress import tracked


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
    ensemble, max_tokens = load_ensemble(config, tokenizers)
    return Translator(
        model,
        *tokenizers,
        config.decoding,
        max_tokens,
        n_best,
        on_split,
        attention=attention,
        frozen=True,
        language_model=load_fused(config, tokenizers[1]),
        ensemble=ensemble,
    )


def load_for_search(
    path: Path, checkpoint: str | None, overrides: Sequence[str], n_best: int = 1
) -> tuple[Seq2Seq, tuple[Tokenizer, Tokenizer], Config]:
    """A run's model, tokenizers and configuration; arguments and errors as of `load_translator`."""
    for override in overrides:
        if not override.startswith("decoding."):
            raise UserError(f"--set {override}: only decoding.* can change after training")
    run, _ = load_run_config(path, "translation")
    config = load_config(run.config, overrides)
    if n_best > config.decoding.beam_size:
        raise UserError(f"--n-best {n_best}: expected at most decoding.beam_size {config.decoding.beam_size}")
    model, source, target = load_model(run, config, checkpoint, config.decoding.precision)
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
    model, *_ = load_model(run, of_language, precision=config.decoding.precision)
    return model


def load_ensemble(config: Config, tokenizers: tuple[Tokenizer, Tokenizer]) -> tuple[list[Seq2Seq], int]:
    """The further models that translate together with a run's, each of the checkpoint that it would translate with.

    Args:
        config: the run's, of which `decoding` and `batches` count.
        tokenizers: the run's.

    Returns:
        The models, and the tokens of the longest input that all of them and the run's have seen in training.

    Raises:
        UserError: if one is no translator's run, or of other tokenizers.
    """
    models, max_tokens = [], config.batches.max_length
    for path in config.decoding.ensemble:
        run, of_member = load_run_config(path, "translation")
        for side, tokenizer in zip(SIDES, tokenizers, strict=True):
            if read_model(run.data, side) != tokenizer.model:
                raise UserError(
                    f"decoding.ensemble: {path}: its {side} tokenizer is not the first model's; expected a run of the "
                    "same corpus and tokenizer settings, or of tokenizer.model, the first run's `data/target.model`"
                )
        models.append(load_model(run, of_member, precision=config.decoding.precision)[0])
        max_tokens = min(max_tokens, of_member.batches.max_length)
    return models, max_tokens


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


def score_files(
    path: Path, source: Path, target: Path, checkpoint: str | None, overrides: Sequence[str] = ()
) -> Iterator[tuple[float, int]]:
    """Scores the translations in a file with a run's model, or its ensemble, as a stream.

    Args:
        path: the run folder.
        source: a text file.
        target: its translations, line by line.
        checkpoint: see `load_model`.
        overrides: see `load_translator`; of the search only `decoding.ensemble` counts.

    Yields:
        For each pair, log P(target | source) and the target's tokens, the end mark included.

    Raises:
        UserError: if the files differ in length or cannot be read.
    """
    _, config = load_run_config(path)
    corpus = TextCorpus(kind="text", train=SideFiles(source=[source], target=[target]))
    pairs = read_split(config.data.model_copy(update={"corpus": corpus}), "train")
    model, tokenizers, config = load_for_search(path, checkpoint, overrides)
    scorer = make_scorer(model, *load_ensemble(config, tokenizers)[0])
    while chunk := list(itertools.islice(pairs or (), config.decoding.sentences_at_once)):
        texts = tf.constant([pair.source for pair in chunk]), tf.constant([pair.target for pair in chunk])
        ids = (side.to_tensor(PADDING) for side in encode_pair(tokenizers, *texts))
        scores = scorer(dict(zip(SIDES, ids, strict=True)))
        yield from zip(scores.log_probabilities.numpy().tolist(), map(int, scores.tokens.numpy()), strict=True)
