"""The translator: strings in, strings out."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from nmt.constants import PADDING
from nmt.decoding.beam_search import SearchOptions
from nmt.decoding.scorers import IMPOSSIBLE, mean
from nmt.inference.alignment import CONTROL_PIECES, number_target_words, number_words_of_sentences
from nmt.inference.text_scoring import not_finite
from nmt.inference.text_to_text import Found, TextToText
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq
from nmt.text.boundaries import WORD_START
from nmt.text.placeholders import SYMBOLS
from nmt.text.sentences import space_between
from nmt.text.tokenizer import Tokenizer
from nmt.text.truecaser import Truecaser
from nmt.utils.arguments import check_texts
from nmt.utils.forks import LoadedHere
from nmt.utils.lines import read_ahead

_LOG = logging.getLogger(__name__)

# Lines read ahead, in batches, so that those of similar length are translated together.
WINDOW_BATCHES = 16
# The first call translates up to this many lines of up to this many characters faster than the graph can be traced.
_FEW_LINES, _SHORT_LINE = 8, 300

Texts = TypeVar("Texts", str, list[str])


class Hypothesis(NamedTuple):
    """A translation of one line."""

    text: str
    score: float  # normalised by length and coverage
    log_probability: float
    source_pieces: list[str]
    target_pieces: list[str]
    attention: np.ndarray | None  # [target pieces, source pieces], end tokens included, where it was asked for
    # With attention: the numbers of the words that each piece belongs to, in the text as it was given and in `text`.
    source_words: list[tuple[int, ...]] | None = None
    target_words: list[tuple[int, ...]] | None = None


class Translator:
    """Translates with a model, in batches of similar length, keeping the order.

    A text's translation does not depend on the texts around it. A sentence of more tokens than `max_tokens` is split,
    at what looks like its end or else at the ends of words, where there are any, and its parts are translated one by
    one. The whole way from string to string is one graph, `nmt.inference.text_to_text.TextToText`, the same that is
    exported for serving.

    Args:
        model: the `Seq2Seq` that translates.
        tokenizer: splits the texts; also joins the translations, unless there is a `target_tokenizer`.
        target_tokenizer: joins the translations where the two languages have vocabularies of their own.
        beam_size: int, hypotheses kept open; 1 is greedy search.
        length_penalty: float, see `nmt.beam_search`, as for the arguments down to `min_length`.
        coverage_penalty: float.
        max_length_factor: float.
        max_length_offset: int.
        min_length: int.
        max_tokens: int, the longest input that the model has seen in training, its end token included.
        batch_size: int or None, sentences searched together; by default as many as make 640 hypotheses, at most 320.
        n_best: int, translations of each text that `hypotheses` gives; at most `beam_size`.
        attention: bool, whether hypotheses hold what the decoder attended to.
        frozen: bool, whether the model's weights no longer change, which makes the search a little faster.
        language_model: a `LanguageModel` of the same target tokens whose log-probabilities are added, or None.
        language_model_weight: float, their weight; see `nmt.decoding.scorers.FusedScorer`.
        ensemble: further models of the same tokens that translate together with `model`; see
            `nmt.decoding.scorers.EnsembleScorer`.
        limit_repetition: bool, whether what a translation repeats is limited by what its source repeats; see
            `nmt.RepetitionConstraint`.
        split_sentences: bool, whether the sentences of a text are translated one by one, as if each were alone, and the
            white space between and around them is kept. Else a text is taken for one sentence, its white space is not
            kept.
        truecase: bool, whether a sentence in an unusual case is translated in the case of the training text; one in
            capitals then has its translation put in capitals.
        truecaser: what is known of the training text's case; None for nothing, so that only sentences in capitals are
            unusual. See `nmt.text.truecaser`.
        nest_tags: bool, whether masked tags are nested in translations; see `nmt.TagConstraint`.
        keep_unreadable: bool, whether a sentence without letters and digits, or in a script that the vocabulary lacks,
            stays as it is, with the score 0; see `nmt.text.letters`.
        source_language: str, the code of the language that the texts are in, which decides where sentences end.
        target_language: str, the code of the other, which decides on the white space between sentences.

    Example:

    >>> from nmt.text.tokenizer import train_tokenizer
    >>> tokenizer = Tokenizer(train_tokenizer(["the cat sat on the mat"], vocabulary_size=300))
    >>> model = Seq2Seq(tokenizer.vocabulary_size, units=8, seed=1)
    >>> translations = Translator(model, tokenizer).translate(["the cat", ""])
    >>> len(translations), translations[1]
    (2, '')
    """

    def __init__(
        self,
        model: Seq2Seq,
        tokenizer: Tokenizer,
        target_tokenizer: Tokenizer | None = None,
        *,
        beam_size: int = 5,
        length_penalty: float = 1.0,
        coverage_penalty: float = 0.0,
        max_length_factor: float = 2.0,
        max_length_offset: int = 20,
        min_length: int = 0,
        max_tokens: int = 100,
        batch_size: int | None = None,
        n_best: int = 1,
        attention: bool = False,
        frozen: bool = False,
        language_model: LanguageModel | None = None,
        language_model_weight: float = 0.0,
        ensemble: Sequence[Seq2Seq] = (),
        limit_repetition: bool = True,
        split_sentences: bool = True,
        truecase: bool = True,
        truecaser: Truecaser | None = None,
        nest_tags: bool = True,
        keep_unreadable: bool = True,
        source_language: str = "",
        target_language: str = "",
    ) -> None:
        if not 1 <= n_best <= beam_size:
            raise ValueError(f"Translator: expected `n_best` from 1 to `beam_size` {beam_size}, got {n_best}")
        options = SearchOptions(
            beam_size, length_penalty, coverage_penalty, max_length_factor, max_length_offset, min_length, n_best,
            model.begin_id, model.end_id,
        )  # fmt: skip
        self.text_to_text = TextToText(
            model,
            tokenizer,
            target_tokenizer or tokenizer,
            options,
            max_tokens,
            sentences_at_once(beam_size, batch_size),
            frozen,
            language_model=language_model,
            language_model_weight=language_model_weight,
            ensemble=ensemble,
            limit_repetition=limit_repetition,
            split_sentences=split_sentences,
            truecase=truecase,
            truecaser=truecaser,
            nest_tags=nest_tags,
            keep_unreadable=keep_unreadable,
            source_language=source_language,
            target_language=target_language,
        )
        self.n_best = n_best
        self.attention = attention
        self._loaded = LoadedHere()
        self._begun = False  # whether anything has been translated
        self._ensemble = [model, *ensemble]
        self._make_graphs()

    def _make_graphs(self) -> None:
        texts, ids = tf.TensorSpec((None,), tf.string), tf.TensorSpec((None, None), tf.int32)
        self._translate = tf.function(self._find_all, input_signature=[texts], autograph=False)
        self._attend = tf.function(
            lambda source, target: mean([one.attention_weights(source, target) for one in self._ensemble]),
            input_signature=[ids, ids],
            autograph=False,
        )

    def translate(self, texts: Texts) -> Texts:
        """Translates texts.

        Args:
            texts: a list of strings, or a single one. An empty text stays empty.

        Returns:
            The best translation of each, in order; for a single string, a string.

        Raises:
            TypeError: if a text is not a string.
            RuntimeError: in a process that was forked after the translator was loaded.
        """
        if isinstance(texts, str):
            return next(self.best([texts]))
        return list(self.best(check_texts(texts, "texts", str)))

    def best(self, lines: Iterable[str]) -> Iterator[str]:
        """The best translation of each line of a stream; an empty line stays empty."""
        return (hypotheses[0].text if hypotheses else "" for hypotheses in self.hypotheses(lines))

    def hypotheses(
        self, lines: Iterable[str], is_ready: Callable[[], bool] | None = None
    ) -> Iterator[list[Hypothesis]]:
        """Translates a stream of lines.

        Args:
            lines: strings.
            is_ready: function that says whether the next line can be read without waiting. Those read so far are
                translated when it cannot; None reads some batches before any is translated.

        Yields:
            For each line, in order, its `n_best` hypotheses, the best first. An empty line, or one of white space
            only, has none.

        Raises:
            TypeError: if a line is not a string, or `lines` is a single one.
            UserError: if the model's scores are no numbers.
            RuntimeError: in a process that was forked after the translator was loaded.
        """
        return self._hypotheses(check_texts(lines, "lines", str), is_ready)

    def _hypotheses(self, lines: Iterator[str], is_ready: Callable[[], bool] | None) -> Iterator[list[Hypothesis]]:
        index, window = 0, WINDOW_BATCHES * self.text_to_text.sentences_at_once
        while chunk := read_ahead(lines, window, is_ready):
            self._loaded.check("the translator")
            # UTF-8 has no form for half a surrogate pair, which becomes a question mark.
            texts = tf.constant([line.encode(errors="replace") for line in chunk])
            translate = self._translate if self._begun or not _is_little(chunk) else self._find_all
            self._begun = True
            try:
                found, joined = translate(texts)
            except tf.errors.NotFoundError:
                # TensorFlow frees loaded tokenizers with its cache of kernels, which tf.random.set_seed empties.
                self.text_to_text.reload_tokenizers()
                self._make_graphs()
                found, joined = self._translate(texts)
            yield from self._readable(found, joined, index)
            index += len(chunk)

    def trace(self) -> None:
        """Traces the graph now, which takes some seconds, so that every translation after it is fast.

        Without this, a first call with a few short texts runs eagerly, which is faster than tracing; the second call
        traces the graph.
        """
        self._begun = True
        self._translate.get_concrete_function()

    def _find_all(self, texts: tf.Tensor) -> tuple[Found, tuple[tf.Tensor, ...]]:
        found = self.text_to_text.find(texts, self.n_best)
        return found, self.text_to_text.join(found)

    def _readable(self, found: Found, joined: tuple[tf.Tensor, ...], index: int) -> Iterator[list[Hypothesis]]:
        """Takes the search's arrays apart, line by line."""
        sentences = self._sentences(found)
        by_line = zip(found.split.sentences.row_lengths().numpy(), *(x.numpy() for x in joined), strict=True)
        for line, (count, *of_line) in enumerate(by_line, index + 1):
            of_sentences = list(itertools.islice(sentences, count))
            for sentence in of_sentences:
                if len(sentence.parts) > 1:
                    _LOG.warning(
                        "line %d: %d tokens are more than the model has seen; translated in %d parts",
                        line, sum(len(part.source) - 1 for part in sentence.parts) + 1, len(sentence.parts),
                    )  # fmt: skip
            yield self._hypotheses_of(of_sentences, of_line, line)

    def _sentences(self, found: Found) -> Iterator["_Sentence"]:
        """Takes the search's arrays apart, sentence by sentence."""
        source, target, n_best = found.source.to_list(), found.target.to_list(), self.n_best
        attention = self._attention(found) if self.attention else itertools.repeat(np.zeros(0))
        first = 0
        columns = found.split.before.flat_values, found.split.sentences.flat_values, found.placeholders, found.parts
        for before, text, placeholders, count in zip(*(column.numpy() for column in columns), strict=True):
            parts = [
                _Part(
                    source[place],
                    target[place * n_best : (place + 1) * n_best],
                    list(itertools.islice(attention, n_best)),
                )
                for place in range(first, first + count)
            ]
            first += count
            yield _Sentence(
                before.decode(), text.decode(errors="replace"), [one.decode() for one in placeholders], parts
            )

    def _hypotheses_of(
        self, sentences: Sequence["_Sentence"], joined: Sequence[np.ndarray], line: int
    ) -> list[Hypothesis]:
        """Makes the hypotheses of a line from those of its sentences, the best first."""
        parts = [(part, sentence) for sentence in sentences for part in sentence.parts]
        source = [self.text_to_text.source_tokenizer.pieces(part.source) for part, _ in parts]
        source_words = self._source_words(sentences) if self.attention else None
        hypotheses: list[Hypothesis] = []
        for rank, (text, score, log_probability) in enumerate(zip(*joined, strict=True)):
            if parts and not rank and not score > IMPOSSIBLE / 2:  # NaN is in no order, so that nothing is found
                raise not_finite(line)
            if not parts or score < IMPOSSIBLE / 2:  # fewer hypotheses than asked
                break
            target = [self.text_to_text.target_tokenizer.pieces(part.targets[rank]) for part, _ in parts]
            matrices = [part.attention[rank] for part, _ in parts]
            shapes = [(len(row), len(column)) for row, column in zip(target, source, strict=True)]
            hypotheses.append(
                Hypothesis(
                    text.decode(),
                    float(score),
                    float(log_probability),
                    _named(source, parts),
                    _named(target, parts),
                    _side_by_side(matrices, shapes) if self.attention else None,
                    source_words,
                    self._target_words(sentences, target) if self.attention else None,
                )
            )
        return hypotheses

    def _source_words(self, sentences: Sequence["_Sentence"]) -> list[tuple[int, ...]]:
        """The numbers of the words of a line that each source piece belongs to."""
        tokenizer = self.text_to_text.source_tokenizer
        pieces = ([piece for part in one.parts for piece in tokenizer.pieces(part.source)] for one in sentences)
        rows = [(one.before, one.text, of_one) for one, of_one in zip(sentences, pieces, strict=True)]
        return number_words_of_sentences(rows, tokenizer.placeholders)

    def _target_words(self, sentences: Sequence["_Sentence"], target: list[list[str]]) -> list[tuple[int, ...]]:
        """The numbers of the words of a line's translation that each target piece belongs to."""
        spaces = [
            space_between(sentence.before, self.text_to_text.target_language) if place else ""
            for place, sentence in enumerate(sentences)
        ]
        rest = iter(target)
        of_sentences = [list(itertools.islice(rest, len(sentence.parts))) for sentence in sentences]
        return number_target_words(of_sentences, [sentence.placeholders for sentence in sentences], spaces)

    def _attention(self, found: Found) -> Iterator[np.ndarray]:
        """What the decoder attends to in each hypothesis of each part, padded, `[target time, source time]`.

        The search keeps none of it: it follows from the finished translation, all steps at once.
        """
        n_best, size = self.n_best, self.text_to_text.sentences_at_once
        for start in range(0, int(found.source.nrows()), size):
            source = found.source[start : start + size].to_tensor(PADDING)
            target = found.target[start * n_best : (start + size) * n_best].to_tensor(PADDING)
            yield from self._attend(tf.repeat(source, n_best, axis=0), target).numpy()


