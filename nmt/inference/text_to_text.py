"""Texts to translations in one graph: what the translator runs, and what is exported."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from nmt.constants import END, PADDING
from nmt.decoding.beam_search import Hypotheses, SearchOptions, beam_search
from nmt.decoding.constraints import Constraint, SymbolConstraint
from nmt.decoding.repetition import RepetitionConstraint
from nmt.decoding.scorers import IMPOSSIBLE, EnsembleScorer, FusedScorer, ModelScorer, Scorer, ShortlistScorer
from nmt.decoding.scoring import sentence_scores
from nmt.decoding.shortlist import Shortlist
from nmt.decoding.tags import TagConstraint
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq
from nmt.models.token_model import TokenModel
from nmt.text.boundaries import WORD_START, find_boundaries
from nmt.text.graph_capitals import are_in_capitals, upper
from nmt.text.graph_letters import are_unreadable
from nmt.text.graph_normalization import normalize_in_graph
from nmt.text.graph_truecaser import GraphTruecaser
from nmt.text.letters import count_letters
from nmt.text.masking import closers, encode_pair, mask, restore
from nmt.text.placeholders import SYMBOLS
from nmt.text.repetition import find_word_classes
from nmt.text.splitting import Sentences, join_sentences, split_long, split_sentences, whole
from nmt.text.tokenizer import Tokenizer
from nmt.text.truecaser import Truecaser

# Batches that are searched at the same time: while one does the many small things of a step, which take one core, the
# other multiplies.
_AT_ONCE = 2
# Scores of a vocabulary for each token of so many pairs have to fit the memory.
LONGEST_SCORED = 512
_SCORED_AT_ONCE = 16
# Tokens that a sentence is padded to where XLA compiles its search. Each length is compiled by itself, in some seconds.
COMPILED_LENGTHS = (16, 32, 64)


class Found(NamedTuple):
    """What the search has found for a batch of texts, whose sentences are translated one by one, in parts if long."""

    split: Sentences  # the texts' sentences; each text is a single one unless `split_sentences`
    in_capitals: tf.Tensor  # bool [sentences]; their translations are put in capitals
    placeholders: tf.Tensor  # strings [sentences, symbols], see `nmt.text.masking.Masked`
    parts: tf.Tensor  # int32 [sentences], how many each sentence has; none if it is empty
    source: tf.RaggedTensor  # int32 [parts, (time)], closed by the end token
    target: tf.RaggedTensor  # int32 [parts * n_best, (time)], closed by the end token; empty if there are fewer
    scores: tf.Tensor  # [parts, n_best], below -1e8 if there are fewer
    log_probabilities: tf.Tensor  # [parts, n_best]


class TextToText(tf.Module):
    """A model, its tokenizers and its search: any strings in, strings out.

    A sentence of more tokens than `max_tokens` is split, at what looks like its end or else at the ends of words, where
    there are any, and its parts are translated one by one. An empty text, or one of white space only, has the
    translation "". Placeholders of the kinds that the tokenizers mask are masked, and come back unchanged.

    Args:
        model: the `Seq2Seq` that translates.
        source_tokenizer: splits the texts.
        target_tokenizer: joins the translations.
        options: of the search; `n_best` comes from each call instead.
        max_tokens: int, the longest input that the model has seen in training, its end token included.
        sentences_at_once: int, the most sentences that are searched together.
        frozen: bool, whether the model's weights no longer change, so that the output's weights may be transposed
            beforehand into the order in which they are read.
        shortlist: restricts the target tokens that are scored; None scores all.
        language_model: a frozen model of the same target tokens for shallow fusion, or None.
        language_model_weight: float, see `nmt.decoding.scorers.FusedScorer`.
        ensemble: further frozen models of the same tokens that translate together with `model`.
        limit_repetition: bool, whether a `RepetitionConstraint` keeps translations from loops; not with a shortlist,
            which does not score all tokens.
        split_sentences: bool, whether a text's sentences are translated one by one, each as if it were alone, and the
            white space between and around them is kept; else a text is one sentence, and its white space is not kept.
        truecase: bool, whether a sentence in an unusual case is translated in the case of the training text; one in
            capitals then has its translation put in capitals.
        truecaser: what is known of the training text's case; None for nothing, so that only sentences in capitals are
            unusual. See `nmt.text.truecaser`.
        nest_tags: bool, whether masked tags are nested in translations; see `nmt.TagConstraint`.
        keep_unreadable: bool, whether a sentence without letters and digits, or in a script that the vocabulary lacks,
            stays as it is, with the score 0; see `nmt.text.letters`.
        source_language: str, its code, which decides where sentences end.
        target_language: str, its code, which decides on the white space between sentences.
        xla: bool, whether XLA compiles the search of the best translation where there is one sentence, of at most 64
            tokens. Its operations are so small that starting each takes longer than computing it.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        options: SearchOptions,
        max_tokens: int,
        sentences_at_once: int = 128,
        frozen: bool = False,
        shortlist: Shortlist | None = None,
        language_model: LanguageModel | None = None,
        language_model_weight: float = 0.0,
        ensemble: Sequence[Seq2Seq] = (),
        limit_repetition: bool = False,
        split_sentences: bool = False,
        truecase: bool = False,
        truecaser: Truecaser | None = None,
        nest_tags: bool = False,
        keep_unreadable: bool = False,
        source_language: str = "",
        target_language: str = "",
        xla: bool = False,
    ) -> None:
        fused = language_model if language_model_weight else None
        if shortlist is not None and (fused is not None or ensemble):
            raise ValueError("TextToText: expected no `shortlist` with `language_model` or `ensemble`, got both")
        super().__init__(name="text_to_text")
        self.model = model
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.options = options
        self.max_tokens = max_tokens
        self.sentences_at_once = sentences_at_once
        self.split_sentences = split_sentences
        truecaser = truecaser or Truecaser(language=source_language)
        self.truecaser = GraphTruecaser(truecaser) if truecase else None
        self.source_language = source_language
        self.target_language = target_language
        self.xla = xla
        self.shortlist = shortlist and Shortlist(*(tf.Variable(table, trainable=False) for table in shortlist))
        self.language_model = fused
        self.language_model_weight = language_model_weight
        self.ensemble = list(ensemble)
        transposed = [model] if frozen and shortlist is None else []
        transposed += [*self.ensemble, *([fused] if fused else [])]
        self._output_weights = {id(one): tf.Variable(one.output_weights(), trainable=False) for one in transposed}
        self._boundaries = find_boundaries(source_tokenizer.pieces())
        self._letters = count_letters(source_tokenizer.pieces()) if keep_unreadable else None
        self._nest_tags = nest_tags and bool({"tags", "braces"} & set(target_tokenizer.placeholders))
        self._constraints: list[Constraint] = []
        if target_tokenizer.placeholders:
            pieces = target_tokenizer.pieces()
            space = pieces.index(WORD_START) if WORD_START in pieces else -1
            self._constraints.append(SymbolConstraint(END + 1, len(SYMBOLS), END, space))
        self._repetition: RepetitionConstraint | None = None
        if limit_repetition and shortlist is None:
            symbols = range(END + 1, END + 1 + len(SYMBOLS)) if target_tokenizer.placeholders else ()
            source, target = (find_word_classes(one.pieces()) for one in (source_tokenizer, target_tokenizer))
            self._repetition = RepetitionConstraint(tuple(symbols), source_classes=source, target_classes=target)
            self._constraints.append(self._repetition)

    def reload_tokenizers(self) -> None:
        """Loads the tokenizers again where TensorFlow has freed them, for a graph that is made anew."""
        for tokenizer in {id(one): one for one in (self.source_tokenizer, self.target_tokenizer)}.values():
            tokenizer.reload()

    def find(self, texts: tf.Tensor, n_best: int = 1) -> Found:
        """Tokenizes texts and searches their translations, in batches of like length.

        Args:
            texts: strings `[n]`, any bytes.
            n_best: translations of each, at most the beam's size.
        """
        kinds = self.source_tokenizer.placeholders
        split = split_sentences(texts, self.source_language, kinds) if self.split_sentences else whole(texts)
        # Each sentence's placeholders are numbered by themselves, so that it is translated as if it were alone.
        masked = mask(kinds, split.sentences.flat_values)
        sentences = normalize_in_graph(masked.source)
        in_capitals = tf.zeros_like(sentences, tf.bool)
        if self.truecaser is not None:
            in_capitals = are_in_capitals(sentences)
            sentences = self.truecaser.restore(sentences)
        encoded = self.source_tokenizer.encode(sentences, normalized=True)
        unreadable = tf.zeros((encoded.nrows(),), tf.bool)
        if self._letters is not None:
            unreadable = are_unreadable(encoded, self._letters)
        read = tf.where(~unreadable)[:, 0]
        # Each row is closed by the end token, which no text contains.
        without_ends = tf.RaggedTensor.from_row_lengths(
            tf.gather_nd(encoded.flat_values, tf.where(encoded.flat_values != END)),
            encoded.row_lengths() - 1,
            validate=False,
        )
        parts, of_sentence = split_long(tf.gather(without_ends, read), self.max_tokens - 1, self._boundaries)
        ends = tf.fill((parts.nrows(), 1), END)
        source = tf.concat([parts, tf.RaggedTensor.from_tensor(ends, row_splits_dtype=parts.row_splits.dtype)], 1)
        sentence = tf.gather(read, of_sentence)
        found: tuple[Any, ...] = source, *self._search(source, n_best, tf.gather(masked.placeholders, sentence))
        if self._letters is not None:
            kept = tf.where(unreadable)[:, 0]
            sentence = tf.concat([sentence, kept], 0)
            found = self._with_kept(found, tf.gather(encoded, kept), tf.argsort(sentence, stable=True), n_best)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(sentence, tf.int32), sentence, tf.size(sentences))
        return Found(split, in_capitals, masked.placeholders, counts, *found)

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
        of_sentence = tf.RaggedTensor.from_row_lengths(decoded, found.parts, validate=False)
        sentence, sentences = of_sentence.value_rowids(), tf.size(found.parts)
        joined = tf.strings.unsorted_segment_join(decoded, sentence, sentences, separator=" ")
        if self.truecaser is not None:
            joined = tf.where(found.in_capitals[:, None], upper(joined, self.target_language), joined)
        texts = join_sentences(restore(joined, found.placeholders), found.split, self.target_language)

        text, count = tf.gather(found.split.sentences.value_rowids(), sentence), found.split.sentences.nrows()
        parts = tf.math.unsorted_segment_sum(tf.ones_like(text), text, count)[:, None]
        enough = tf.cast(found.scores > IMPOSSIBLE / 2, tf.int32)
        enough = tf.math.unsorted_segment_min(enough, text, count) > 0  # of an empty text too
        scores, log_probabilities = (
            tf.math.unsorted_segment_sum(x, text, count) for x in (found.scores, found.log_probabilities)
        )
        scores /= tf.cast(tf.maximum(parts, 1), tf.float32)
        return (
            tf.where(enough & (parts > 0), texts, ""),
            tf.where(enough, scores, IMPOSSIBLE),
            tf.where(enough, log_probabilities, IMPOSSIBLE),
        )

    def score(self, source: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """log P(target | source) of given translations, of all models together; a language model is not asked.

        Args:
            source: strings `[n]`.
            target: strings `[n]`.

        Returns:
            Log-probabilities, `[n]`, and the number of tokens scored, int32 `[n]`, the end token included. Of a text of
            more than 512 tokens only these are read.
        """
        tokenizers = self.source_tokenizer, self.target_tokenizer
        sides = [ids[:, :LONGEST_SCORED] for ids in encode_pair(tokenizers, source, target)]
        models = [self.model, *self.ensemble]

        def score_batch(chosen: tf.Tensor) -> tuple[tf.Tensor, ...]:
            padded = [tf.gather(side, chosen).to_tensor(PADDING) for side in sides]
            return sentence_scores(models, *padded)

        lengths = tf.maximum(*(side.row_lengths() for side in sides))
        (log_probabilities, tokens), order = _in_batches(
            lengths, _SCORED_AT_ONCE, score_batch, [(tf.float32, (None,)), (tf.float32, (None,))]
        )
        back = tf.math.invert_permutation(order)
        return tf.gather(log_probabilities, back), tf.cast(tf.gather(tokens, back), tf.int32)

    def _with_kept(
        self, found: tuple[Any, ...], kept: tf.RaggedTensor, order: tf.Tensor, n_best: int
    ) -> tuple[Any, ...]:
        """Adds sentences that the model cannot read: each is its own translation, the only one, with the score 0.

        Args:
            found: `Found.source` and so on of what was translated.
            kept: int32 `[n, (time)]`, the other sentences, closed by the end token.
            order: for each part of the result, its place in `found` followed by `kept`.
            n_best: translations of each.
        """
        source, target, *scores = found
        own = self.target_tokenizer.encode(self.source_tokenizer.decode(kept), normalized=True)
        others = [[0, 0], [0, n_best - 1]]
        lengths = tf.reshape(tf.pad(own.row_lengths()[:, None], others), (-1,))
        own = tf.RaggedTensor.from_row_lengths(own.flat_values, lengths, validate=False)
        zero = tf.pad(tf.zeros((kept.nrows(), 1)), others, constant_values=IMPOSSIBLE)
        rows = tf.reshape(order[:, None] * n_best + tf.range(n_best), (-1,))
        return (
            tf.gather(tf.concat([source, kept], 0), order),
            tf.gather(tf.concat([target, own], 0), rows),
            *(tf.gather(tf.concat([one, zero], 0), order) for one in scores),
        )

    def _search(
        self, source: tf.RaggedTensor, n_best: int, placeholders: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
        """`Found.target` and so on of parts in any order, each with the placeholders of its sentence."""
        scorer, options = self._scorer(), self.options._replace(n_best=n_best)
        tags = closers(placeholders) if self._nest_tags else None

        def search(rows: tf.Tensor, *tags: tf.Tensor) -> Hypotheses:
            constraints = list(self._constraints)
            constraints[1:1] = [TagConstraint(one, END + 1) for one in tags]
            return beam_search(scorer, rows, constraints, **options._asdict())

        search = _compiled(search) if self.xla and n_best == 1 else search

        def search_batch(chosen: tf.Tensor) -> tuple[tf.Tensor, ...]:
            rows = tf.gather(source, chosen).to_tensor(PADDING)
            found = search(rows, *([] if tags is None else [tf.gather(tags, chosen)]))
            scores = found.scores[:, :n_best]
            ids = tf.where(scores[..., None] > IMPOSSIBLE / 2, found.ids[:, :n_best], PADDING)
            ids = tf.reshape(ids, (-1, tf.shape(ids)[2]))
            real = ids != PADDING
            if self._repetition is not None:
                real &= ~self._repetition.left_out(rows, ids)
            lengths = tf.math.count_nonzero(real, 1)
            return tf.gather_nd(ids, tf.where(real)), lengths, scores, found.log_probabilities[:, :n_best]

        numbers = (tf.float32, (None, n_best))
        (values, lengths, scores, log_probabilities), order = _in_batches(
            source.row_lengths(),
            self.sentences_at_once,
            search_batch,
            [(tf.int32, (None,)), (tf.int64, (None,)), numbers, numbers],
        )
        back = tf.math.invert_permutation(order)
        targets = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
        places = tf.reshape(back[:, None] * n_best + tf.range(n_best), (-1,))
        return tf.gather(targets, places), tf.gather(scores, back), tf.gather(log_probabilities, back)

    def _scorer(self) -> Scorer:
        """The scorer of the model, its ensemble and its language model; it reads their weights once for all batches."""
        if self.shortlist is not None:
            return ShortlistScorer(self.model, Shortlist(*map(tf.convert_to_tensor, self.shortlist)))

        def of_model(model: TokenModel) -> Scorer:
            weights = self._output_weights.get(id(model))
            return ModelScorer(model, None if weights is None else tf.convert_to_tensor(weights))

        scorer = of_model(self.model)
        if self.ensemble:
            scorer = EnsembleScorer([scorer, *map(of_model, self.ensemble)])
        if self.language_model is not None:
            scorer = FusedScorer(scorer, of_model(self.language_model), self.language_model_weight)
        return scorer


def _compiled(search: Callable[..., Hypotheses]) -> Callable[..., Hypotheses]:
    """Has XLA compile the search of a short sentence that comes alone, padded to one of a few lengths."""
    compiled = tf.function(search, jit_compile=True, autograph=False)

    def search_either(rows: tf.Tensor, *others: tf.Tensor) -> Hypotheses:
        time = tf.shape(rows)[1]
        lengths = tf.constant(COMPILED_LENGTHS)

        def search_padded() -> Hypotheses:
            length = tf.reduce_min(tf.where(lengths >= time, lengths, COMPILED_LENGTHS[-1]))
            return compiled(tf.pad(rows, [[0, 0], [0, length - time]], constant_values=PADDING), *others)

        fits = (tf.shape(rows)[0] == 1) & (time <= COMPILED_LENGTHS[-1])
        return tf.cond(fits, search_padded, lambda: search(rows, *others))

    return search_either


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
    if tf.executing_eagerly() and not batches:  # outside a graph, TensorFlow cannot join no arrays
        return [tf.zeros([known or 0 for known in shape], dtype) for dtype, shape in outputs], order

    def one(index: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> tuple[tf.Tensor, tuple[tf.TensorArray, ...]]:
        values = compute(order[index * size : (index + 1) * size])
        return index + 1, tuple(array.write(index, value) for array, value in zip(arrays, values, strict=True))

    arrays = tuple(tf.TensorArray(dtype, batches, infer_shape=False, element_shape=shape) for dtype, shape in outputs)
    _, arrays = tf.while_loop(lambda index, _: index < batches, one, (0, arrays), parallel_iterations=_AT_ONCE)
    return [array.concat() for array in arrays], order
