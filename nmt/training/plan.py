"""Settings for a corpus, the time allowed and this machine, chosen by rules that are smooth in each of them.

The rules follow what is known of small corpora (Sennrich and Zhang 2019): the less text, the smaller the vocabulary and
the batches, and the more dropout. Their constants are those of configs/base.yaml where its corpora lie: about 25,000
pairs, 2.5 million characters of both languages, 30 epochs.
"""

import logging
import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from nmt.config import Config, parse_config
from nmt.config.file import apply_overrides
from nmt.data.counts import CorpusCounts, TokenCounts, count_corpus, count_tokens
from nmt.models.flops import training_flops
from nmt.models.seq2seq import Seq2Seq
from nmt.text.placeholders import KINDS
from nmt.training.bench import measure_product_rate
from nmt.training.budget import (
    PAIRS,
    Machine,
    course,
    measure_machine,
    seconds_of_steps,
    suitable_epochs,
    suitable_rate,
    suitable_shapes,
    with_padding,
)
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)

MINUTES = 30.0  # if neither minutes nor epochs are given
_FEWEST_PAIRS = 20
_FEW_PAIRS = 500
_CHARACTERS = 2.5e6
_TOKENS = 1.4e7  # in all epochs together
_MOST_EPOCHS = 1.5  # of those that suit a corpus, if there is time
_DEEP = 0.4  # share of _TOKENS, or of the epochs that suit a corpus, from which on there are two layers
_FIRST_GUESS = 0.35  # share of the rate of one large product that a training step reaches
_STAY = ("urls", "emails", "identifiers", "emoji")  # placeholders that any text may have, and no translation changes
_SOME_VOCABULARY = 1000  # a step's FLOPs grow by the same number with each further token


class Plan(NamedTuple):
    """A training that suits a corpus.

    Attributes:
        tree: its settings as nested dictionaries, as they stand in YAML.
        lines: list of str, what was chosen and why, and what it will cost.
    """

    tree: dict[str, Any]
    lines: list[str]