def _is_little(lines: Sequence[str]) -> bool:
    """Whether there are so few and such short lines that translating them eagerly is faster than tracing the graph."""
    return len(lines) <= _FEW_LINES and max(map(len, lines)) <= _SHORT_LINE


class _Part(NamedTuple):
    """A part of a sentence that was translated by itself."""

    source: list[int]
    targets: list[list[int]]  # the best first
    attention: list[np.ndarray]  # of each target; empty arrays unless it was asked for


class _Sentence(NamedTuple):
    """A sentence of a line, as it was given."""

    before: str  # the white space before it
    text: str
    placeholders: list[str]  # of each symbol
    parts: list[_Part]


def _named(pieces: Sequence[Sequence[str]], parts: Sequence[tuple[_Part, _Sentence]]) -> list[str]:
    """The pieces of all parts, with placeholders in the place of symbols."""
    names = [_names(sentence.placeholders) for _, sentence in parts]
    return [of_part.get(piece, piece) for of_part, row in zip(names, pieces, strict=True) for piece in row]


def _names(placeholders: Sequence[str]) -> dict[str, str]:
    """What people see in place of symbols, but for tags that would be taken for control pieces.

    A symbol without a placeholder, which leaves nothing in the text, becomes a space, which begins no word by itself.
    """
    texts = (placeholder or WORD_START for placeholder in placeholders)
    return {symbol: text for symbol, text in zip(SYMBOLS, texts, strict=False) if text not in CONTROL_PIECES}


def _side_by_side(matrices: list[np.ndarray], shapes: list[tuple[int, int]]) -> np.ndarray:
    """The upper left part of each matrix, one after the other along the diagonal: no part attends to another."""
    heights, widths = zip(*shapes, strict=True)
    whole = np.zeros((sum(heights), sum(widths)), np.float32)
    row = column = 0
    for matrix, (height, width) in zip(matrices, shapes, strict=True):
        whole[row : row + height, column : column + width] = matrix[:height, :width]
        row, column = row + height, column + width
    return whole


def sentences_at_once(beam_size: int, batch_size: int | None = None) -> int:
    """Sentences searched together: enough rows for the products to be fast, unless `batch_size` says otherwise.

    Example:

    >>> sentences_at_once(5), sentences_at_once(1), sentences_at_once(5, batch_size=32)
    (128, 320, 32)
    """
    return batch_size or min(320, max(1, 640 // beam_size))
