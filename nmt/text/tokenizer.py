"""Subwords: text to ids and back inside the TensorFlow graph, so training and an exported model cannot differ.

A model is trained by the SentencePiece library and run by TensorFlow Text. Characters outside its vocabulary become
their UTF-8 bytes, for which every vocabulary has 256 pieces, so no text is ever unknown.
"""

import heapq
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text

from nmt.config import TokenizerSettings
from nmt.constants import BEGIN, END, PADDING, UNKNOWN
from nmt.text.placeholders import SYMBOLS
from nmt.utils.errors import UserError
from nmt.utils.silence import silenced

# SentencePiece's trainer takes about 30 bytes of memory for each character of its text: 600 MB for these, which is
# some 200,000 sentences and plenty for any vocabulary.
_TRAINING_CHARACTERS = 20_000_000
_LONGEST_TRAINING_SENTENCE = 16_384  # bytes; the trainer leaves out longer ones
# `tokenizer.vocabulary_size` allows no less. A text too small even for that gets all the subwords it has.
_SMALLEST_SETTING = 300

# The same characters as in `nmt.text.normalization.normalize`, in the notation of RE2. The last kind of space is the
# exception: SentencePiece writes U+2581 for a space, so text cannot tell the two apart.
_INVISIBLE = (
    r"[\x00-\x08\x0e-\x1b\x7f-\x{84}\x{86}-\x{9f}\x{ad}\x{200b}\x{202a}-\x{202e}"
    r"\x{2060}\x{2066}-\x{2069}\x{feff}\x{fff9}-\x{fffb}]+"
)
_SPACES = r"[\t-\r\x1c-\x1f\x{85}\p{Z}\x{2581}]+"