def plan_training(
    data: dict[str, Any],
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    machine: Machine | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """Reads a corpus, measures the machine for some seconds, and chooses the settings of a training.

    What was chosen, why, and what it will cost is logged.

    Args:
        data: the settings of the group `data`, languages and corpus at least.
        minutes: float, how long the training may take; None for `epochs`, or for 30 if there are none either.
        epochs: float, how often to go through the corpus.
        machine: how fast the machine trains that the plan is for; None to measure this one.
        overrides: settings to change in what is chosen, such as `model.units=512`.

    Returns:
        The configuration.

    Raises:
        UserError: if the corpus cannot be read or is too small, or a setting is wrong.

    Example:

    >>> data = {"source_language": "en", "target_language": "de", "corpus": {"kind": "tsv", "train": ["my.tsv"]}}
    >>> nmt.train(plan_training(data, minutes=30), "runs/mine")  # doctest: +SKIP
    """
    if minutes is not None and epochs is not None:
        raise UserError("`minutes`: expected it or `epochs`, got both")
    minutes = MINUTES if minutes is None and epochs is None else minutes
    _LOG.info("reading the corpus")
    counts = count_corpus(parse_config({"data": data}).data)
    check_enough(counts)
    tokens = count_tokens(counts, _fitting_vocabulary(counts))

    def plan(machine: Machine) -> Plan:
        return make_plan(data, counts, tokens, machine, minutes=minutes, epochs=epochs, overrides=overrides)

    if machine is None:
        first = parse_config(plan(Machine(_FIRST_GUESS * 1e9 * measure_product_rate(), 4.0)).tree)
        _LOG.info("measuring this machine")
        machine = measure_machine(first, tokens)
    chosen = plan(machine)
    for line in chosen.lines:
        _LOG.info("%s", line)
    return parse_config(chosen.tree)


def check_enough(counts: CorpusCounts) -> None:
    """Raises an error if a corpus is too small for any training, and warns if it is too small for a useful one."""
    if counts.different < _FEWEST_PAIRS:
        raise UserError(
            f"data.corpus.train: {counts.different} different sources are left after cleaning: expected at least "
            f"{_FEWEST_PAIRS} to learn anything from"
        )
    if counts.different < _FEW_PAIRS:
        _LOG.warning(
            "%d pairs are too few for a useful translator: it will know these texts, and hardly any other; some "
            "thousand pairs are a start",
            counts.pairs,
        )


def make_plan(
    data: dict[str, Any],
    counts: CorpusCounts,
    tokens: TokenCounts,
    machine: Machine,
    *,
    minutes: float | None,
    epochs: float | None = None,
    overrides: Sequence[str] = (),
) -> Plan:
    """Chooses the settings of a training; the same arguments always give the same settings.

    Args:
        data: the settings of the group `data`.
        counts: what the corpus contains.
        tokens: how the vocabulary splits it.
        machine: how fast the machine trains.
        minutes: float or None, how long the training may take.
        epochs: float or None, how often to go through the corpus where there is no such limit.
        overrides: settings to change in what is chosen.
    """
    wanted = epochs or suitable_epochs(counts.pairs)
    all_tokens = counts.pairs * max(tokens.source, tokens.target)
    suitable = 192 * (sum(counts.characters) / _CHARACTERS) ** 0.2  # units
    vocabulary = choose_vocabulary(counts)
    if tokens.largest_vocabulary is not None:  # a text that repeats itself
        # Some fewer: placeholders are masked in training, so their subwords are not there then.
        vocabulary = min(vocabulary, max(round(0.9 * tokens.largest_vocabulary), _smallest_vocabulary(counts)))

    # Little text is learnt in less time than is allowed, at most with R-Drop's two passes.
    all_epochs = wanted * _flops(_in_steps(suitable), 2, vocabulary, counts, tokens) / machine.flops_per_second
    estimate = all_epochs if minutes is None else min(60 * minutes, 2 * _MOST_EPOCHS * all_epochs)
    shapes = suitable_shapes(estimate, machine)
    padding = with_padding(1.0, shapes)
    seconds = None if minutes is None else seconds_of_steps(minutes, shapes, machine)

    def epochs_of(units: int, layers: int, passes: int = 1) -> float:
        """How many epochs there is time for."""
        if seconds is None:
            return wanted
        flops = passes * padding * _flops(units, layers, vocabulary, counts, tokens)
        return seconds * machine.flops_per_second / flops

    # A second layer pays off where there is time for it to learn (benchmarks/neighbours.py).
    share = epochs_of(_in_steps(suitable), 2) * max(1 / suitable_epochs(counts.pairs), all_tokens / _TOKENS)
    layers = 1 if share < _DEEP else 2
    # A model somewhat smaller or larger where time is short or long for its epochs.
    time_factor = min(max((epochs_of(_in_steps(suitable), layers) / wanted) ** 0.2, 0.5), 1.5)
    units = _in_steps(suitable * time_factor)
    consistency = 2.0 if epochs is None and epochs_of(units, layers, 2) > 1.3 * wanted else 0.0
    passes = 2 if consistency else 1
    number = min(epochs_of(units, layers, passes), wanted * _MOST_EPOCHS) if epochs is None else epochs
    # Few tokens in all need small batches, so that there are enough updates.
    batch = _rounded(min(max(2000 / passes * (number * all_tokens / _TOKENS) ** 0.4, 400), 8000), 100)
    steps = max(round(padding * all_tokens / batch * number), 20)
    # Where a training sees a corpus few times, a model does not learn it by heart (benchmarks/neighbours.py).
    little_trained = min(number / wanted, 1.0) ** 0.75
    little_data = math.log10(PAIRS / counts.pairs)
    dropout = (0.25 + 0.12 * little_data + (0.05 if consistency else 0.0)) * little_trained
    kinds = choose_placeholders(counts)
    held_out = max(1, min(1000, counts.different // 20))
    tree: dict[str, Any] = {
        "seed": 1,
        "data": {**data, "held_out": held_out},
        "tokenizer": {
            "algorithm": "bpe",
            "vocabulary_size": vocabulary,
            "placeholders": kinds,
        },
        "batches": {
            "tokens": batch,
            "max_length": min(max(10 * math.ceil(tokens.longest / 8), 50), 150),
            "shapes": shapes,
        },
        "model": {
            "embedding": units,
            "units": units,
            "encoder_layers": layers,
            "decoder_layers": layers,
            "attention": "multi_head",
            "dropout": round(min(max(dropout, 0.05), 0.5), 2),
            "word_dropout": round(min(max(0.08 * little_data * little_trained, 0.0), 0.15), 2),
            "layer_normalization": True,
        },
        "training": {
            **course(steps, minutes),
            "max_minutes": minutes,
            "validation_sentences": _validation_sentences(held_out, minutes),
            "learning_rate": suitable_rate(units),
            "consistency": consistency,
            "precision": "auto",
            "xla": "parts",
        },
        "decoding": {"length_penalty": 1.0, "limit_repetition": True},
    }
    apply_overrides(tree, overrides)
    flops = passes * padding * _flops(units, layers, vocabulary, counts, tokens)
    cost = (number * flops / machine.flops_per_second + shapes * machine.compile_seconds + 10) / 0.88 / 60
    rate = counts.pairs * tokens.target * machine.flops_per_second / flops
    lines = [
        f"{counts.pairs:,} pairs, {sum(counts.characters) / 1e6:,.2f} million characters, {counts.alphabet:,} "
        f"different ones; {held_out:,} pairs are set aside for each of validation and test that is not given",
        f"vocabulary: {vocabulary:,} subwords for both languages, as the amount of text and the alphabet warrant"
        + (f"; placeholders masked: {', '.join(kinds)}" if kinds else ""),
        f"model: {'one layer' if layers == 1 else 'two layers'} of {units} units on each side, dropout "
        f"{tree['model']['dropout']}: larger with more text and time, more dropout with fewer pairs",
        f"training: {steps:,} steps of {batch:,} tokens, {number:.0f} epochs of {wanted:.0f} that would suit the corpus"
        + (f", with R-Drop (weight {consistency:g}), for which there is time" if consistency else ""),
        f"it will take about {cost:.0f} minutes at {rate:,.0f} target tokens per second; all settings are in the run's "
        "config.yaml",
    ]
    return Plan(tree, lines)


def choose_vocabulary(counts: CorpusCounts) -> int:
    """Chooses the number of subwords: bytes and special tokens, the alphabet, and merges by the amount of text.

    Example:

    >>> sizes = [CorpusCounts(n, n, (50 * n, 50 * n), 90, (), []) for n in (500, 5_000, 25_000, 1_000_000)]
    >>> [choose_vocabulary(size) for size in sizes]
    [1100, 2250, 3950, 16000]
    """
    merges = 3600 * (sum(counts.characters) / _CHARACTERS) ** 0.4
    return max(_rounded(min(260 + counts.alphabet + merges, 16_000), 50), _smallest_vocabulary(counts) + 50)


def _smallest_vocabulary(counts: CorpusCounts) -> int:
    """Bytes, special tokens, symbols and the alphabet."""
    return 260 + (10 if counts.placeholders else 0) + counts.alphabet


def choose_placeholders(counts: CorpusCounts) -> list[str]:
    """Chooses the placeholders to mask: those of the corpus, and if there are any, addresses, identifiers and emoji.

    All kinds share their symbols, so a model that has learned to repeat some also repeats rare kinds.
    Without any it cannot.

    Example:

    >>> choose_placeholders(CorpusCounts(9, 9, (9, 9), 9, ("braces",), []))
    ['braces', 'urls', 'emails', 'identifiers', 'emoji']
    """
    added = _STAY if counts.placeholders else ()
    return [kind for kind in KINDS if kind in (*counts.placeholders, *added)]


def _validation_sentences(held_out: int, minutes: float | None) -> int:
    """How many sentences to translate in a validation and in tuning: fewer in a short training, which both delay.

    Example:

    >>> _validation_sentences(1000, 30), _validation_sentences(1000, 7)
    (1000, 420)
    """
    return round(min(1000, max(held_out, 200), math.inf if minutes is None else max(60 * minutes, 1)))


def _flops(units: int, layers: int, vocabulary: int, counts: CorpusCounts, tokens: TokenCounts) -> float:
    """FLOPs of an epoch without padding, each batch passed through the model once."""
    source, target = counts.pairs * tokens.source, counts.pairs * tokens.target
    products = 1.3 * source * tokens.target  # more than of the mean lengths, as both vary together
    flops = training_flops(_model(units, layers), counts.pairs, source, target, products)
    return flops + 2 * 3 * target * units * (vocabulary - _SOME_VOCABULARY)


@cache
def _model(units: int, layers: int) -> Seq2Seq:
    """A model of that size; making one takes too long to do it for each vocabulary as well."""
    return Seq2Seq(_SOME_VOCABULARY, units=units, num_layers=layers)


def _fitting_vocabulary(counts: CorpusCounts) -> int:
    """The vocabulary to split a sample with, smaller where the sample is a small part of the text."""
    sampled = sum(len(text) for pair in counts.sample for text in pair)
    part = counts._replace(characters=(sampled, 0))
    return choose_vocabulary(part)


def _in_steps(units: float) -> int:
    """The nearest multiple of 32, from 96 to 512."""
    return min(max(32 * round(units / 32), 96), 512)


def _rounded(value: float, to: int) -> int:
    return to * round(value / to)
