"""Tiny random scorers, and exhaustive search over every sentence that they can make, written plainly."""

import itertools
import math

import numpy as np
import tensorflow as tf

from nmt.constants import BEGIN, END
from nmt.decoding.beam_search import beam_search
from nmt.models.decoder import DecoderState

SOURCE = 3  # tokens of each source
SHORT = {"max_length_factor": 0.1}
VOCABULARY = 6  # ids 0 to 2 are padding, unknown and begin; 3 ends; 4 and 5 are words


def sources(sentences) -> np.ndarray:
    """The source of each sentence: its number counted from 1, then ones."""
    rows = np.ones((len(sentences), SOURCE), np.int32)
    rows[:, 0] = np.array(sentences) + 1
    return rows


class Toy:
    """A random scorer whose next token depends on all tokens so far and, unless it is blind, on the source.

    It can carry two states that depend on each other, as an LSTM does.
    """

    def __init__(self, seed: int, width: int = 4, states: int = 1, sentences: int = 2, vocabulary: int = VOCABULARY):
        generator = np.random.default_rng(seed)
        self.recurrent, self.second = generator.normal(size=(2, width, width))
        self.tokens = generator.normal(size=(vocabulary, width))
        self.outputs = generator.normal(size=(width, vocabulary)) * 2
        self.attention = generator.normal(size=(width, SOURCE)) * 3
        self.first = generator.normal(size=(sentences, width))
        self.bias = np.array([-1e9] * END + [0.0] * (vocabulary - END))
        self.states = states

    def start(self, source):
        first = tf.gather(tf.constant(self.first, tf.float32), source[:, 0] - 1)
        return DecoderState((tf.zeros_like(source),), (first,) * self.states)

    def step(self, tokens, state, rows=None):
        recurrent, second, embeddings, outputs, attention, bias = (
            tf.constant(w, tf.float32)
            for w in (self.recurrent, self.second, self.tokens, self.outputs, self.attention, self.bias)
        )
        new = [tf.tanh(state.states[0] @ recurrent + tf.gather(embeddings, tokens))]
        if self.states == 2:
            new.append(tf.tanh(state.states[1] @ second + new[0]))
        flat = tf.reshape(new[-1], (-1, outputs.shape[0]))
        flat = flat if rows is None else tf.gather(flat, rows)
        log_probabilities = tf.nn.log_softmax(flat @ outputs + bias)
        return log_probabilities, tf.nn.softmax(new[-1] @ attention), DecoderState(state.memory, tuple(new))

    def begin(self, sentence: int):
        """The states in double precision, for `after`."""
        return [self.first[sentence]] * self.states

    def after(self, token: int, states):
        """log P of every next token in double precision, the attention, and the new states."""
        new = [np.tanh(states[0] @ self.recurrent + self.tokens[token])]
        if self.states == 2:
            new.append(np.tanh(states[1] @ self.second + new[0]))
        return log_softmax(new[-1] @ self.outputs + self.bias), softmax(new[-1] @ self.attention), new


class BlindToy(Toy):
    """A toy language model: its next token does not depend on the source."""

    def start(self, source):
        zeros = tf.zeros((tf.shape(source)[0], self.first.shape[1]))
        return DecoderState((), (zeros,) * self.states)

    def step(self, tokens, state, rows=None):
        log_probabilities, _, state = super().step(tokens, state, rows)
        return log_probabilities, (), state

    def begin(self, sentence: int):
        return [np.zeros(self.first.shape[1])] * self.states


def every_sentence(
    scores_after,
    words,
    limit,
    *,
    min_length=0,
    length_penalty=1.0,
    coverage_penalty=0.0,
    allowed=lambda done, scores: scores,
):
    """Score of every sequence that ends within `limit` tokens, the best first, by brute force.

    Args:
        scores_after: from the tokens so far to the log-probabilities of the next token and the attention.
        words: ids that may stand before the end token.
        limit: the most tokens, the end token included.
        allowed: from the tokens so far and the log-probabilities to those that a constraint leaves.
    """
    found = {}

    def go_on(done, total, coverage):
        scores, attention = scores_after(done)
        scores, coverage = allowed(done, scores), coverage + attention
        if len(done) >= min_length and scores[END] > -1e8:
            score = (total + scores[END]) / ((5 + len(done) + 1) / 6) ** length_penalty
            found[(*done, END)] = score + coverage_penalty * sum(math.log(min(c, 1.0)) for c in coverage)
        if len(done) + 1 < limit:
            for word in words:
                if scores[word] > -1e8:
                    go_on((*done, word), total + scores[word], coverage)

    go_on((), 0.0, np.zeros(SOURCE))
    return sorted(found.items(), key=lambda item: -item[1])


def of_toy(toy: Toy, sentence: int):
    """`scores_after` of one toy."""
    return lambda done: walk(toy, sentence, done)[:2]


def mean_of(toys, sentence):
    """`scores_after` of an ensemble of toys."""

    def after(done):
        log_probabilities, attention, _ = zip(*(walk(toy, sentence, done) for toy in toys), strict=True)
        return np.log(np.mean(np.exp(log_probabilities), 0) + 1e-300), np.mean(attention, 0)

    return after


def fused_of(after, language, sentence, weight):
    """`scores_after` of another one and a language model, weighted."""

    def scores_after(done):
        log_probabilities, attention = after(done)
        return log_probabilities + weight * walk(language, sentence, done)[0], attention

    return scores_after


def walk(toy: Toy, sentence: int, done):
    states = toy.begin(sentence)
    log_probabilities = attention = None
    for token in (BEGIN, *done):
        log_probabilities, attention, states = toy.after(token, states)
    return log_probabilities, attention, states


def log_probability(toy: Toy, sentence: int, tokens) -> float:
    """log P of a whole sequence."""
    return sum(float(walk(toy, sentence, tokens[:place])[0][token]) for place, token in enumerate(tokens))


def word_sequences(lengths, words=(4, 5)):
    """Every sequence of words of these lengths."""
    return itertools.chain.from_iterable(itertools.product(words, repeat=length) for length in lengths)


def log_softmax(values: np.ndarray) -> np.ndarray:
    shifted = values - values.max()
    return shifted - np.log(np.exp(shifted).sum())


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(log_softmax(values))


def tokens_of(ids) -> tuple[int, ...]:
    """The tokens of a padded row."""
    return tuple(int(i) for i in ids if i)


def search(scorer, sentences=(0, 1), jit_compile=False, constraints=(), **options):
    """Beam search in a graph, for the sources of these sentences."""
    run = tf.function(
        lambda source: beam_search(scorer, source, constraints, **SHORT | options),
        jit_compile=jit_compile,
        input_signature=[tf.TensorSpec((None, SOURCE), tf.int32)],
        autograph=False,
    )
    return run(sources(sentences))


def assert_finds(found, sentence, expected):
    """The hypotheses of a sentence are exactly the expected sequences, in order, with their scores."""
    assert len(expected) == (found.scores[sentence].numpy() > -1e8).sum()
    for (ids, score), got, got_score in zip(expected, found.ids[sentence], found.scores[sentence], strict=False):
        assert tokens_of(got) == ids
        np.testing.assert_allclose(got_score, score, atol=1e-4)
