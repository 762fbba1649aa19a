"""Constraints, each by itself and all together, against exhaustive search with the same rules written plainly."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.constants import BEGIN, END
from nmt.decoding.beam_search import beam_search
from nmt.decoding.constraints import NoRepeatConstraint, PrefixConstraint, SymbolConstraint
from nmt.decoding.repetition import RepetitionConstraint
from nmt.decoding.scorers import EnsembleScorer, FusedScorer
from nmt.text.repetition import RepetitionLimit, classes_of, find_word_classes, find_words, without_loops
from tests.decoding.toys import (
    BlindToy,
    Toy,
    assert_finds,
    every_sentence,
    fused_of,
    mean_of,
    of_toy,
    search,
    tokens_of,
)

NEVER = -1e9


class PlainSymbols:
    """The rule of `SymbolConstraint` for one sentence."""

    def __init__(self, source, limit, symbols, space):
        self.source, self.limit, self.symbols, self.space = list(source), limit, symbols, space

    def __call__(self, done, scores):
        scores, before = scores.copy(), scores
        missing = {s: self.source.count(s) - done.count(s) for s in self.symbols}
        total = sum(count for count in missing.values())
        room = self.limit - len(done)
        if any(count > 0 for count in missing.values()):
            no_room = room < total + 1.5
            if no_room or before[END] >= before.max():
                for token in range(len(scores)):
                    if token != END and token not in self.symbols and (no_room or token != self.space):
                        scores[token] = NEVER
            scores[END] = before[END] - 1e5
        for symbol, count in missing.items():
            if count <= 0:
                scores[symbol] = NEVER
        return scores


class PlainPrefix:
    """The rule of `PrefixConstraint` for one sentence."""

    def __init__(self, prefix):
        self.prefix = prefix

    def __call__(self, done, scores):
        if len(done) >= len(self.prefix):
            return scores
        return np.where(np.arange(len(scores)) == self.prefix[len(done)], scores, NEVER)


class PlainNoRepeat:
    """The rule of `NoRepeatConstraint` for one sentence."""

    def __init__(self, source, n):
        grams = [tuple(source[i : i + n]) for i in range(len(source) - n + 1) if 0 not in source[i : i + n]]
        self.n, self.off = n, len(set(grams)) < len(grams)

    def __call__(self, done, scores):
        if self.off:
            return scores
        seen = {done[i : i + self.n] for i in range(len(done) - self.n + 1)}
        repeats = [(*done[len(done) - self.n + 1 :], token) in seen for token in range(len(scores))]
        return np.where(repeats, NEVER, scores)


def in_turn(rules):
    def allowed(done, scores):
        for rule in rules:
            scores = rule(done, scores)
        return scores

    return allowed


def search_sources(scorer, rows, constraints, **options):
    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def run(source):
        return beam_search(scorer, source, constraints, max_length_factor=0.1, **options)

    return run(np.array(rows, np.int32))


@pytest.mark.parametrize("seed", range(3))
def test_a_forced_prefix_equals_exhaustive_search(seed):
    toy, prefixes = Toy(seed), [[5, 4], [5]]
    constraint = PrefixConstraint(tf.constant([[5, 4], [5, 0]]))
    found = search(toy, beam_size=32, max_length_offset=5, n_best=32, constraints=[constraint])
    for sentence, prefix in enumerate(prefixes):
        expected = every_sentence(of_toy(toy, sentence), (4, 5), 5, allowed=PlainPrefix(prefix))
        assert all(list(ids[: len(prefix)]) == prefix for ids, _ in expected)
        assert_finds(found, sentence, expected)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_repetition_equals_exhaustive_search(seed, n):
    toy, rows = Toy(seed, vocabulary=7), [[1, 1, 1], [2, 5, 3]]  # the first source repeats its 1- and 2-grams
    found = search_sources(toy, rows, [NoRepeatConstraint(n)], beam_size=400, max_length_offset=6, n_best=400)
    for sentence, row in enumerate(rows):
        rule = PlainNoRepeat(row, n)
        assert rule.off == (sentence == 0 and n < 3)
        assert_finds(found, sentence, every_sentence(of_toy(toy, sentence), (4, 5, 6), 6, allowed=rule))


def test_tokens_may_be_exempt_from_the_rule():
    constraint = NoRepeatConstraint(1, exempt_ids=(5,))
    state = constraint.start(tf.constant([[7, 8, 3]]), tf.constant([6]))
    state = state._replace(states=tuple(one[:, None] for one in state.states))
    for token in (BEGIN, 4, 5):
        state = constraint.advance(tf.constant([[token]]), state)
    rows = state._replace(states=tuple(one[:, 0] for one in state.states))
    allowed = constraint.allow(tf.zeros((1, 7)), rows).numpy()[0] > -1
    assert allowed.tolist() == [True, True, True, True, False, True, True]


SYMBOLS = (4, 5)
SYMBOL_VOCABULARY = 8  # two symbols, a word and a space


@pytest.mark.parametrize("seed", range(4))
def test_symbols_equal_exhaustive_search(seed):
    toy, rows = Toy(seed, vocabulary=SYMBOL_VOCABULARY), [[1, 4, 4], [2, 5, 3]]
    constraint = SymbolConstraint(4, 2, END, space_id=7)
    found = search_sources(toy, rows, [constraint], beam_size=700, max_length_offset=6, n_best=700)
    for sentence, row in enumerate(rows):
        rule = PlainSymbols(row, 6, SYMBOLS, 7)
        expected = every_sentence(of_toy(toy, sentence), (4, 5, 6, 7), 6, allowed=rule)
        kept = [(ids, score) for ids, score in expected if score > -1e3]
        assert all([ids.count(s) for s in SYMBOLS] == [row.count(s) for s in SYMBOLS] for ids, _ in kept)
        for (ids, score), got, got_score in zip(kept, found.ids[sentence], found.scores[sentence], strict=False):
            assert tokens_of(got) == ids
            np.testing.assert_allclose(got_score, score, atol=1e-3)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.lists(st.sampled_from((4, 5, 6)), min_size=1, max_size=6), st.integers(1, 3))
def test_a_translation_has_each_symbol_as_often_as_its_source(seed, source, beam_size):
    toy = Toy(seed, vocabulary=SYMBOL_VOCABULARY)
    toy.first = np.tile(toy.first[:1], (20, 1))
    row = [1, *source, END]
    options = {"beam_size": beam_size, "max_length_offset": len(row) + 4}
    constraint = SymbolConstraint(4, 2, END, space_id=7)
    found = beam_search(toy, tf.constant([row]), [constraint], max_length_factor=0.1, **options)
    best = tokens_of(found.ids[0, 0])
    assert best[-1] == END
    assert [best.count(s) for s in SYMBOLS] == [row.count(s) for s in SYMBOLS]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("penalties", [{}, {"length_penalty": 0.0, "coverage_penalty": 0.5}])
def test_everything_together_equals_exhaustive_search(seed, penalties):
    """An ensemble, a language model, placeholders, a forced prefix and no repetition, in one search."""
    toys = [
        Toy(seed, width=4, vocabulary=SYMBOL_VOCABULARY),
        Toy(seed + 10, width=6, states=2, vocabulary=SYMBOL_VOCABULARY),
    ]
    language, weight = BlindToy(seed + 20, vocabulary=SYMBOL_VOCABULARY), 0.5
    scorer = FusedScorer(EnsembleScorer(toys), language, weight)
    rows, prefixes = [[1, 4, 3], [2, 5, 3]], [[6], [7, 6]]
    constraints = [
        PrefixConstraint(tf.constant([[6, 0], [7, 6]])),
        SymbolConstraint(4, 2, END, space_id=7),
        NoRepeatConstraint(2),
    ]
    found = search_sources(scorer, rows, constraints, beam_size=900, max_length_offset=6, n_best=900, **penalties)
    for sentence, row in enumerate(rows):
        rules = [PlainPrefix(prefixes[sentence]), PlainSymbols(row, 6, SYMBOLS, 7), PlainNoRepeat(row, 2)]
        after = fused_of(mean_of(toys, sentence), language, sentence, weight)
        expected = every_sentence(after, (4, 5, 6, 7), 6, allowed=in_turn(rules), **penalties)
        kept = [(ids, score) for ids, score in expected if score > -1e3]
        assert len(kept) > 3
        for (ids, score), got, got_score in zip(kept, found.ids[sentence], found.scores[sentence], strict=False):
            assert tokens_of(got) == ids
            np.testing.assert_allclose(got_score, score, atol=1e-3)


def test_constrained_sentences_do_not_depend_on_their_batch():
    beam_size = 4
    toy = Toy(5, vocabulary=SYMBOL_VOCABULARY, sentences=4)
    rows = [[1, 4, 3], [2, 5, 5], [3, 3, 0], [4, 4, 5]]
    constraints = [
        SymbolConstraint(4, 2, END, space_id=7),
        NoRepeatConstraint(2, exempt_ids=SYMBOLS),
        RepetitionConstraint(SYMBOLS),
    ]
    options = {"beam_size": beam_size, "max_length_offset": 9, "n_best": beam_size}
    together = search_sources(toy, rows, constraints, **options)
    compiled = tf.function(
        lambda source: beam_search(toy, source, constraints, max_length_factor=0.1, **options),
        jit_compile=True,
        autograph=False,
    )(np.array(rows, np.int32))
    for sentence, row in enumerate(rows):
        alone = search_sources(toy, [row], constraints, **options)
        for hypothesis in range(beam_size):
            assert tokens_of(alone.ids[0, hypothesis]) == tokens_of(together.ids[sentence, hypothesis])
            assert tokens_of(compiled.ids[sentence, hypothesis]) == tokens_of(together.ids[sentence, hypothesis])


def plain_limit(source):
    """The rule of `RepetitionConstraint` for one sentence, as LiteRT's translator has it."""
    limit = RepetitionLimit([token for token in source if token not in (0, END)])

    def allowed(done, scores):
        forbidden = limit.forbidden(done)
        return np.array([NEVER if token in forbidden else score for token, score in enumerate(scores)])

    return allowed


