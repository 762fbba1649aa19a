"""The translator: strings in, strings out."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nmt.config import DecodingSettings
from nmt.constants import PADDING
from nmt.decoding.beam_search import IMPOSSIBLE
from nmt.decoding.ensemble import attention_of
from nmt.inference.alignment import CONTROL_PIECES
from nmt.inference.text_to_text import Found, TextToText
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq
from nmt.text.boundaries import WORD_START
from nmt.text.placeholders import SYMBOLS
from nmt.text.tokenizer import Tokenizer

# Lines read ahead, in batches, so that those of like length are translated together.
WINDOW_BATCHES = 16


class Hypothesis(NamedTuple):
    """A translation of one line."""

    text: str
    score: float  # normalised by length and coverage
    log_probability: float
    source_pieces: list[str]
    target_pieces: list[str]
    attention: np.ndarray | None  # [target pieces, source pieces], end marks included, where it was asked for


class Translator:
    """Translates lines with a model, in batches of like length, keeping their order.

    A line's translation does not depend on the lines around it. An empty line, or one of white space only, has no
    hypothesis. A line of more tokens than `max_tokens` is split, at the ends of sentences or else of words where that
    can be, and its parts are translated one by one. The texts' whole way is one graph, `TextToText`, the same that
    `nmt export` writes.

    Args:
        model: the model.
        source_tokenizer: of the lines.
        target_tokenizer: of the translations.
        settings: of the search.
        max_tokens: the longest input that the model has seen in training.
        n_best: translations of each line, at most the beam's size.
        on_split: called with a line's index from 0, its tokens and the number of its parts when it is split.
        attention: whether hypotheses tell what the decoder attended to.
        frozen: whether the model's weights no longer change.
        language_model: see `TextToText`. Log-probabilities then are those of `nmt.decoding.fusion`.
        ensemble: see `TextToText`. Log-probabilities then are those of `nmt.decoding.ensemble`.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        settings: DecodingSettings,
        max_tokens: int,
        n_best: int = 1,
        on_split: Callable[[int, int, int], None] = lambda line, tokens, parts: None,
        attention: bool = False,
        frozen: bool = False,
        language_model: LanguageModel | None = None,
        ensemble: Sequence[Seq2Seq] = (),
    ) -> None:
        if not 1 <= n_best <= settings.beam_size:
            raise ValueError(f"Translator: expected n_best from 1 to the beam's {settings.beam_size}, got {n_best}")
        self.text_to_text = TextToText(
            model,
            source_tokenizer,
            target_tokenizer,
            settings,
            max_tokens,
            frozen,
            language_model=language_model,
            ensemble=ensemble,
        )
        self.settings = settings
        self.n_best = n_best
        self.on_split = on_split
        self.attention = attention
        texts, ids = tf.TensorSpec((None,), tf.string), tf.TensorSpec((None, None), tf.int32)
        self._translate = tf.function(self._found_and_joined, input_signature=[texts], autograph=False)
        self._attend = tf.function(
            lambda source, target: attention_of([model, *ensemble], {"source": source, "target": target}),
            input_signature=[ids, ids],
            autograph=False,
        )

    def translate(self, lines: Iterable[str], window: int | None = None) -> Iterator[list[Hypothesis]]:
        """Translates a stream of lines.

        Args:
            lines: any strings.
            window: lines to read before any is translated; by default some batches.

        Yields:
            For each line, in order, its best hypotheses, the best first.
        """
        lines, index = iter(lines), 0
        window = window or WINDOW_BATCHES * self.settings.sentences_at_once
        while chunk := list(itertools.islice(lines, window)):
            found, joined = self._translate(tf.constant([_bytes(line) for line in chunk]))
            yield from self._readable(found, joined, index)
            index += len(chunk)

    def best(self, lines: Iterable[str]) -> Iterator[str]:
        """The best translation of each line; an empty line stays empty."""
        return (hypotheses[0].text if hypotheses else "" for hypotheses in self.translate(lines))

    def _found_and_joined(self, texts: tf.Tensor) -> tuple[Found, tuple[tf.Tensor, ...]]:
        found = self.text_to_text.find(texts, self.n_best)
        return found, self.text_to_text.join(found)

    def _readable(self, found: Found, joined: tuple[tf.Tensor, ...], index: int) -> Iterator[list[Hypothesis]]:
        """Takes the search's arrays apart, line by line."""
        graph = self.text_to_text
        source, target = found.source.to_list(), found.target.to_list()
        attention = self._attention(found) if self.attention else None
        first = 0
        by_line = (x.numpy() for x in (found.placeholders, found.parts, *joined))
        for line, (placeholders, parts, *of_line) in enumerate(zip(*by_line, strict=True)):
            names = _names(placeholders)
            of_parts = source[first : first + parts]
            if parts > 1:
                self.on_split(index + line, sum(len(ids) - 1 for ids in of_parts) + 1, int(parts))
            weights = list(itertools.islice(attention, parts * self.n_best)) if attention else None
            hypotheses = []
            for rank, (text, score, log_probability) in enumerate(zip(*of_line, strict=True)):
                if not parts or score < IMPOSSIBLE / 2:  # fewer hypotheses than asked
                    break
                translated = target[first * self.n_best + rank : (first + parts) * self.n_best : self.n_best]
                hypotheses.append(
                    Hypothesis(
                        text.decode(),
                        float(score),
                        float(log_probability),
                        [names.get(piece, piece) for ids in of_parts for piece in graph.source_tokenizer.pieces(ids)],
                        [names.get(piece, piece) for ids in translated for piece in graph.target_tokenizer.pieces(ids)],
                        None
                        if weights is None
                        else _side_by_side(
                            weights[rank :: self.n_best],
                            [(len(t), len(s)) for t, s in zip(translated, of_parts, strict=True)],
                        ),
                    )
                )
            first += parts
            yield hypotheses

    def _attention(self, found: Found) -> Iterator[np.ndarray]:
        """What the decoder attends to in each hypothesis of each part, padded, `[target time, source time]`.

        The search keeps none of it: it follows from the finished translation, all steps at once.
        """
        n_best, size = self.n_best, self.settings.sentences_at_once
        for start in range(0, int(found.source.nrows()), size):
            source = found.source[start : start + size].to_tensor(PADDING)
            target = found.target[start * n_best : (start + size) * n_best].to_tensor(PADDING)
            yield from self._attend(tf.repeat(source, n_best, axis=0), target).numpy()


def _names(placeholders: np.ndarray) -> dict[str, str]:
    """What people see in place of symbols, but for tags that would be taken for control pieces.

    A symbol without a placeholder, which leaves nothing in the text, becomes a space, which begins no word by itself.
    """
    texts = (placeholder.decode() or WORD_START for placeholder in placeholders)
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


def _bytes(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which no UTF-8 has, becomes a question mark."""
    return text.encode("utf-8", errors="replace")
