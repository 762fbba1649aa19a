"""A run leaves as a SavedModel: strings in, strings out, without this package."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from nmt.data.batches import evaluation_batches
from nmt.data.token_store import TokenizedCorpus
from nmt.decoding.shortlist import make_shortlist
from nmt.inference.text_to_text import TextToText
from nmt.runs.folder import RunFolder
from nmt.runs.translation import load_ensemble, load_for_search, load_fused
from nmt.serving.warmup import write_warmup
from nmt.text.boundaries import WORD_START
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError

_SHORTLIST_TOKENS = 10_000_000  # of the training data; more would align but rare tokens anew


def export_saved_model(
    run: Path,
    to: Path,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
    n_best: int | None = None,
    shortlist: int | None = None,
) -> Path:
    """Writes a run's model as the next version of a model that TensorFlow Serving runs.

    It has three signatures. Any string is legal: what is no UTF-8 is read as U+FFFD, a long text is translated in
    parts, an empty one has the translation "" and the score 0. The graph is that of `Translator`, and so are its
    results.

    * `serving_default`: `text`, strings `[batch]`, to the best `translation`, strings `[batch]`, and its `score`,
      float32 `[batch]`;
    * `nbest`: `text` to `translations`, strings `[batch, n_best]`, the best first, `scores` and `log_probabilities`,
      float32 `[batch, n_best]`; where there are fewer, "" and -1e9;
    * `score`: `source` and `target`, strings `[batch]`, to `log_probability`, float32 `[batch]`, and the number of
      `tokens` scored, int32 `[batch]`, at most 512; of an ensemble together, and without a language model.

    It computes in `decoding.precision`, whatever precision the run was trained in. Warm-up requests are written besides
    (`assets.extra/tf_serving_warmup_requests`).

    Args:
        run: the run folder.
        to: the model's folder; its versions are the folders `1`, `2` and so on in it.
        checkpoint: `best`, `last`, `averaged` or another name; by default the averaged one if there is one, else the
            best.
        overrides: of the search's settings, as `decoding.beam_size=1`; they are fixed in the export.
        n_best: translations of each text in `nbest`; the beam's size if absent.
        shortlist: target tokens that each source token may be translated by, counted from the run's training data;
            absent, all are scored, as `Translator` does.

    Returns:
        The folder of the new version, which appears once it is complete.

    Raises:
        UserError: if the run, the checkpoint or a setting is wrong, or the folder cannot be written.
    """
    model, tokenizers, config = load_for_search(run, checkpoint, overrides, n_best or 1)
    language_model, list_of_tokens = load_fused(config, tokenizers[1]), None
    ensemble, max_tokens = load_ensemble(config, tokenizers)
    for setting, asked in (("language_model", language_model), ("ensemble", ensemble)):
        if shortlist is not None and asked:
            raise UserError(f"nmt export --shortlist: expected no decoding.{setting}, which scores all tokens")
    if shortlist is not None and config.tokenizer.placeholders:
        raise UserError("nmt export --shortlist: expected no tokenizer.placeholders, whose symbols it might lack")
    if shortlist is not None:
        corpus = TokenizedCorpus.open(RunFolder(run).data, "train")
        every = int(corpus.target_lengths.sum() // _SHORTLIST_TOKENS) + 1
        batches = evaluation_batches(corpus, config.batches).shard(every, 0)  # they are sorted by length
        sizes = tokenizers[0].vocabulary_size, tokenizers[1].vocabulary_size
        list_of_tokens = make_shortlist(model, batches, sizes, shortlist, config.decoding.beam_size)
    graph = TextToText(
        model,
        *tokenizers,
        config.decoding,
        max_tokens,
        frozen=True,
        shortlist=list_of_tokens,
        language_model=language_model,
        ensemble=ensemble,
    )
    try:
        to.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to, prefix=".exporting-") as temporary:
            complete = Path(temporary) / "version"
            save(graph, complete, n_best or config.decoding.beam_size)
            write_warmup(complete, _some_texts(tokenizers[0]), to.resolve().name)
            version = to / str(max(map(int, _versions(to)), default=0) + 1)
            complete.rename(version)
    except OSError as error:
        raise UserError(f"{to}: cannot be written: {error.strerror}") from error
    except tf.errors.OpError as error:
        raise UserError(f"{to}: cannot be written: {error.message}") from error
    return version


def save(graph: TextToText, to: Path, n_best: int) -> None:
    """Writes the SavedModel alone."""

    def serving_default(text: tf.Tensor) -> dict[str, tf.Tensor]:
        translations, scores, _ = graph.translations(text)
        return {"translation": translations[:, 0], "score": scores[:, 0]}

    def nbest(text: tf.Tensor) -> dict[str, tf.Tensor]:
        translations, scores, log_probabilities = graph.translations(text, n_best)
        return {"translations": translations, "scores": scores, "log_probabilities": log_probabilities}

    def score(source: tf.Tensor, target: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probabilities, tokens = graph.score(source, target)
        return {"log_probability": log_probabilities, "tokens": tokens}

    # No more of this package goes along than three functions and what they read.
    exported = tf.Module()
    signatures = {
        function.__name__: tf.function(function, autograph=False).get_concrete_function(
            *(tf.TensorSpec((None,), tf.string, name=name) for name in names)
        )
        for function, names in ((serving_default, ["text"]), (nbest, ["text"]), (score, ["source", "target"]))
    }
    exported.read = [
        *{id(v): v for function in signatures.values() for v in function.graph.variables}.values(),
        graph.source_tokenizer,
        graph.target_tokenizer,
    ]
    tf.saved_model.save(exported, str(to), signatures)


def _versions(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.isdecimal()]


def _some_texts(tokenizer: Tokenizer) -> list[str]:
    """Texts of several lengths out of the vocabulary's words: what the run was trained on may be private."""
    pieces = tokenizer.pieces()
    words = [piece[1:] for piece in pieces if piece.startswith(WORD_START) and len(piece) > 1] or ["a"]
    return [" ".join((words * 25)[:count]) for count in (1, 6, 12, 25)]
