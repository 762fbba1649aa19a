"""Texts to translations in one graph: what the translator runs, and what is exported."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from nmt.config import DecodingSettings
from nmt.constants import END, PADDING
from nmt.decoding.beam_search import IMPOSSIBLE, Hypotheses, Memory, Scores, Step, beam_search, max_lengths
from nmt.decoding.ensemble import Member, begin_together, joint_scores, joint_step
from nmt.decoding.fusion import Fusion, fused_scores, fused_states, fused_step
from nmt.decoding.keeping import keeping_scores, keeping_states, keeping_step
from nmt.decoding.scoring import sentence_scores
from nmt.decoding.shortlist import Shortlist, candidates
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq
from nmt.models.token_model import score_tokens
from nmt.text.boundaries import WORD_START
from nmt.text.masking import encode_pair, hide, restore
from nmt.text.splitting import find_boundaries, split_long
from nmt.text.tokenizer import Tokenizer

# Batches that are searched at the same time: while one does the many small things of a step, which take one core, the
# other multiplies.
_AT_ONCE = 2
# Scores of a vocabulary for each token of so many pairs have to fit the memory.
LONGEST_SCORED = 512
_SCORED_AT_ONCE = 16


class Found(NamedTuple):
    """What the search has found for a batch of texts, whose parts are translated one by one."""

    parts: tf.Tensor  # int32 [texts], how many each text has; none if it is empty
    source: tf.RaggedTensor  # int32 [parts, (time)], closed by the end mark
    target: tf.RaggedTensor  # int32 [parts * n_best, (time)], closed by the end mark; empty if there are fewer
    scores: tf.Tensor  # [parts, n_best], below -1e8 if there are fewer
    log_probabilities: tf.Tensor  # [parts, n_best]
    placeholders: tf.Tensor  # strings [texts, symbols], see `nmt.text.masking.Hidden`


class TextToText(tf.Module):
    """A model, its tokenizers and its search: any strings in, strings out.

    A text of more tokens than `max_tokens` is split, at the ends of sentences or else of words where that can be, and
    its parts are translated one by one. An empty text, or one of white space only, has the translation "". Placeholders
    of the kinds that the tokenizers leave out are hidden from the model, and come back unchanged.

    Args:
        model: the model.
        source_tokenizer: of the texts.
        target_tokenizer: of the translations.
        settings: of the search.
        max_tokens: the longest input that the model has seen in training, its end mark included.
        frozen: whether the model's weights no longer change, so that the output's weights may be turned beforehand
            into the order in which they are read.
        shortlist: of the target tokens; absent, all are scored.
        language_model: of the same target tokens, for shallow fusion with the weight that `settings` give it; frozen.
        ensemble: further models of the same tokens that translate together with `model`; frozen.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        settings: DecodingSettings,
        max_tokens: int,
        frozen: bool = False,
        shortlist: Shortlist | None = None,
        language_model: LanguageModel | None = None,
        ensemble: Sequence[Seq2Seq] = (),
    ) -> None:
        if shortlist is not None and (language_model is not None or ensemble):
            raise ValueError("TextToText: expected no shortlist besides a language model or an ensemble")
        super().__init__(name="text_to_text")
        self.model = model
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.settings = settings
        self.max_tokens = max_tokens
        turned = frozen and shortlist is None
        self.output_weights = tf.Variable(model.output_weights(), trainable=False) if turned else None
        self.shortlist = shortlist and Shortlist(*(tf.Variable(table, trainable=False) for table in shortlist))
        self.language_model = language_model if settings.language_model_weight else None
        self.language_weights = (
            tf.Variable(self.language_model.output_weights(), trainable=False) if self.language_model else None
        )
        self.ensemble = [Member(one, tf.Variable(one.output_weights(), trainable=False)) for one in ensemble]
        self._boundaries = find_boundaries(source_tokenizer.pieces())
        pieces = target_tokenizer.pieces()
        self.space = None
        if target_tokenizer.placeholders:
            self.space = pieces.index(WORD_START) if WORD_START in pieces else -1

    def find(self, texts: tf.Tensor, n_best: int = 1) -> Found:
        """Tokenizes texts and searches their translations, in batches of like length.

        Args:
            texts: strings `[n]`, any bytes.
            n_best: translations of each, at most the beam's size.
        """
        hidden = hide(self.source_tokenizer.placeholders, texts)
        encoded = self.source_tokenizer.encode(hidden.source)
        parts, counts = split_long(encoded[:, :-1], self.max_tokens - 1, self._boundaries)
        ends = tf.fill((parts.nrows(), 1), END)
        source = tf.concat([parts, tf.RaggedTensor.from_tensor(ends, row_splits_dtype=parts.row_splits.dtype)], 1)
        return Found(tf.cast(counts, tf.int32), source, *self._search(source, n_best), hidden.placeholders)

    def translations(self, texts: tf.Tensor, n_best: int = 1) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Translates texts.

        Args:
            texts: strings `[n]`, any bytes.
            n_best: translations of each, at most the beam's size.

        Returns:
            The best translations of each, strings `[n, n_best]`, the best first; their scores and log-probabilities,
            `[n, n_best]`. Where there are fewer, "" and -1e9; of an empty text, "" and 0. A split text has the mean of
            its parts' scores and the sum of their log-probabilities.
        """
        return self.join(self.find(texts, n_best))

    def join(self, found: Found) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Makes whole texts of translated parts; returns what `translations` does."""
        decoded = tf.reshape(self.target_tokenizer.decode(found.target), (-1, found.scores.shape[1]))
        of_text = tf.RaggedTensor.from_row_lengths(tf.range(tf.shape(decoded)[0]), found.parts)
        text, texts = of_text.value_rowids(), tf.size(found.parts)
        enough = tf.cast(found.scores > IMPOSSIBLE / 2, tf.int32)
        enough = tf.math.unsorted_segment_min(enough, text, texts) > 0  # of an empty text too
        joined = tf.strings.unsorted_segment_join(decoded, text, texts, separator=" ")
        scores, log_probabilities = (
            tf.math.unsorted_segment_sum(x, text, texts) for x in (found.scores, found.log_probabilities)
        )
        scores /= tf.cast(tf.maximum(found.parts, 1), tf.float32)[:, None]
        return (
            restore(tf.where(enough, joined, ""), found.placeholders),
            tf.where(enough, scores, IMPOSSIBLE),
            tf.where(enough, log_probabilities, IMPOSSIBLE),
        )

    def score(self, source: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """log P(target | source) of given translations, of all models together; a language model is not asked.

        Args:
            source: strings `[n]`.
            target: strings `[n]`.

        Returns:
            Log-probabilities, `[n]`, and the number of tokens scored, int32 `[n]`, the end mark included. Of a text of
            more than 512 tokens only these are read.
        """
        tokenizers = self.source_tokenizer, self.target_tokenizer
        sides = [ids[:, :LONGEST_SCORED] for ids in encode_pair(tokenizers, source, target)]
        models = [self.model, *(member.model for member in self.ensemble)]

        def score_batch(chosen: tf.Tensor) -> tuple[tf.Tensor, ...]:
            padded = [tf.gather(side, chosen).to_tensor(PADDING) for side in sides]
            return sentence_scores(models, dict(zip(("source", "target"), padded, strict=True)))

        lengths = tf.maximum(*(side.row_lengths() for side in sides))
        (log_probabilities, tokens), order = _in_batches(
            lengths, _SCORED_AT_ONCE, score_batch, [(tf.float32, (None,)), (tf.float32, (None,))]
        )
        back = tf.math.invert_permutation(order)
        return tf.gather(log_probabilities, back), tf.cast(tf.gather(tokens, back), tf.int32)

    def _search(self, source: tf.RaggedTensor, wanted: int) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
        """`Found.target` and so on of parts in any order."""
        output_weights = None
        if self.shortlist is None:
            output_weights = self.model.output_weights() if self.output_weights is None else self.output_weights
            output_weights = tf.convert_to_tensor(output_weights)
        fusion = None
        if self.language_model is not None:
            weights = tf.convert_to_tensor(self.language_weights)
            fusion = Fusion(self.language_model, weights, self.settings.language_model_weight)
        ensemble = [Member(one, tf.convert_to_tensor(weights)) for one, weights in self.ensemble]

        def search_batch(chosen: tf.Tensor) -> tuple[tf.Tensor, ...]:
            rows = tf.gather(source, chosen).to_tensor(PADDING)
            found = search(
                self.model,
                rows,
                self.settings,
                wanted,
                output_weights,
                self.shortlist,
                fusion,
                ensemble,
                self.space,
            )
            scores = found.scores[:, :wanted]
            ids = tf.where(scores[..., None] > IMPOSSIBLE / 2, found.ids[:, :wanted], PADDING)
            ids = tf.reshape(ids, (-1, tf.shape(ids)[2]))
            real = ids != PADDING
            lengths = tf.math.count_nonzero(real, 1)
            return tf.boolean_mask(ids, real), lengths, scores, found.log_probabilities[:, :wanted]

        numbers = (tf.float32, (None, wanted))
        (values, lengths, scores, log_probabilities), order = _in_batches(
            source.row_lengths(),
            self.settings.sentences_at_once,
            search_batch,
            [(tf.int32, (None,)), (tf.int64, (None,)), numbers, numbers],
        )
        back = tf.math.invert_permutation(order)
        targets = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
        places = tf.reshape(back[:, None] * wanted + tf.range(wanted), (-1,))
        return tf.gather(targets, places), tf.gather(scores, back), tf.gather(log_probabilities, back)


def search(
    model: Seq2Seq,
    source: tf.Tensor,
    settings: DecodingSettings,
    wanted: int = 1,
    output_weights: tf.Tensor | None = None,
    shortlist: Shortlist | None = None,
    fusion: Fusion | None = None,
    ensemble: Sequence[Member] = (),
    space: int | None = None,
) -> Hypotheses:
    """Searches the translations of a batch.

    Args:
        model: the model.
        source: padded ids, int32 `[batch, time]`.
        settings: of the search.
        wanted: see `beam_search`.
        output_weights: `model.output_weights()`, if at hand.
        shortlist: of the target tokens, as tensors; absent, all are scored.
        fusion: a language model whose scores are added; not together with a shortlist.
        ensemble: further models that translate together with the first; not together with a shortlist.
        space: of a vocabulary with symbols, of which a translation then has each as often as its source, the token of
            a space, see `keeping_scores`; not together with a shortlist or fusion.
    """
    memory: Memory
    memory, states = model.begin(source, training=False)
    if shortlist is None:
        tokens = None
        weights = model.output_weights() if output_weights is None else output_weights
    else:
        tokens, allowed = candidates(shortlist, source)
        table = tf.gather(model.output_embedding.table, tokens)
        weights = tf.cast(tf.transpose(table), model.compute_dtype)

    def own_scores(vectors: tf.Tensor, sentence: tf.Tensor) -> tf.Tensor:
        values = score_tokens(vectors, weights)
        return values if shortlist is None else tf.where(tf.gather(allowed, sentence), values, IMPOSSIBLE)

    mask = source != PADDING
    step: Step = model.decoder.stepper()
    scores: Scores = own_scores
    if ensemble:
        memory, states = begin_together(ensemble, source, memory, states)
        step, scores = joint_step(ensemble, step), joint_scores(ensemble, scores)
    if fusion is not None:
        states = fused_states(fusion, states)
        step, scores = fused_step(fusion, step), fused_scores(fusion, scores)
    elif space is not None:
        limits = max_lengths(tf.math.count_nonzero(mask, 1, dtype=tf.int32), settings)
        step, scores = keeping_step(step), keeping_scores(scores, space)
        states = keeping_states(source, limits, states)
    normalized = fusion is None and space is None and not ensemble
    return beam_search(step, scores, memory, states, mask, settings, wanted, tokens, normalized)


def _in_batches(
    lengths: tf.Tensor,
    size: int,
    compute: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    outputs: Sequence[tuple[tf.DType, tuple[int | None, ...]]],
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Computes something of rows of like length, batch by batch.

    Args:
        lengths: of the rows.
        size: rows of a batch, at most.
        compute: from the rows' numbers to some tensors.
        outputs: type and shape of each of these.

    Returns:
        Each tensor of all batches, one after the other; and the rows' numbers in this order.
    """
    # The longest first, and all batches of about a size: none is left to be worked on alone in the end.
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    batches = (tf.size(order) + size - 1) // size
    size = (tf.size(order) + batches - 1) // tf.maximum(batches, 1)

    def one(index: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> tuple[tf.Tensor, tuple[tf.TensorArray, ...]]:
        values = compute(order[index * size : (index + 1) * size])
        return index + 1, tuple(array.write(index, value) for array, value in zip(arrays, values, strict=True))

    arrays = tuple(tf.TensorArray(dtype, batches, infer_shape=False, element_shape=shape) for dtype, shape in outputs)
    _, arrays = tf.while_loop(lambda index, _: index < batches, one, (0, arrays), parallel_iterations=_AT_ONCE)
    return [array.concat() for array in arrays], order
