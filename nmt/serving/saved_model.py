"""Exports a run as a SavedModel: strings in, strings out, without this package."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from nmt.config import Config
from nmt.constants import END
from nmt.data.batches import evaluation_batches
from nmt.data.preparation import load_truecaser
from nmt.data.token_store import TokenizedCorpus
from nmt.decoding.beam_search import SearchOptions
from nmt.decoding.shortlist import Shortlist, make_shortlist
from nmt.inference.text_to_text import COMPILED_LENGTHS, TextToText
from nmt.inference.translator import sentences_at_once
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.folder import RunFolder
from nmt.runs.translation import load_ensemble, load_for_search, load_fused
from nmt.serving.warmup import write_warmup
from nmt.text.boundaries import WORD_START
from nmt.text.tokenizer import Tokenizer
from nmt.utils.digests import write_digests
from nmt.utils.errors import UserError
from nmt.utils.files import temporary_folder

# Relative to the folder of a version. TensorFlow Serving reads nothing in `assets.extra` but its warm-up requests.
DIGESTS = "assets.extra/digests.json"

_SHORTLIST_TOKENS = 10_000_000  # target tokens to align; more training data would only align further rare tokens


def export_saved_model(
    run: str | Path,
    output: str | Path,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
    n_best: int | None = None,
    shortlist: int | None = None,
    xla: bool = False,
) -> Path:
    """Exports a run's model as the next version of a model for TensorFlow Serving.

    The SavedModel has three signatures. They accept any strings: invalid UTF-8 is read as U+FFFD, the sentences of a
    text are translated one by one (with `decoding.split_sentences`), one that is longer than the model's training
    sentences in parts, and an empty text has the translation "" and the score 0. The graph is that of `Translator`, so
    the results are the same.

    * `serving_default`: from `text`, string `[batch]`, to the best `translation`, string `[batch]`, and its `score`,
      float32 `[batch]`;
    * `nbest`: from `text` to `translations`, string `[batch, n_best]`, the best first, and their `scores` and
      `log_probabilities`, float32 `[batch, n_best]`. Where the search found fewer, "" and -1e9 fill the row;
    * `score`: from `source` and `target`, string `[batch]`, to `log_probability`, float32 `[batch]`, the natural
      logarithm of P(target | source) under the model or the ensemble, without a language model, and `tokens`, int32
      `[batch]`, the number of tokens scored, at most 512.

    The model computes in the precision of the setting `decoding.precision`, whatever precision it was trained in. The
    folder also contains warm-up requests for the server, in `assets.extra/tf_serving_warmup_requests`, and the digests
    of all its files, in `assets.extra/digests.json`, for `nmt.serving.verification.verify_folder`.

    Args:
        run: the run folder.
        output: the folder of the model, whose subfolders `1`, `2` and so on are its versions.
        checkpoint: name of the checkpoint: `best`, `last`, `averaged` or another. None for the averaged one if it
            exists, otherwise the best.
        overrides: changed settings of the search, such as `decoding.beam_size=1`, which are fixed in the export.
        n_best: number of translations in `nbest`; None for the size of the beam.
        shortlist: number of target tokens to score for each source token, those that the model's attention aligns to
            it most often in the run's training data; None to score the whole vocabulary.
        xla: whether XLA compiles the search of the best translation of one sentence that comes alone. The first such
            sentence of up to 16, 32 and 64 tokens takes some seconds each, which the warm-up requests spend, and all
            others a fraction of the time. TensorFlow Serving needs the flag `--xla_cpu_compilation_enabled=true`.

    Returns:
        The folder of the new version, which appears once it is complete.

    Raises:
        UserError: if the run, the checkpoint or a setting is invalid, or `output` cannot be written.

    Example:

    >>> export_saved_model("runs/quickstart", "models/translator")  # doctest: +SKIP
    PosixPath('models/translator/1')
    """
    run, output = Path(run), Path(output)
    model, tokenizers, config = load_for_search(run, checkpoint, overrides, n_best or 1)
    language_model = load_fused(config, tokenizers[1])
    ensemble, max_tokens = load_ensemble(config, tokenizers)
    graph = TextToText(
        model,
        *tokenizers,
        SearchOptions(**config.decoding.search_arguments()),
        max_tokens,
        sentences_at_once(config.decoding.beam_size, config.decoding.batch_size),
        frozen=True,
        shortlist=None if shortlist is None else _count_shortlist(run, config, model, tokenizers, shortlist),
        language_model=language_model,
        language_model_weight=config.decoding.language_model_weight,
        ensemble=ensemble,
        xla=xla,
        truecaser=load_truecaser(RunFolder(run).data, config),
        **config.text_arguments(),
    )
    try:
        with temporary_folder(output) as complete:
            _save(graph, complete, n_best or config.decoding.beam_size)
            texts = _warmup_texts(tokenizers[0], max_tokens, COMPILED_LENGTHS if xla else (3, 8, 14, 27))
            write_warmup(complete, texts, output.resolve().name)
            write_digests(complete, DIGESTS)
            version = output / str(max(map(int, _versions(output)), default=0) + 1)
            complete.rename(version)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror}") from error
    except tf.errors.OpError as error:
        raise UserError(f"{output}: cannot be written: {error.message}") from error
    return version


def _count_shortlist(
    run: Path, config: Config, model: Seq2Seq, tokenizers: tuple[Tokenizer, Tokenizer], tokens: int
) -> Shortlist:
    """Aligns the run's training data, or a sample of it, for the shortlist of each source token."""
    for setting in ("language_model", "ensemble"):
        if getattr(config.decoding, setting):
            raise UserError(f"`shortlist`: expected none with decoding.{setting}, which scores the whole vocabulary")
    if config.tokenizer.placeholders:
        raise UserError("`shortlist`: expected none with tokenizer.placeholders, whose symbols it might lack")
    corpus = TokenizedCorpus.open(RunFolder(run).data, "train")
    every = int(corpus.target_lengths.sum() // _SHORTLIST_TOKENS) + 1
    batches = evaluation_batches(corpus, config.batches).shard(every, 0)  # every n-th, as they are sorted by length
    sizes = tokenizers[0].vocabulary_size, tokenizers[1].vocabulary_size
    return make_shortlist(model, batches, sizes, tokens, config.decoding.beam_size)


def _save(graph: TextToText, output: Path, n_best: int) -> None:
    """Writes the SavedModel without warm-up requests."""

    def serving_default(text: tf.Tensor) -> dict[str, tf.Tensor]:
        translations, scores, _ = graph.translations(text)
        return {"translation": translations[:, 0], "score": scores[:, 0]}

    def nbest(text: tf.Tensor) -> dict[str, tf.Tensor]:
        translations, scores, log_probabilities = graph.translations(text, n_best)
        return {"translations": translations, "scores": scores, "log_probabilities": log_probabilities}

    def score(source: tf.Tensor, target: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probabilities, tokens = graph.score(source, target)
        return {"log_probability": log_probabilities, "tokens": tokens}

    # A module of three functions and the resources that they read, so that no Keras object of ours is exported.
    exported = tf.Module()
    signatures = {
        function.__name__: tf.function(function, autograph=False).get_concrete_function(
            *(tf.TensorSpec((None,), tf.string, name=name) for name in names)
        )
        for function, names in ((serving_default, ["text"]), (nbest, ["text"]), (score, ["source", "target"]))
    }
    exported.resources = [
        *{id(v): v for function in signatures.values() for v in function.graph.variables}.values(),
        graph.source_tokenizer,
        graph.target_tokenizer,
        graph.truecaser,
    ]
    tf.saved_model.save(exported, str(output), signatures)


def _versions(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.isdecimal()]


def _warmup_texts(tokenizer: Tokenizer, max_tokens: int, lengths: Sequence[int]) -> list[str]:
    """Builds texts of several lengths from the vocabulary, because the run's training data may be private.

    Args:
        tokenizer: splits them.
        max_tokens: int, the most tokens of a sentence that is not split.
        lengths: the most tokens of each text, its end token included.

    Returns:
        For each length the longest text that exceeds neither it nor `max_tokens`, each text once. Each is one sentence.
    """
    # Letters and digits alone: no sentence ends within a text, and the model can read it.
    pieces = [piece for piece in tokenizer.pieces()[END + 1 :] if piece.strip(WORD_START).isalnum()]
    words = [piece[1:] for piece in pieces if piece.startswith(WORD_START)] or pieces or ["a"]
    texts = [" ".join((words * lengths[-1])[:count]) for count in range(1, lengths[-1] + 1)]
    tokens = tokenizer.encode(tf.constant(texts)).row_lengths().numpy().tolist()

    def longest(most: int) -> str:
        return max((count, text) for count, text in zip(tokens, texts, strict=True) if count <= max(most, tokens[0]))[1]

    return list(dict.fromkeys(longest(min(length, max_tokens)) for length in lengths))