@pytest.mark.parametrize("seed", range(2))
def test_limited_repetition_equals_exhaustive_search(seed):
    toy, rows = Toy(seed, vocabulary=6), [[1, 1, 1], [2, 5, 3]]
    found = search_sources(toy, rows, [RepetitionConstraint()], beam_size=120, max_length_offset=6, n_best=120)
    numbers = []
    for sentence, row in enumerate(rows):
        expected = every_sentence(of_toy(toy, sentence), (4, 5), 6, allowed=plain_limit(row))
        assert_finds(found, sentence, expected)
        numbers.append(len(expected))
    assert numbers[0] > numbers[1]  # the first source says a token three times in a row


def allowed_by_the_constraint(source, done, vocabulary, **options):
    constraint = RepetitionConstraint(**options)
    state = constraint.start(tf.constant([[*source, END]]), tf.constant([50]))
    state = state._replace(states=tuple(one[:, None] for one in state.states))
    for token in (BEGIN, *done):
        state = constraint.advance(tf.constant([[token]]), state)
    rows = state._replace(states=tuple(one[:, 0] for one in state.states))
    return constraint.allow(tf.zeros((1, vocabulary)), rows).numpy()[0] > -1


@settings(max_examples=60)
@given(st.lists(st.integers(4, 6), max_size=12), st.lists(st.integers(4, 6), max_size=24))
def test_what_may_be_repeated_equals_the_plain_rules(source, done):
    forbidden = RepetitionLimit(source).forbidden(done)
    assert allowed_by_the_constraint(source, done, 7).tolist() == [token not in forbidden for token in range(7)]


