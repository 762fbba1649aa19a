"""The constraint against repetition in the TensorFlow graph; `nmt.text.repetition` has its rules in plain Python."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nmt.constants import END, PADDING
from nmt.decoding.scorers import IMPOSSIBLE
from nmt.layers.xla import inside_xla
from nmt.models.decoder import DecoderState
from nmt.text.repetition import (
    FOREIGN,
    LONG,
    LONGEST_BLOCK,
    LONGEST_PUNCTUATION,
    MOST_ALWAYS,
    NGRAM_RULES,
    NGRAM_SIZE,
    PUNCTUATION,
    WINDOW,
    Characters,
    WordClasses,
    ngram_sizes,
    shortest_said_once,
)

_NO_CLASS = 2**30  # above all classes and words
_POWERS = np.cumprod(np.full(256, 0x01000193, np.int32), dtype=np.int32)  # FNV's prime


class _Repetitions(NamedTuple):
    """What the last tokens of hypotheses repeat; see `RepetitionConstraint.allow`."""

    last: tf.Tensor  # int32 [n, window], the last tokens that are words, the latest first
    going_on: tf.Tensor  # boolean [n, longest block], whether such a token may not come again
    again: tf.Tensor  # boolean [n, window, rules], whether such a token makes an n-gram again
    counts: tf.Tensor  # int32 [n, rules], how often an n-gram may come
    too_many_marks: tf.Tensor  # boolean [n], whether no further token without letters may come


class RepetitionConstraint:
    """No loops: what a translation repeats is limited by what its source repeats.

    Models that are unsure repeat themselves: "der Zustand, der Zustand, Der Zustand". Tokens that differ by case or by
    the punctuation around them are the same here, and those without a letter or a digit are passed over, as are the
    bytes of characters that the vocabulary lacks. Three rules forbid the tokens that would go on with a repetition,
    whatever their probability:

    * A block of at most `longest_block` tokens stands at most max(2, b) times in a row, with b the most times in a row
      that any block of the source does. A further time is forbidden from its first token on, unless the source itself
      begins one.
    * A sequence of `ngram_size` tokens comes at most max(2, b, c) times, with c the most times that any two words in a
      row, any single one of at least four bytes, or as many tokens in a row come in the source: what is one word there
      may be several tokens in the translation. A sequence of 1.5 times as many tokens comes at most max(1, b, c) times;
      of twice as many, at most max(2, b, c) times, with c that of three words, or of as many tokens, in a row. Here a
      block of the source counts as often as it is whole. Of a translation the last `window` tokens count.
    * At most max(8, 2 p) tokens in a row have no letter or digit, with p the most such tokens in a row of the source.

    None forbids to translate word for word what a source repeats. The end of a translation is always allowed.

    Args:
        exempt_ids: tuple of int, tokens that may always come, such as those that stand for placeholders.
        source_classes: `nmt.text.repetition.WordClasses` of the source tokens; None if no two read the same, and all
            have letters.
        target_classes: the same for the target tokens.
        ngram_size: int, at least 2.
        longest_block: int, at least 1.
        window: int, at least `longest_block` and twice `ngram_size`.

    Example:

    >>> constraint = RepetitionConstraint()
    >>> state = constraint.start(tf.constant([[7, 8, 3]]), tf.constant([9]))
    >>> state = state._replace(states=tuple(one[:, None] for one in state.states))
    >>> for token in (2, 5, 6, 5, 6):
    ...     state = constraint.advance(tf.constant([[token]]), state)
    >>> rows = state._replace(states=tuple(one[:, 0] for one in state.states))
    >>> (constraint.allow(tf.zeros((1, 9)), rows) > IMPOSSIBLE).numpy()[0].tolist()
    [True, True, True, True, True, False, True, True, True]
    """

    forbids_only = True

    def __init__(
        self,
        exempt_ids: tuple[int, ...] = (),
        *,
        source_classes: WordClasses | None = None,
        target_classes: WordClasses | None = None,
        ngram_size: int = NGRAM_SIZE,
        longest_block: int = LONGEST_BLOCK,
        window: int = WINDOW,
    ) -> None:
        if ngram_size < 2 or longest_block < 1 or window < max(longest_block, 2 * ngram_size):
            raise ValueError(
                "RepetitionConstraint: expected `ngram_size` of at least 2, `longest_block` of at least 1, and "
                f"`window` of at least it and twice `ngram_size`, got {ngram_size}, {longest_block} and {window}"
            )
        self.exempt_ids = exempt_ids
        self.source_classes = source_classes
        self.target_classes = target_classes
        self._members = np.zeros((0, 1), np.int32) if target_classes is None else _members(target_classes.classes)
        self.ngram_size = ngram_size
        self.longest_block = longest_block
        self.window = window

    def start(self, source: tf.Tensor, max_lengths: tf.Tensor) -> DecoderState:
        """Finds out how much each source repeats, and makes room for the last tokens."""
        return DecoderState(self._limits(source), _no_words(tf.shape(source)[0], self.window))

    def advance(self, tokens: tf.Tensor, state: DecoderState) -> DecoderState:
        """Appends the tokens to the last ones, and compares them with these."""
        new = _class_of(tokens, self.target_classes)
        if self.target_classes is not None:
            prolongs = tf.gather(tf.constant(self.target_classes.prolongs), tokens) & (new == state.states[0][..., 0])
            new = tf.where(prolongs, PUNCTUATION, new)
        return state._replace(states=_append(new, *state.states))

    def allow(self, log_probabilities: tf.Tensor, state: DecoderState) -> tf.Tensor:
        """See `Constraint.allow`."""
        (times, counts, most_marks), (last, matches, marks) = state
        blocks = tf.range(1, self.longest_block + 1)
        is_word = last != PUNCTUATION
        # The token that was `block` tokens ago would go on with the block.
        going_on = is_word[:, : self.longest_block] & (
            matches[:, : self.longest_block] >= blocks * (times[:, None] - 1)
        )
        sizes = np.array(ngram_sizes(self.ngram_size), np.int32)
        within = np.arange(self.window)[:, None] <= self.window - sizes
        # If such a token of the window came next, it would make an n-gram of the window again.
        again = is_word[..., None] & (matches[..., None] >= sizes - 1) & within
        frequent = tf.reduce_sum(tf.cast(again, tf.int32), 1)
        found = _Repetitions(last, going_on, again, counts, marks >= most_marks)
        is_any = tf.reduce_any(going_on, 1) | tf.reduce_any(frequent >= counts, 1) | found.too_many_marks

        def forbid_in_few() -> tf.Tensor:
            rows = tf.where(is_any)[:, 0]
            few = self._forbid(*tf.nest.map_structure(lambda x: tf.gather(x, rows), (log_probabilities, found)))
            return tf.tensor_scatter_nd_update(log_probabilities, rows[:, None], few)

        # Forbidding costs several passes over the vocabulary: only the hypotheses that repeat something pay for it.
        forbid = (lambda: self._forbid(log_probabilities, found)) if inside_xla() else forbid_in_few
        return tf.cond(tf.reduce_any(is_any), forbid, lambda: log_probabilities)

    def _forbid(self, log_probabilities: tf.Tensor, found: _Repetitions) -> tf.Tensor:
        """Forbids what would go on with a repetition."""
        equal = found.last[:, :, None] == found.last[:, None]
        times = tf.matmul(*(tf.cast(x, tf.float32) for x in (equal, found.again)))
        too_often = tf.reduce_any(found.again & (times >= tf.cast(found.counts, tf.float32)[:, None]), 2)
        # Too many tokens without letters may be the last letter again and again.
        classes = tf.concat([found.last[:, :1], found.last[:, : self.longest_block], found.last], 1)
        where = tf.concat([found.too_many_marks[:, None], found.going_on, too_often], 1)
        for exempt in self.exempt_ids:
            where &= classes != exempt
        if self.target_classes is None:
            return _forbid(log_probabilities, classes, where)
        tokens = tf.reshape(tf.gather(self._members, classes), (tf.shape(classes)[0], -1))
        log_probabilities = _forbid(log_probabilities, tokens, tf.repeat(where, self._members.shape[1], axis=1))
        no_word = np.less_equal(self.target_classes.classes, PUNCTUATION)
        return tf.where(found.too_many_marks[:, None] & no_word, IMPOSSIBLE, log_probabilities)

    def left_out(self, source: tf.Tensor, translations: tf.Tensor) -> tf.Tensor:
        """Finds the words with which translations exceed their limits, however they are split into tokens.

        The search compares tokens, but the same word may be split in several ways: `Pfad` after a space, and in
        `(Pfad)`. In a script without spaces the characters are looked at, too.
        `nmt.text.repetition.without_loops` has the same rules. The score of a translation stays the one that the search
        gave it.

        Args:
            source: int32 `[batch, time]`, closed by the end token.
            translations: int32 `[n, time]`, as many of each source.

        Returns:
            boolean `[n, time]`, true for the tokens of these words.
        """
        if self.source_classes is None or self.target_classes is None:
            return tf.zeros_like(translations, tf.bool)
        found = self._words_left_out(source, translations, self.source_classes, self.target_classes)
        if self.target_classes.characters is None:
            return found
        kept = tf.where(found, PADDING, translations)
        return found | self._characters_left_out(source, kept, self.source_classes, self.target_classes.characters)

    def _words_left_out(
        self, source: tf.Tensor, translations: tf.Tensor, source_classes: WordClasses, target_classes: WordClasses
    ) -> tf.Tensor:
        """See `left_out`."""
        nothing = tf.zeros_like(translations, tf.bool)
        of_each = tf.shape(translations)[0] // tf.shape(source)[0]
        words, _, number = _find_words(translations, target_classes)
        words = tf.maximum(words, PUNCTUATION)
        in_order = tf.sort(words, axis=1)
        again, often = (
            (in_order[:, times:] == in_order[:, :-times]) & (in_order[:, times:] > PUNCTUATION)
            for times in (1, MOST_ALWAYS)
        )
        # Only these can have a loop: they say a word more than twice, or as many words twice as an n-gram has.
        shortest = shortest_said_once(self.ngram_size)
        rows = tf.where(tf.reduce_any(often, 1) | (tf.math.count_nonzero(again, 1) >= shortest))[:, 0]

        def of_rows() -> tf.Tensor:
            said, is_long, _ = _find_words(tf.gather(source, rows // tf.cast(of_each, tf.int64)), source_classes)
            said = _told_apart(said)
            times, counts, _ = self._find_limits(said, tf.zeros_like(said, tf.bool), said, is_long)
            of_these = tf.gather(words, rows)
            loops = self._find_loops(of_these, tf.zeros_like(of_these, tf.bool), times, counts)
            places = tf.gather(number, rows)
            found = tf.gather(loops, tf.maximum(places, 0), batch_dims=1) & (places >= 0)
            for exempt in self.exempt_ids:
                found &= tf.gather(translations, rows) != exempt
            return tf.tensor_scatter_nd_update(nothing, rows[:, None], found)

        return tf.cond(tf.size(rows) > 0, of_rows, lambda: nothing)

    def _characters_left_out(
        self, source: tf.Tensor, translations: tf.Tensor, source_classes: WordClasses, characters: Characters
    ) -> tf.Tensor:
        """See `left_out`."""
        nothing = tf.zeros_like(translations, tf.bool)
        of_each = tf.shape(translations)[0] // tf.shape(source)[0]
        words, goes_on, number, owners = _find_characters(translations, characters)
        in_order = tf.sort(words, axis=1)
        often = (in_order[:, MOST_ALWAYS:] == in_order[:, :-MOST_ALWAYS]) & (in_order[:, MOST_ALWAYS:] > PUNCTUATION)
        spaceless = tf.constant([part != [token] for token, part in enumerate(characters.parts)])
        rows = tf.where(tf.reduce_any(often, 1) & tf.reduce_any(tf.gather(spaceless, translations), 1))[:, 0]

        def of_rows() -> tf.Tensor:
            said = tf.gather(source, rows // tf.cast(of_each, tf.int64))
            if source_classes.characters is None:
                said = _find_words(said, source_classes)[0]
            else:
                said = _find_characters(said, source_classes.characters)[0]
            said = _told_apart(said)
            times, _, _ = self._find_limits(said, tf.zeros_like(said, tf.bool), said, tf.zeros_like(said, tf.bool))
            loops = self._find_loops(tf.gather(words, rows), tf.gather(goes_on, rows), times)
            places = tf.gather(number, rows)
            found = tf.gather(loops, tf.maximum(places, 0), batch_dims=1) & (places >= 0)
            # Each token with such a character.
            tokens = tf.gather(translations, rows)
            size, time = tf.unstack(tf.shape(tokens))
            token = tf.gather(owners, rows) + time * tf.range(size)[:, None]
            found = tf.math.unsorted_segment_max(tf.cast(found, tf.int32), token, size * time) > 0
            found = tf.reshape(found, (size, time))
            for exempt in self.exempt_ids:
                found &= tokens != exempt
            return tf.tensor_scatter_nd_update(nothing, rows[:, None], found)

        return tf.cond(tf.size(rows) > 0, of_rows, lambda: nothing)

    def _find_loops(
        self, words: tf.Tensor, goes_on: tf.Tensor, times: tf.Tensor, counts: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Marks the words that exceed the limits, `[n, number]`; those that are marked do not count for later ones.

        Args:
            words: int32 `[n, number]`.
            goes_on: boolean, the same shape, whether a word belongs to the one before, with which it is left out.
            times: int32 `[n]`, how often a block may stand in a row.
            counts: int32 `[n, rules]`, how often n-grams may come; None for any number of times.
        """
        blocks = tf.range(1, self.longest_block + 1)
        sizes = ngram_sizes(self.ngram_size)

        def step(place: tf.Tensor, done: Any, before: Any, is_out: tf.Tensor, loops: tf.TensorArray) -> Any:
            new, on = (tf.gather(one, place, axis=1) for one in (words, goes_on))
            before = _chosen(on, before, done)
            appended = _append(new, *done)
            matches = appended[1]
            is_loop = tf.reduce_any(matches[:, : self.longest_block] >= blocks * times[:, None], 1)
            if counts is not None:
                again = tf.stack([tf.math.count_nonzero(matches >= size, 1, dtype=tf.int32) for size in sizes], 1)
                is_loop |= tf.reduce_any(again >= counts, 1)
            is_out = (is_loop & (new != PUNCTUATION)) | (is_out & on)
            return place + 1, _chosen(is_out, before, appended), before, is_out, loops.write(place, is_out)

        number, nothing = tf.shape(words)[1], _no_words(tf.shape(words)[0], self.window)
        start = 0, nothing, nothing, tf.zeros_like(words[:, 0], tf.bool), tf.TensorArray(tf.bool, number)
        *_, loops = tf.while_loop(lambda place, *_: place < number, step, start)
        return tf.transpose(loops.stack())

    def _limits(self, source: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What the source allows to repeat, see `_find_limits`."""
        real = (source != PADDING) & (source != END)
        classes = tf.where(real, _class_of(source, self.source_classes), PUNCTUATION)
        # A foreign token is a word that no other repeats, but also one without known letters.
        tokens = _told_apart(classes)
        if self.source_classes is None:
            return self._find_limits(tokens, tf.zeros_like(real), tokens, real)
        prolongs = tf.gather(tf.constant(self.source_classes.prolongs), source) & _as_before(classes)
        tokens = tf.where(prolongs, PUNCTUATION, tokens)
        no_word = real & ((classes == FOREIGN) | (tokens == PUNCTUATION))  # padding is no punctuation
        words, is_long, _ = _find_words(source, self.source_classes)
        return self._find_limits(tokens, no_word, _told_apart(words), is_long)

    def _find_limits(
        self, tokens: tf.Tensor, no_word: tf.Tensor, words: tf.Tensor, is_long: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """How often a block may stand in a row; how often n-grams may come; how many tokens in a row may lack letters.

        Each is int32 `[batch]`, but `[batch, rules]` for n-grams. A block that the source has begun to repeat counts as
        a whole one, but not for n-grams.

        Args:
            tokens: int32 `[batch, time]`, those of the source; 0 for punctuation.
            no_word: boolean, the same shape, which of them have no letters that are known.
            words: int32 `[batch, number]`, what the tokens make up, 0 where there is none.
            is_long: boolean, the same shape.
        """
        nothing = _no_words(tf.shape(tokens)[0], self.longest_block)

        def step(place: tf.Tensor, done: tuple[tf.Tensor, ...], longest: tf.Tensor, most: tf.Tensor) -> Any:
            last, matches, marks = done
            last, matches, _ = _append(tf.gather(tokens, place, axis=1), last, matches, marks)
            marks = tf.where(tf.gather(no_word, place, axis=1), marks + 1, 0)
            return place + 1, (last, matches, marks), tf.maximum(longest, matches), tf.maximum(most, marks)

        start = (0, nothing, *nothing[1:])
        *_, longest, marks = tf.while_loop(lambda place, *_: place < tf.shape(tokens)[1], step, start)
        blocks = tf.range(1, self.longest_block + 1)
        begun, in_a_row = (tf.reduce_max(runs // blocks, 1) + 1 for runs in (longest + blocks - 1, longest))
        of_words = _largest_counts(_without_punctuation(words), [rule.source_words for rule in NGRAM_RULES])
        of_tokens = _largest_counts(_without_punctuation(tokens), ngram_sizes(self.ngram_size))
        (of_one_word,) = _largest_counts(tf.where(is_long, words, PUNCTUATION), [1])
        counts = [
            tf.maximum(tf.maximum(by_words, by_tokens), tf.maximum(of_one_word if rule.one_word else 0, rule.always))
            for rule, by_words, by_tokens in zip(NGRAM_RULES, of_words, of_tokens, strict=True)
        ]
        counts = tf.maximum(tf.stack(counts, 1), in_a_row[:, None])
        return tf.maximum(begun, MOST_ALWAYS), counts, tf.maximum(2 * marks, LONGEST_PUNCTUATION)


def _find_words(tokens: tf.Tensor, vocabulary: WordClasses) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Joins tokens to words, as `nmt.text.repetition.find_words` does.

    Args:
        tokens: int32 `[batch, time]`, ids with or without an end token and padding after it.
        vocabulary: what they are.

    Returns:
        A number for each word, int32 `[batch, time]`, above 0, but `FOREIGN` for foreign words and 0 after the last
        one; which words are long; and to which of the words each token belongs, -1 for none.
    """
    batch, time = tf.unstack(tf.shape(tokens))
    real = (tokens != PADDING) & (tokens != END)
    classes = tf.where(real, _class_of(tokens, vocabulary), PUNCTUATION)
    is_token, is_known = classes != PUNCTUATION, classes > PUNCTUATION
    begins, ends = (tf.gather(tf.constant(places), tokens) for places in (vocabulary.begins, vocabulary.ends))
    goes_on = tf.pad(is_known & ~ends, [[0, 0], [1, 0]])[:, :-1] & is_known & ~begins
    number = tf.cumsum(tf.cast(is_token & ~goes_on, tf.int32), 1) - 1
    number = tf.where(is_token, number, -1)
    # All words of all rows in one row, for sums over the tokens of each.
    word = tf.where(is_token, number + time * tf.range(batch)[:, None], -1)
    sizes = tf.where(is_token, tf.gather(tf.constant(vocabulary.sizes), tokens), 0)
    before = tf.cumsum(sizes, 1, exclusive=True)
    first = tf.math.unsorted_segment_min(before, word, batch * time)
    before -= tf.gather(first, tf.maximum(word, 0))
    # A polynomial of the word's bytes, so that it does not matter where it is split.
    terms = tf.gather(_hashes(vocabulary), tokens) * tf.gather(tf.constant(_POWERS), before % len(_POWERS))
    sums, lengths = (tf.math.unsorted_segment_sum(x, word, batch * time) for x in (terms, sizes))
    is_foreign = tf.math.unsorted_segment_sum(tf.cast(classes == FOREIGN, tf.int32), word, batch * time) > 0
    exists = tf.math.unsorted_segment_max(tf.ones_like(word), word, batch * time) > 0
    words = tf.where(is_foreign, FOREIGN, 1 + tf.math.floormod(sums, _NO_CLASS - 1))
    words = tf.where(exists, words, PUNCTUATION)
    return tf.reshape(words, (batch, time)), tf.reshape(exists & (lengths >= LONG), (batch, time)), number


def _find_characters(tokens: tf.Tensor, characters: Characters) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Finds words, and the characters of scripts without spaces, as `nmt.text.repetition.without_loops` does.

    Args:
        tokens: int32 `[batch, time]`, ids with or without an end token and padding after it.
        characters: the vocabulary by characters.

    Returns:
        A number for each word or such character, int32 `[batch, number]`, 0 for none; whether it belongs to the same
        token as the one before; for each part of a token, `[batch, number]`, which word it belongs to, -1 for none; and
        which token it is a part of.
    """
    most = max(map(len, characters.parts))
    table = np.array([part + [-1] * (most - len(part)) for part in characters.parts], np.int32)
    batch, time = tf.unstack(tf.shape(tokens))
    parts = tf.reshape(tf.gather(table, tokens), (batch, time * most))
    order = tf.argsort(tf.cast(parts < 0, tf.int32), stable=True)
    parts, owners = tf.maximum(tf.gather(parts, order, batch_dims=1), PADDING), order // most
    words, _, number = _find_words(parts, characters.classes)
    size = time * most
    word = tf.where(number >= 0, number + size * tf.range(batch)[:, None], -1)
    first, last = (
        tf.reshape(reduce(owners, word, batch * size), (batch, size))
        for reduce in (tf.math.unsorted_segment_min, tf.math.unsorted_segment_max)
    )
    goes_on = tf.pad(first[:, 1:] == last[:, :-1], [[0, 0], [1, 0]])
    return tf.maximum(words, PUNCTUATION), goes_on, number, owners


def _chosen(where: tf.Tensor, these: Sequence[tf.Tensor], others: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """For each row `where` says, one of two groups of tensors."""
    return tuple(
        tf.where(tf.reshape(where, [-1] + [1] * (one.shape.rank - 1)), one, other)
        for one, other in zip(these, others, strict=True)
    )


def _hashes(vocabulary: WordClasses) -> tf.Tensor:
    """The polynomial of each token's bytes, int32 `[vocabulary]`, modulo 2 ** 32."""
    sums = []
    for letters in vocabulary.letters:
        bytes_ = np.frombuffer(letters.encode(), np.uint8).astype(np.int32)
        sums.append(np.sum(bytes_ * np.resize(_POWERS, len(bytes_)), dtype=np.int32))
    return tf.constant(np.array(sums, np.int32))


def _told_apart(words: tf.Tensor) -> tf.Tensor:
    """Gives each foreign word or token of a row, `[batch, time]`, a number of its own."""
    return tf.where(words == FOREIGN, _NO_CLASS + tf.range(tf.shape(words)[1]), words)


def _as_before(classes: tf.Tensor) -> tf.Tensor:
    """Which tokens with letters are of the class of the one before, `[batch, time]`; what has none stands between."""
    order = tf.argsort(tf.cast(classes <= PUNCTUATION, tf.int32), stable=True)
    in_order = tf.gather(classes, order, batch_dims=1)
    equal = tf.pad(in_order[:, 1:] == in_order[:, :-1], [[0, 0], [1, 0]])
    return tf.gather(equal, tf.argsort(order), batch_dims=1) & (classes > PUNCTUATION)


def _without_punctuation(words: tf.Tensor) -> tf.Tensor:
    """The words alone, in their order, to find neighbours across punctuation; 0 after them."""
    order = tf.argsort(tf.cast(words == PUNCTUATION, tf.int32), stable=True)
    return tf.gather(words, order, batch_dims=1)


def _no_words(batch: tf.Tensor, window: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What `_append` appends to, before the first token.

    Returns:
        The last tokens that have letters, the latest first, int32 `[batch, window]`; for each distance from 1 to
        `window`, how many of the last tokens in a row equal the tokens at that distance before them, int32 `[batch,
        window]`; and the number of tokens without letters since then, int32 `[batch]`.
    """
    nothing = tf.zeros((batch, window), tf.int32)
    return nothing, nothing, nothing[:, 0]


def _append(
    classes: tf.Tensor, last: tf.Tensor, matches: tf.Tensor, marks: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Appends one token each, passing over those without letters."""
    new = classes[..., None]
    is_word = new > PUNCTUATION
    further = tf.where(last == new, matches + 1, 0)
    appended = tf.concat([new, last[..., :-1]], -1)
    marks = tf.where(is_word[..., 0], 0, marks + 1)
    return tf.where(is_word, appended, last), tf.where(is_word, further, matches), marks


def _class_of(tokens: tf.Tensor, classes: WordClasses | None) -> tf.Tensor:
    return tokens if classes is None else tf.gather(tf.constant(classes.classes), tokens)


def _members(classes: Sequence[int]) -> np.ndarray:
    """The tokens of each class, int32 `[vocabulary, most tokens of one]`, repeated where there are fewer."""
    numbers = np.asarray(classes)
    tokens = np.flatnonzero(numbers > PUNCTUATION)
    tokens = tokens[np.argsort(numbers[tokens], kind="stable")]
    counts = np.bincount(numbers[tokens], minlength=len(numbers))
    first = np.cumsum(counts) - counts
    places = first[:, None] + np.arange(counts.max(initial=0)) % np.maximum(counts, 1)[:, None]
    members = np.append(tokens, PADDING)[np.minimum(places, len(tokens))]
    return np.where(counts[:, None] > 0, members, PADDING).astype(np.int32)


def _forbid(log_probabilities: tf.Tensor, tokens: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """Makes the tokens `[n, any number]` impossible for which `where` is true."""
    row = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, None], tf.shape(tokens))
    # All sizes are known beforehand: where nothing is forbidden, the minimum changes nothing.
    return tf.tensor_scatter_nd_min(
        log_probabilities, tf.stack([row, tokens], -1), tf.where(where, IMPOSSIBLE, log_probabilities.dtype.max)
    )


def _largest_counts(classes: tf.Tensor, sizes: Sequence[int]) -> list[tf.Tensor]:
    """How often the most frequent n-gram without punctuation of each row comes, for each size: int32 `[batch]` each."""
    equal = (classes[:, :, None] == classes[:, None]) & (classes != PUNCTUATION)[:, None]
    counts, same = {}, equal
    for size in range(1, max(sizes) + 1):  # equal first words, and equal (n - 1)-grams after these
        same = equal if size == 1 else equal[:, : 1 - size, : 1 - size] & same[:, 1:, 1:]
        # One zero more: of a row that is shorter than the n-gram there is no maximum.
        counts[size] = tf.reduce_max(tf.pad(tf.reduce_sum(tf.cast(same, tf.int32), 2), ((0, 0), (0, 1))), 1)
    return [counts[size] for size in sizes]
