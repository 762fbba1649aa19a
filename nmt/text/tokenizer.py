"""Subwords: text to ids and back inside the TensorFlow graph, so training and an exported model cannot differ.

The SentencePiece library trains a model, and TensorFlow Text runs it. Characters outside its vocabulary are split into
their UTF-8 bytes, for which every vocabulary has 256 pieces, so no text is ever unknown.
"""

import heapq
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text

from nmt.constants import BEGIN, END, PADDING, UNKNOWN
from nmt.text.graph_normalization import normalize_in_graph
from nmt.text.pieces import read_pieces
from nmt.text.placeholders import SYMBOLS
from nmt.utils.arguments import check_texts
from nmt.utils.errors import UserError
from nmt.utils.forks import LoadedHere
from nmt.utils.silence import silenced

# SentencePiece's trainer needs about 30 bytes of memory for each character of its text: 600 MB for 20 million, which
# are some 200,000 sentences and enough for any vocabulary.
_TRAINING_CHARACTERS = 20_000_000
_LONGEST_TRAINING_SENTENCE = 16_384  # bytes; the trainer ignores longer ones
# Below this size the text is too small rather than the vocabulary too large, so all its subwords are taken.
_SMALLEST_VOCABULARY = 300
_FREQUENT, _LEAST_COVERAGE = 5, 0.98

Algorithm = Literal["unigram", "bpe"]