PIECES = [
    "<pad>", "<unk>", "<s>", "</s>", "\u2581Tag", "tag", ",", "\u2581", "\u2581\u00e4", "\u00c4.", "\u65e5\u672c",
    "<0xE6>", "<0x97>", "<0x3F>", "<0x54>", "\u2581t",
]  # fmt: skip
FOREIGN_IDS, QUESTION_MARK, LETTER_T, SPACED_T = [11, 12], 13, 14, 15
PIECE_IDS = st.lists(st.integers(4, len(PIECES) - 1), max_size=24)


@settings(max_examples=60)
@given(PIECE_IDS, PIECE_IDS)
def test_case_and_punctuation_make_no_difference(source, done):
    both = find_word_classes(PIECES)
    limit = RepetitionLimit(classes_of(source, both), [letters for letters, _ in find_words(source, both)])
    forbidden = limit.forbidden(classes_of((BEGIN, *done), both))
    allowed = allowed_by_the_constraint(source, done, len(PIECES), source_classes=both, target_classes=both)
    assert allowed[1:].tolist() == [one not in forbidden for one in both.classes[1:]]  # padding is never a candidate


def test_a_word_of_many_tokens_warrants_no_more_than_one_of_few():
    both = find_word_classes([*PIECES, "\u2581A", "S", "E", "tta"])
    word, long_word, ngram = [16, 17, 18], [16, 17, 19], [4, 8, 10, 18]

    def allowed(source):
        done = [*ngram, 14, *ngram, 17, *ngram[:-1]]
        return allowed_by_the_constraint(source, done, 20, source_classes=both, target_classes=both)[ngram[-1]]

    assert not allowed([*word, 4, *word, 8, *word, 10])
    assert allowed([*long_word, 4, *long_word, 8, *long_word, 10])  # its translation may be four tokens
    assert allowed([*word, 4, *word, 4, *word, 4])  # two words three times
    assert not allowed([*long_word, 17, 4, *long_word, 8, *long_word, 18, 10])  # three words


