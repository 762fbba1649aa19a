"""The plan of a training is a function of counts, and its settings change smoothly with them."""

import itertools

import pytest

from nmt.config import parse_config
from nmt.data.counts import CorpusCounts, TokenCounts, count_tokens
from nmt.text.tokenizer import train_tokenizer
from nmt.training.budget import Machine
from nmt.training.plan import check_enough, make_plan
from nmt.utils.errors import UserError

DATA = {"source_language": "en", "target_language": "de", "corpus": {"kind": "tsv", "train": ["pairs.tsv"]}}
TOKENS, MACHINE = TokenCounts(15.0, 16.0, 40), Machine(5e10, 4.0)


def counts(pairs, alphabet=90, placeholders=()):
    return CorpusCounts(pairs, pairs, (62 * pairs, 68 * pairs), alphabet, placeholders, [])


def config_of(pairs, minutes=30.0, machine=MACHINE, overrides=(), epochs=None):
    plan = make_plan(DATA, counts(pairs), TOKENS, machine, minutes=minutes, epochs=epochs, overrides=overrides)
    assert len(plan.lines) == 5
    return parse_config(plan.tree)


def test_every_size_of_corpus_time_and_machine_gives_settings_that_are_valid():
    sizes = [20, 200, 1_000, 20_000, 1_000_000, 30_000_000]
    for pairs, minutes, flops in itertools.product(sizes, (0.5, 30, 5000), (1e9, 1e14)):
        config = config_of(pairs, minutes, Machine(flops, 4.0))
        assert config.training.max_steps > config.training.warmup_steps
        assert 1 <= config.data.held_out * 20 <= max(pairs, 20)


def test_less_text_means_fewer_subwords_more_dropout_and_smaller_held_out_sets():
    configs = [config_of(pairs) for pairs in (200, 1_000, 5_000, 25_000)]
    for less, more in itertools.pairwise(configs):
        assert less.tokenizer.vocabulary_size < more.tokenizer.vocabulary_size
        assert less.model.dropout >= more.model.dropout
        assert less.data.held_out < more.data.held_out
    assert configs[0].model.dropout > configs[-1].model.dropout


def test_a_text_that_repeats_itself_gets_the_vocabulary_that_it_has():
    words = ["the", "cat", "dog", "sat", "ran", "on", "mat"]
    texts = [" ".join(pair) for pair in itertools.permutations(words, 3)]
    sample = [(text, text.upper()) for text in texts]
    repetitive = CorpusCounts(len(texts), len(texts), (3000, 3000), 24, (), sample)
    tokens = count_tokens(repetitive, 900)
    assert 260 < tokens.largest_vocabulary < 400
    tree = make_plan(DATA, repetitive, tokens, MACHINE, minutes=5).tree
    size = tree["tokenizer"]["vocabulary_size"]
    assert size < tokens.largest_vocabulary
    train_tokenizer([text for pair in sample for text in pair], size, "bpe")  # raises nothing


def test_settings_are_smooth():
    sizes = [round(200 * 1.1**step) for step in range(90)]
    for less, more in itertools.pairwise(map(config_of, sizes)):
        assert more.tokenizer.vocabulary_size <= 1.12 * less.tokenizer.vocabulary_size
        assert abs(more.model.units - less.model.units) <= 32
        assert abs(more.model.dropout - less.model.dropout) <= 0.08  # R-Drop begins somewhere


def test_more_time_means_more_steps_and_no_smaller_model():
    short, long = config_of(25_000, 10.0), config_of(25_000, 60.0)
    assert short.training.max_steps < long.training.max_steps
    assert short.model.units <= long.model.units
    assert (short.training.max_minutes, long.training.max_minutes) == (10, 60)


def test_one_layer_where_there_is_little_time_to_learn():
    assert [config_of(25_000, minutes).model.encoder_layers for minutes in (5, 10, 60, 120)] == [1, 1, 2, 2]
    assert config_of(25_000, None, epochs=3).model.decoder_layers == 1
    # Few epochs of much text are long enough.
    assert config_of(5_000_000, None, epochs=2).model.decoder_layers == 2
    # All epochs of little text, too.
    assert config_of(1_000, 30.0).model.decoder_layers == 2


def test_the_corpus_of_base_yaml_gets_about_its_settings():
    config = config_of(25_000, 30.0, Machine(9e10, 4.0))
    assert 3_500 <= config.tokenizer.vocabulary_size <= 4_500
    assert 160 <= config.model.units <= 224
    assert 0.15 <= config.model.dropout <= 0.3  # there is time for two thirds of the epochs
    assert (config.model.attention, config.training.schedule) == ("multi_head", "linear")


def test_epochs_in_place_of_minutes():
    once, twice = (config_of(25_000, None, epochs=epochs) for epochs in (3, 6))
    assert once.training.max_minutes is None
    assert 6 < once.batches.shapes < twice.batches.shapes <= 40
    assert 1.5 < twice.training.max_steps * twice.batches.tokens / (once.training.max_steps * once.batches.tokens) < 2.5


def test_large_alphabets_get_room():
    plan = make_plan(DATA, counts(20_000, 2500, ("braces",)), TOKENS, MACHINE, minutes=30)
    config = parse_config(plan.tree)
    assert config.tokenizer.vocabulary_size > 5000
    assert config.tokenizer.placeholders == ["braces", "urls", "emails", "identifiers", "emoji"]
    assert parse_config(make_plan(DATA, counts(20_000), TOKENS, MACHINE, minutes=30).tree).tokenizer.placeholders == []


def test_overrides_win():
    config = config_of(5_000, overrides=["model.units=64", "training.max_steps=700"])
    assert (config.model.units, config.training.max_steps) == (64, 700)


def test_too_little_text(caplog):
    with pytest.raises(UserError, match="19 different sources are left after cleaning: expected at least 20"):
        check_enough(counts(19))
    check_enough(counts(499))
    assert "too few for a useful translator" in caplog.text
    caplog.clear()
    check_enough(counts(500))
    assert not caplog.text


def test_little_text_needs_few_shapes_however_long_it_may_take():
    little, much = config_of(1_000, minutes=60), config_of(100_000, minutes=60)
    assert little.batches.shapes < 0.5 * much.batches.shapes