class Tokenizer(tf.Module):
    """Encodes texts as ids and decodes ids to texts, by one SentencePiece model.

    Works eagerly, inside `tf.function` and `tf.data`, and as part of a SavedModel.

    Args:
        model: bytes, the model that `train_tokenizer` returned.
        origin: str, where the model comes from; errors begin with it.
        placeholders: the kinds of placeholders (keys of `nmt.text.placeholders.KINDS`) that are masked before texts
            come here. The model must have been trained with the symbols that replace them.

    Raises:
        UserError: if `model` is not a SentencePiece model with the special ids of `nmt.constants`, a piece for each
            byte and, if there are `placeholders`, their symbols.

    Example:

    >>> model = train_tokenizer(["the cat sat on the mat", "the dog sat on the cat"], vocabulary_size=300)
    >>> tokenizer = Tokenizer(model)
    >>> ids = tokenizer.encode(tf.constant(["the cat", "Ünknown 😀"]))
    >>> [text.decode() for text in tokenizer.decode(ids).numpy()]
    ['the cat', 'Ünknown 😀']
    """

    def __init__(self, model: bytes, origin: str = "tokenizer", placeholders: Sequence[str] = ()) -> None:
        super().__init__(name="tokenizer")
        processor = _load(model, origin)
        if placeholders and processor.unk_id() in map(processor.piece_to_id, SYMBOLS):
            raise UserError(f"{origin}: has no symbols for placeholders: it was trained without them")
        self.model = model
        self.placeholders = tuple(placeholders)
        self.vocabulary_size: int = processor.get_piece_size()
        self._pieces = [processor.id_to_piece(index) for index in range(self.vocabulary_size)]
        self._operation = self._load_operation()
        self._loaded = LoadedHere()

    def encode(self, texts: tf.Tensor, normalized: bool = False) -> tf.RaggedTensor:
        """Splits texts into subwords, after normalising them.

        Args:
            texts: strings `[n]`, any bytes.
            normalized: bool, whether the texts are normalised already, as the prepared corpus is.

        Returns:
            int32 `[n, (time)]`. Each row ends with `END`; an empty text is `END` alone.

        Raises:
            TypeError: if `texts` is a single string.
            RuntimeError: in a process that was forked after the tokenizer was loaded.
        """
        if texts is None or isinstance(texts, str | bytes):
            raise TypeError(f"`texts`: expected strings [n], got {type(texts).__name__}")
        texts = texts if normalized else normalize_in_graph(texts)
        return self._run(lambda operation: operation.tokenize(texts))

    def decode(self, ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        """Joins subwords to texts.

        Args:
            ids: integers `[n, time]`, padded or ragged. `PADDING`, and everything after the first `END` of a row, is
                ignored.

        Returns:
            Strings `[n]`, valid UTF-8: bytes that form no character become U+FFFD.
        """
        if isinstance(ids, tf.RaggedTensor):
            ids = ids.to_tensor(PADDING)
        ids = tf.cast(ids, tf.int32)
        before_end = tf.cumsum(tf.cast(ids == END, tf.int32), axis=1) == 0
        kept = before_end & (ids != PADDING)
        lengths = tf.math.count_nonzero(kept, 1)
        rows = tf.RaggedTensor.from_row_lengths(tf.gather_nd(ids, tf.where(kept)), lengths, validate=False)
        return self._run(lambda operation: operation.detokenize(rows))

    def pieces(self, ids: Sequence[int] | None = None) -> list[str]:
        """Returns the name of each id as SentencePiece writes it: `▁` for a space, `<0xC3>` for a byte.

        Args:
            ids: the ids of one sentence; by default all ids of the vocabulary in order.

        Returns:
            One name for each id.
        """
        return [self._pieces[index] for index in (range(self.vocabulary_size) if ids is None else ids)]

    def reload(self) -> None:
        """Loads the model again, for graphs to be made anew; those made before go on with what they have, or fail."""
        self._operation = self._load_operation()

    def _load_operation(self) -> Any:
        with silenced():
            return tf_text.SentencepieceTokenizer(model=self.model, out_type=tf.int32, add_eos=True)

    def _run(self, call: Callable[[Any], Any]) -> Any:
        self._loaded.check("the tokenizer")
        try:
            return call(self._operation)
        except tf.errors.NotFoundError:
            # TensorFlow frees the loaded model with its cache of kernels, which tf.random.set_seed empties.
            self.reload()
            return call(self._operation)


class TooFewSubwordsError(UserError):
    """A text has too few different subwords for a vocabulary.

    Args:
        vocabulary_size: int, the pieces that were asked for.
        largest: int, for how many pieces the text has enough.
    """

    def __init__(self, vocabulary_size: int, largest: int) -> None:
        super().__init__(
            f"vocabulary_size {vocabulary_size} is too large for this training text: it has enough different subwords "
            f"for at most {largest}"
        )
        self.largest = largest


def train_tokenizer(
    sentences: Iterable[str],
    vocabulary_size: int = 8000,
    algorithm: Algorithm = "unigram",
    character_coverage: float | None = None,
    placeholders: Sequence[str] = (),
    seed: int = 1,
) -> bytes:
    """Trains a SentencePiece model (Kudo and Richardson 2018).

    Equal arguments give equal bytes. A large corpus is sampled, so the memory is bounded.

    Args:
        sentences: the texts to train on, for a joint vocabulary those of both languages. They should be normalised
            (`nmt.text.normalization.normalize`) and their placeholders masked, as they will be when they are encoded.
        vocabulary_size: int, the number of pieces. 4 of them are special tokens and 256 are bytes.
        algorithm: `"unigram"` (Kudo 2018) or `"bpe"` (Sennrich et al. 2016).
        character_coverage: float from 0.98 to 1, the share of the text's characters that have pieces of their own, or
            None for those that come at least 5 times; rarer characters are split into bytes.
        placeholders: the kinds of placeholders that are masked in `sentences`; if there are any, the vocabulary gets
            the symbols that replace them.
        seed: int, seeds the sample of a large corpus.

    Returns:
        The serialized model, for `Tokenizer`.

    Raises:
        TypeError: if `sentences` is a single string, or one of them is none.
        ValueError: if `algorithm` or `character_coverage` is another.
        UserError: if the text has too few different subwords, or too many different characters, for the vocabulary;
            the message says which size is possible. A text with too few subwords for any vocabulary of 300 pieces gets
            a smaller one instead.

    Example:

    >>> model = train_tokenizer(["the cat sat on the mat", "the dog sat on the cat"], vocabulary_size=300)
    >>> Tokenizer(model).encode(tf.constant(["the cat"])).shape[0]
    1
    """
    if algorithm not in get_args(Algorithm):
        raise ValueError(f"expected algorithm 'unigram' or 'bpe', got {algorithm!r}")
    if character_coverage is not None and not _LEAST_COVERAGE <= character_coverage <= 1:
        raise ValueError(f"expected character_coverage from 0.98 to 1, got {character_coverage}")
    chosen = _sample(check_texts(sentences, "sentences", str), seed)

    def train(*, exactly: bool) -> bytes:
        return _train(chosen, vocabulary_size, algorithm, character_coverage, bool(placeholders), exactly)

    try:
        return train(exactly=True)
    except RuntimeError as error:
        too_large = re.search(r"set it to a value <= (\d+)", str(error))
        if too_large and int(too_large[1]) < _SMALLEST_VOCABULARY:
            return train(exactly=False)
        if too_large:
            raise TooFewSubwordsError(vocabulary_size, int(too_large[1])) from error
        raise UserError(_explain(str(error), vocabulary_size)) from error


def _train(
    sentences: list[str],
    vocabulary_size: int,
    algorithm: Algorithm,
    character_coverage: float | None,
    with_symbols: bool,
    exactly: bool,
) -> bytes:
    model = io.BytesIO()
    if character_coverage is None:
        # Of an alphabet, a fixed share would leave out digits, signs and capitals that come a hundred times.
        character_coverage = _coverage_of_frequent(sentences) if sentences else 1.0
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type=algorithm,
        vocab_size=vocabulary_size,
        hard_vocab_limit=exactly,
        character_coverage=character_coverage,
        byte_fallback=True,
        normalization_rule_name="identity",  # `nmt.text.normalization` did it
        pad_id=PADDING,
        unk_id=UNKNOWN,
        bos_id=BEGIN,
        eos_id=END,
        user_defined_symbols=list(SYMBOLS) if with_symbols else [],
        max_sentence_length=_LONGEST_TRAINING_SENTENCE,
        num_threads=16,  # fixed, because the order of sums, and so the last bits of scores, depends on it
        minloglevel=3,
    )
    return model.getvalue()