def test_variants_of_a_block_and_rows_of_punctuation_are_loops():
    tag, other_tag, comma, space, umlaut = 4, 5, 6, 7, 8
    both = find_word_classes(PIECES)

    def allowed(source, done):
        return allowed_by_the_constraint(source, done, len(PIECES), source_classes=both, target_classes=both)

    variants = [tag, comma, umlaut, space, other_tag, comma, comma, 9]
    assert np.flatnonzero(~allowed([10], variants)).tolist() == [tag, other_tag]
    assert allowed([10, tag, comma, tag, tag], variants).all()
    marks = [comma, space, *FOREIGN_IDS, QUESTION_MARK]
    assert np.flatnonzero(~allowed([10], [tag, *[comma, space] * 4])).tolist()[1:] == [tag, other_tag, *marks]
    assert allowed([10, *[comma] * 5], [tag, *[comma, space] * 4]).all()
    assert allowed([10, *FOREIGN_IDS * 3], [tag, *FOREIGN_IDS * 4]).all()


def test_unknown_characters_of_the_source_warrant_no_loop():
    both = find_word_classes(PIECES)

    def allowed(source, done):
        return allowed_by_the_constraint(source, done, len(PIECES), source_classes=both, target_classes=both)

    assert not allowed([QUESTION_MARK] * 50, [4, 4])[4]
    assert not allowed([*FOREIGN_IDS] * 50, [4, 4])[4]
    # "a X a" says "a" twice, but not in a row, whatever X is.
    assert not allowed([SPACED_T, *FOREIGN_IDS, SPACED_T, *FOREIGN_IDS, SPACED_T], [4, 8, 4, 8])[4]
    assert allowed([SPACED_T] * 3, [4, 8, 4, 8]).all()
    # A letter that is repeated within a word warrants no other repetition, and may be repeated as often itself.
    assert not allowed([SPACED_T, *[LETTER_T] * 20], [4, 8, 4, 8])[4]
    assert allowed([SPACED_T, *[LETTER_T] * 20], [SPACED_T, *[LETTER_T] * 20]).all()
    assert np.flatnonzero(~allowed([SPACED_T], [SPACED_T, *[LETTER_T] * 8]))[-2:].tolist() == [LETTER_T, SPACED_T]


HYPHENATED = [
    *PIECES[:4], "\u2581Pfad", "\u2581P", "P", "fad", "pf", "ad", "-", "\u2581(", "\u2581die", "e", "<0xE6>", "\u65e5",
    "1", ".1", "1.",
]  # fmt: skip


def words_left_out(source, translation, **options):
    """Places of the tokens that are left out, by the graph and by the plain rules."""
    both = find_word_classes(HYPHENATED)
    constraint = RepetitionConstraint(source_classes=both, target_classes=both, **options)
    found = constraint.left_out(tf.constant([[*source, END]]), tf.constant([[*translation, END, 0]])).numpy()[0]
    assert not found[len(translation) :].any()
    limit = RepetitionLimit([letters for letters, _ in find_words(source, both)])
    kept = without_loops(translation, source, both, both, options.get("exempt_ids", ()))
    assert kept == [token for token, out in zip(translation, found, strict=False) if not out]
    words = [letters for letters, _ in find_words(kept, both) if letters]
    return np.flatnonzero(found).tolist(), limit.is_exceeded(words)


@settings(max_examples=200)
@given(*[st.lists(st.integers(4, len(HYPHENATED) - 1), max_size=size) for size in (12, 40)])
def test_nothing_is_said_too_often_however_it_is_split(source, translation):
    assert not words_left_out(source, translation)[1]


def test_words_of_a_loop_are_left_out_however_they_are_split():
    translation = [4, 10, 6, 7, 12, 11, 8, 9, 10, 4]  # " Pfad-Pfad die (Pfad- Pfad"
    assert words_left_out([12], translation) == ([], False)
    assert words_left_out([12], [4, 10, 6, 7, 11, 8, 9, 10, 12, 4]) == ([5, 6], False)  # "(" and "-" stay
    assert words_left_out([12, 12, 12], [4, 10, 6, 7, 11, 8, 9, 10, 12, 4]) == ([], False)
    assert words_left_out([12], [4] * 4)[0] == [2, 3]
    assert words_left_out([16, 17], [16, 17, 17]) == ([2], False)  # 1.1.1
    assert words_left_out([16, 17], [18, 16, 4, 16, 17, 16]) == ([], False)  # 1.1 Pfad1.11
    assert words_left_out([12], [4] * 4, exempt_ids=(4,))[0] == []