def normalize(texts: tf.Tensor) -> tf.Tensor:
    """Makes texts uniform, in the graph, as `nmt.text.normalization.normalize` does for a corpus.

    Invalid UTF-8 becomes U+FFFD, invisible control characters go, any run of white space becomes one space (none at
    the ends), and what is left is composed to Unicode NFC. U+2581, a block that SentencePiece uses for a space,
    counts as white space.

    Args:
        texts: strings `[n]`.

    Returns:
        Strings `[n]`.

    Example:

    >>> normalize(tf.constant([" Cafe\\u0301\\x00\\t au  lait\\n"])).numpy()[0].decode()
    'Café au lait'
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    texts = tf.strings.regex_replace(texts, _INVISIBLE, "")
    texts = tf.strings.regex_replace(texts, _SPACES, " ")
    return tf.strings.strip(tf_text.normalize_utf8(texts, "NFC"))


class Tokenizer(tf.Module):
    """Encodes texts as ids and decodes ids to texts, by one SentencePiece model.

    Works eagerly, inside `tf.function` and `tf.data`, and as part of a SavedModel.

    Args:
        model: what `train_tokenizer` returned.
        name: where the model comes from, for errors.
        placeholders: the kinds that `nmt.text.masking` takes out of texts before they come here; the model has to have
            the symbols in their place.

    Raises:
        UserError: if the bytes are not a SentencePiece model with this module's special ids, byte pieces and, where
            they are needed, symbols.

    Example:

    >>> settings = TokenizerSettings(vocabulary_size=300)
    >>> tokenizer = Tokenizer(train_tokenizer(["the cat sat on the mat", "the dog sat on the cat"], settings, seed=1))
    >>> ids = tokenizer.encode(tf.constant(["the cat", "Ünknown 😀"]))
    >>> [text.decode() for text in tokenizer.decode(ids).numpy()]
    ['the cat', 'Ünknown 😀']
    """

    def __init__(self, model: bytes, name: str = "tokenizer", placeholders: Sequence[str] = ()) -> None:
        super().__init__(name=re.sub(r"\W", "_", f"_{name}"))
        processor = _load(model, name)
        if placeholders and processor.unk_id() in map(processor.piece_to_id, SYMBOLS):
            raise UserError(f"{name}: has no symbols for tokenizer.placeholders, which it was trained without")
        self.model = model
        self.placeholders = tuple(placeholders)
        self.vocabulary_size: int = processor.get_piece_size()
        self._pieces = [processor.id_to_piece(index) for index in range(self.vocabulary_size)]
        self._operation = self._load_operation()

    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Normalises texts and splits them into subwords.

        Args:
            texts: strings `[n]`, any bytes.

        Returns:
            int32 `[n, (time)]`, each row closed by `END`; an empty text is `END` alone.
        """
        return self._run(lambda operation: operation.tokenize(normalize(texts)))

    def decode(self, ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        """Joins subwords to texts.

        Args:
            ids: `[n, time]`, padded or ragged. What follows the first `END` of a row and all `PADDING` is ignored.

        Returns:
            Strings `[n]`, always valid UTF-8: bytes that do not make up a character become U+FFFD.
        """
        if isinstance(ids, tf.RaggedTensor):
            ids = ids.to_tensor(PADDING)
        ids = tf.cast(ids, tf.int32)
        before_end = tf.cumsum(tf.cast(ids == END, tf.int32), axis=1) == 0
        rows = tf.ragged.boolean_mask(ids, before_end & (ids != PADDING))
        return self._run(lambda operation: operation.detokenize(rows))

    def pieces(self, ids: Sequence[int] | None = None) -> list[str]:
        """Names ids one by one, for people: `▁` stands for a space, `<0xC3>` for a byte.

        Args:
            ids: of one sentence; all of the vocabulary if absent.

        Returns:
            As many names.
        """
        return [self._pieces[index] for index in (range(self.vocabulary_size) if ids is None else ids)]

    def _load_operation(self) -> Any:
        with silenced():
            return tf_text.SentencepieceTokenizer(model=self.model, out_type=tf.int32, add_eos=True)

    def _run(self, call: Callable[[Any], Any]) -> Any:
        try:
            return call(self._operation)
        except tf.errors.NotFoundError:
            # TensorFlow frees the loaded model with its cache of kernels, which tf.random.set_seed empties.
            self._operation = self._load_operation()
            return call(self._operation)


def train_tokenizer(sentences: Iterable[str], settings: TokenizerSettings, seed: int) -> bytes:
    """Trains a SentencePiece model.

    Of a big corpus it takes a random sample, so the memory is bounded. Equal arguments give equal bytes.

    Args:
        sentences: already normalised, with placeholders hidden; of both languages for a joint vocabulary.
        settings: the algorithm and its numbers.
        seed: of the sample.

    Returns:
        The serialized model.

    Raises:
        UserError: if the text has too few different subwords or too many different characters for the vocabulary, with
            the size that is possible. Only a text with too few for any allowed size gets a smaller vocabulary.
    """
    chosen = _sample(sentences, seed)
    try:
        return _train(chosen, settings, exactly=True)
    except RuntimeError as error:
        too_large = re.search(r"set it to a value <= (\d+)", str(error))
        if too_large and int(too_large[1]) < _SMALLEST_SETTING:
            return _train(chosen, settings, exactly=False)
        raise UserError(_explain(str(error), settings)) from error


def _train(sentences: list[str], settings: TokenizerSettings, *, exactly: bool) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type=settings.algorithm,
        vocab_size=settings.vocabulary_size,
        hard_vocab_limit=exactly,
        character_coverage=settings.character_coverage,
        byte_fallback=True,
        normalization_rule_name="identity",  # `normalize` did it
        pad_id=PADDING,
        unk_id=UNKNOWN,
        bos_id=BEGIN,
        eos_id=END,
        user_defined_symbols=list(SYMBOLS) if settings.placeholders else [],
        max_sentence_length=_LONGEST_TRAINING_SENTENCE,
        num_threads=16,  # fixed, because the order of sums, and so the last bits of scores, depends on it
        minloglevel=3,
    )
    return model.getvalue()


def _load(model: bytes, name: str) -> Any:
    try:
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(model)  # raises, where the constructor takes no bytes for no model
        special = [processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id()]
        good = special == [PADDING, UNKNOWN, BEGIN, END] and processor.is_byte(processor.piece_to_id("<0x00>"))
    except (RuntimeError, ValueError, TypeError):
        good = False
    if not good:
        raise UserError(f"{name}: is not a tokenizer model that this program has trained")
    return processor


def _sample(sentences: Iterable[str], seed: int) -> list[str]:
    """Gives all sentences, or as many as the trainer has memory for, each with the same chance."""
    generator = np.random.default_rng(seed)
    chosen: list[tuple[float, int, str]] = []  # the sentences with the highest random numbers, the lowest first
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


def _explain(message: str, settings: TokenizerSettings) -> str:
    size = f"tokenizer.vocabulary_size {settings.vocabulary_size}"
    if found := re.search(r"set it to a value <= (\d+)", message):
        return f"{size} is too large for this training text: it has enough different subwords for at most {found[1]}"
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return (
            f"{size} is too small for the different characters of this training text: "
            f"set at least {found[1]}, or a lower tokenizer.character_coverage"
        )
    if "!sentences_.empty()" in message:
        return "the tokenizer cannot be trained: there is no training text"
    return f"the tokenizer cannot be trained: {' '.join(message.split())}"