def alphabet_size(counts: Mapping[str, int]) -> int:
    """Returns how many characters have pieces of their own where `character_coverage` is None.

    These are the frequent ones, or those that make up 98% of the text if they are more.

    Args:
        counts: how often each character comes.

    Example:

    >>> alphabet_size({"a": 90, "Ä": 5, "ş": 1})
    2
    """
    numbers = sorted(counts.values(), reverse=True)
    covered = np.cumsum(numbers)
    least = int((covered < _LEAST_COVERAGE * covered[-1]).sum()) + 1 if numbers else 0
    return max(sum(count >= _FREQUENT for count in numbers), least)


def _coverage_of_frequent(sentences: Sequence[str]) -> float:
    """The share of the frequent characters in a text, as SentencePiece counts it."""
    counts = Counter(itertools.chain.from_iterable(sentences))
    counts[" "] += len(sentences)  # SentencePiece puts a space before each
    for symbol in SYMBOLS:
        counts.pop(symbol, None)
    share = sum(count for count in counts.values() if count >= _FREQUENT) - _FREQUENT / 2  # the last one is taken whole
    return max(share / counts.total(), _LEAST_COVERAGE)


def _load(model: bytes, origin: str) -> Any:
    try:
        read_pieces(model)
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(model)  # the constructor would accept empty bytes
        special = [processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id()]
        good = special == [PADDING, UNKNOWN, BEGIN, END] and processor.is_byte(processor.piece_to_id("<0x00>"))
    except (RuntimeError, ValueError, TypeError):
        good = False
    if not good:
        raise UserError(f"{origin}: is not a tokenizer model that this program has trained")
    return processor


def _sample(sentences: Iterable[str], seed: int) -> list[str]:
    """Returns all sentences, or a uniform random sample that fits the trainer's memory, in their order."""
    generator = np.random.default_rng(seed)
    chosen: list[tuple[float, int, str]] = []  # a heap of the sentences with the highest numbers
    characters = 0
    lowest = 0.0
    for index, sentence in enumerate(sentences):
        number = generator.random()
        if number < lowest:
            continue
        heapq.heappush(chosen, (number, index, sentence))
        characters += len(sentence)
        while characters > _TRAINING_CHARACTERS and len(chosen) > 1:
            lowest, _, dropped = heapq.heappop(chosen)
            characters -= len(dropped)
    chosen.sort(key=lambda entry: entry[1])
    return [sentence for _, _, sentence in chosen]


def _explain(message: str, vocabulary_size: int) -> str:
    """Returns what an error of SentencePiece's trainer means."""
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return (
            f"vocabulary_size {vocabulary_size} is too small for the different characters of this training text: "
            f"set at least {found[1]}, or a lower character_coverage"
        )
    if "!sentences_.empty()" in message:
        return "the tokenizer cannot be trained: there is no training text"
    return f"the tokenizer cannot be trained: {' '.join(message.split())}"
