"""The translator: strings in, strings out."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nmt.config import DecodingSettings
from nmt.data.tokenizer import END, PADDING, Tokenizer
from nmt.decoding.search import Hypotheses, beam_search
from nmt.models.seq2seq import Seq2Seq

# Lines read ahead, in batches, so that those of like length are translated together.
WINDOW_BATCHES = 16


class Hypothesis(NamedTuple):
    """A translation of one line."""

    text: str
    score: float  # normalised by length and coverage
    log_probability: float
    source_pieces: list[str]
    target_pieces: list[str]
    attention: np.ndarray  # [target pieces, source pieces], end marks included


class Translator:
    """Translates lines with a model, in batches of like length, keeping their order.

    A line's translation does not depend on the lines around it. An empty line, or one of white space only, has no
    hypothesis. A line of more tokens than `max_tokens` is split, at the ends of sentences or else of words where that
    can be, and its parts are translated one by one.

    Args:
        model: the model.
        source_tokenizer: of the lines.
        target_tokenizer: of the translations.
        settings: of the search.
        max_tokens: the longest input that the model has seen in training.
        n_best: translations of each line, at most the beam's size.
        on_split: called with a line's index from 0, its tokens and the number of its parts when it is split.
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
    ) -> None:
        if not 1 <= n_best <= settings.beam_size:
            raise ValueError(f"Translator: expected n_best from 1 to the beam's {settings.beam_size}, got {n_best}")
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.settings = settings
        self.max_tokens = max_tokens
        self.n_best = n_best
        self.on_split = on_split
        self.search = make_search(model, settings, n_best)

    def translate(self, lines: Iterable[str], window: int | None = None) -> Iterator[list[Hypothesis]]:
        """Translates a stream of lines.

        Args:
            lines: any strings.
            window: lines to read before any is translated; by default some batches.

        Yields:
            For each line, in order, its best hypotheses, the best first.
        """
        lines, index = iter(lines), 0
        window = window or WINDOW_BATCHES * self.settings.batch_size
        while chunk := list(itertools.islice(lines, window)):
            lengths = self._lengths(chunk)
            parts = [
                self._parts(line, index + offset, length)
                for offset, (line, length) in enumerate(zip(chunk, lengths, strict=True))
            ]
            flat = self._translate_parts([part for line in parts for part in line])
            for line in parts:
                yield _joined([next(flat) for _ in line])
            index += len(chunk)

    def best(self, lines: Iterable[str]) -> Iterator[str]:
        """The best translation of each line; an empty line stays empty."""
        return (hypotheses[0].text if hypotheses else "" for hypotheses in self.translate(lines))

    def _parts(self, line: str, index: int, length: int) -> list[str]:
        if length <= 1:  # the end mark alone
            return []
        if length <= self.max_tokens:
            return [line]
        parts = split_long(line, lambda text: self._lengths([text])[0], self.max_tokens)
        self.on_split(index, length, len(parts))
        return parts

    def _lengths(self, texts: list[str]) -> list[int]:
        encoded = self.source_tokenizer.encode(tf.constant([_bytes(text) for text in texts]))
        return list(encoded.row_lengths().numpy())

    def _translate_parts(self, parts: list[str]) -> Iterator[list[Hypothesis]]:
        if not parts:
            return iter(())
        encoded = self.source_tokenizer.encode(tf.constant([_bytes(part) for part in parts]))
        order = np.argsort(encoded.row_lengths().numpy(), kind="stable")
        results: list[list[Hypothesis]] = [[] for _ in parts]
        for start in range(0, len(order), self.settings.batch_size):
            chosen = order[start : start + self.settings.batch_size]
            source = tf.gather(encoded, chosen).to_tensor(PADDING)
            found = self.search(source)
            for index, hypotheses in zip(chosen, self._readable(source.numpy(), found), strict=True):
                results[index] = hypotheses
        return iter(results)

    def _readable(self, source: np.ndarray, found: Hypotheses) -> Iterator[list[Hypothesis]]:
        """Takes the search's arrays apart, sentence by sentence."""
        wanted = self.n_best
        ids = found.ids[:, :wanted].numpy()
        texts = self.target_tokenizer.decode(tf.constant(ids.reshape(-1, ids.shape[-1]))).numpy()
        scores, log_probabilities = found.scores[:, :wanted].numpy(), found.log_probabilities[:, :wanted].numpy()
        attention = found.attention[:, :wanted].numpy()
        for sentence, row in enumerate(source):
            source_ids = row[row != PADDING].tolist()
            hypotheses = []
            for rank in range(wanted):
                target_ids = _until_end(ids[sentence, rank].tolist())
                if not target_ids:  # fewer hypotheses than asked
                    break
                hypotheses.append(
                    Hypothesis(
                        texts[sentence * wanted + rank].decode(),
                        float(scores[sentence, rank]),
                        float(log_probabilities[sentence, rank]),
                        self.source_tokenizer.pieces(source_ids),
                        self.target_tokenizer.pieces(target_ids),
                        attention[sentence, rank, : len(target_ids), : len(source_ids)],
                    )
                )
            yield hypotheses