SPACELESS = [*PIECES[:4], "有", "功", "有功", "功功率", "率", "。", "\u2581a", "b", "\u2581功b", "<0xE6>"]


def characters_left_out(source, translation):
    """Places of the tokens that are left out, by the graph and by the plain rules; and the characters that stay."""
    both = find_word_classes(SPACELESS)
    constraint = RepetitionConstraint(source_classes=both, target_classes=both)
    found = constraint.left_out(tf.constant([[*source, END]]), tf.constant([[*translation, END, 0]])).numpy()[0]
    assert not found[len(translation) :].any()
    kept = without_loops(translation, source, both, both)
    assert kept == [token for token, out in zip(translation, found, strict=False) if not out]
    return np.flatnonzero(found).tolist(), [part for token in kept for part in both.characters.parts[token]]


@settings(max_examples=80)
@given(*[st.lists(st.integers(4, len(SPACELESS) - 1), max_size=size) for size in (12, 30)])
def test_no_characters_stand_too_often_in_a_row_however_they_are_split(source, translation):
    _, parts = characters_left_out(source, translation)
    characters, parts_of = find_word_classes(SPACELESS).characters
    said = find_words([part for token in source for part in parts_of[token]], characters)
    limit = RepetitionLimit([letters for letters, _ in said])
    words = [letters for letters, _ in find_words(parts, characters) if letters]
    assert not any(limit.is_exceeded_by_last(words[:end], in_a_row_only=True) for end in range(1, len(words) + 1))


def test_characters_of_a_loop_are_left_out_with_their_token():
    assert characters_left_out([10], [6, 5, 7])[0] == [2]  # 有功 功 功功率
    assert characters_left_out([10], [6, 5, 5, 8])[0] == [2]
    assert characters_left_out([10], [6, 9, 5, 8])[0] == []
    assert characters_left_out([5, 5, 5], [6, 5, 5, 8])[0] == []
    assert characters_left_out([10], [10, 10, 6, 8])[0] == []


@settings(max_examples=40)
@given(st.lists(st.integers(4, 6), min_size=1, max_size=4), st.integers(1, 5), st.lists(st.integers(7, 9), max_size=3))
def test_what_the_source_repeats_is_never_forbidden(block, times, rest):
    source = [*rest, *block * times, *rest]
    for end in range(len(source)):
        assert source[end] not in RepetitionLimit(source).forbidden(source[:end])
        assert END not in RepetitionLimit([]).forbidden(source[:end])


def test_six_tokens_come_once_unless_the_source_repeats_as_much():
    ngram = [5, 6, 7, 8, 9, 10]

    short = find_word_classes([*PIECES[:4], *(f"\u2581{letter}" for letter in "abcdefghijkl")])

    def allowed(source):
        return allowed_by_the_constraint(source, [*ngram, 11, *ngram[:-1]], 16, source_classes=short)

    assert np.flatnonzero(~allowed([12, 13, 14, 15])).tolist() == [ngram[-1]]
    assert np.flatnonzero(~allowed([12, 13, 12, 14])).tolist() == [ngram[-1]]  # has only begun to repeat a block
    assert allowed([12, 13, 14, 12, 13]).all()  # two words twice


@pytest.mark.parametrize("block", [[5], [5, 6], [5, 6, 7, 8, 5]])
def test_no_block_comes_a_third_time(block):
    allowed = allowed_by_the_constraint([7, 8, 9], block * 2, 12)
    assert not allowed[block[0]]
    assert allowed.sum() == 11
    assert allowed_by_the_constraint([4, *block * 3], block * 2, 12).all()
    assert allowed_by_the_constraint([7, 8, 9], block * 2, 12, exempt_ids=(5,)).all()


def test_the_first_symbol_follows_the_end_token():
    with pytest.raises(ValueError, match="expected `first_id` right after `end_id`, got 7 and 3"):
        SymbolConstraint(7, 2, END, space_id=-1)


def test_ngrams_have_a_length():
    with pytest.raises(ValueError, match="expected `ngram_size` of at least 1, got 0"):
        NoRepeatConstraint(0)