def make_search(model: Seq2Seq, settings: DecodingSettings, wanted: int) -> Callable[[tf.Tensor], Hypotheses]:
    """A function in the graph from padded source ids, int32 `[batch, time]`, to `Hypotheses`."""

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
    def search(source: tf.Tensor) -> Hypotheses:
        memory, states = model.begin(source, training=False)
        return beam_search(
            lambda ids, states: model.step(ids, memory, states), states, source != PADDING, settings, wanted
        )

    return search


def split_long(text: str, length: Callable[[str], int], limit: int) -> list[str]:
    """Halves a text until no part has more than `limit` tokens.

    Each cut is made as near the middle as can be: at the end of a sentence, else of a word, else between characters.

    Args:
        text: any string.
        length: counts the tokens of a string.
        limit: at least 2.

    Returns:
        The parts, in order.

    Example:

    >>> split_long("One two. Three four five. Six", lambda text: len(text.split()), 3)
    ['One two.', 'Three four five.', 'Six']
    """
    if length(text) <= limit or len(text) < 2:
        return [text]
    middle = len(text) // 2
    for boundary in (r"(?<=[.!?…。！？])\s+", r"\s+", ""):  # noqa: RUF001 (the full stops of Chinese and Japanese)
        cuts = [m.start() for m in re.finditer(boundary, text) if text[: m.start()].strip() and text[m.end() :].strip()]
        # A cut too near an end would leave a part about as long as the whole.
        cuts = [cut for cut in cuts if len(text) / 8 <= cut <= len(text) * 7 / 8] or (cuts if not boundary else [])
        if cuts:
            cut = min(cuts, key=lambda place: abs(place - middle))
            return [*split_long(text[:cut].strip(), length, limit), *split_long(text[cut:].strip(), length, limit)]
    return [text]


def _joined(parts: list[list[Hypothesis]]) -> list[Hypothesis]:
    """The hypotheses of a line from those of its parts: the best with the best, the second with the second."""
    if len(parts) <= 1:
        return parts[0] if parts else []
    joined = []
    for hypotheses in zip(*parts, strict=False):
        source = [piece for h in hypotheses for piece in h.source_pieces]
        target = [piece for h in hypotheses for piece in h.target_pieces]
        attention = np.zeros((len(target), len(source)), np.float32)
        row = column = 0
        for h in hypotheses:
            height, width = h.attention.shape
            attention[row : row + height, column : column + width] = h.attention
            row, column = row + height, column + width
        log_probability = sum(h.log_probability for h in hypotheses)
        score = sum(h.score for h in hypotheses) / len(hypotheses)
        text = " ".join(h.text for h in hypotheses)
        joined.append(Hypothesis(text, score, log_probability, source, target, attention))
    return joined


def _until_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(END) + 1] if END in ids else []


def _bytes(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which no UTF-8 has, becomes a question mark."""
    return text.encode("utf-8", errors="replace")
