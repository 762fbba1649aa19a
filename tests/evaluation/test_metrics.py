import io
import json
import os
import random
import subprocess
import sys

import pytest
import sacrebleu

from nmt.evaluation import metrics
from nmt.evaluation.metrics import Comparison, Score, compare, evaluate, print_scores, scores_as_json
from nmt.utils.errors import UserError

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "mat", "over", "under", "red", "blue", "house", "garden"]


@pytest.fixture(scope="module")
def references() -> list[str]:
    draw = random.Random(1)
    return [" ".join(draw.choices(WORDS, k=12)).capitalize() + "." for _ in range(60)]


def damaged(sentences: list[str], share: float, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join("x" if draw.random() < share else word for word in line.split()) for line in sentences]


def test_scores_are_those_of_sacrebleu(references: list[str]) -> None:
    hypotheses = damaged(references, 0.3, 2)
    bleu, chrf, ter = evaluate(hypotheses, references)
    assert bleu.value == sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert chrf.value == sacrebleu.corpus_chrf(hypotheses, [references]).score
    assert ter.value == sacrebleu.corpus_ter(hypotheses, [references]).score
    assert [score.name for score in (bleu, chrf, ter)] == ["BLEU", "chrF2", "TER"]
    assert bleu.signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    assert bleu.mean is None
    assert bleu.margin is None


def test_perfect_and_empty_translations() -> None:
    lines = ["The cat sat on the mat.", "It rained all day."]
    assert [round(score.value, 6) for score in evaluate(lines, lines)] == [100, 100, 0]
    assert [round(score.value, 6) for score in evaluate(["", ""], lines)] == [0, 0, 100]


def test_case_counts() -> None:
    [bleu] = evaluate(["the cat sat on the mat today"], ["The cat sat on the mat today"], metrics=["BLEU"])
    assert 50 < bleu.value < 99


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        *[("de", "13a"), ("deu", "13a"), ("", "13a"), ("ho", "13a"), ("th", "char"), ("tha", "char"), ("bo", "char")],
        *[("zh", "zh"), ("zh-Hans", "zh"), ("ZH_cn", "zh"), ("zho", "zh"), ("yue", "zh")],
    ],
)
def test_bleu_splits_words_by_language(language: str, tokenizer: str) -> None:
    [bleu] = evaluate(["我是一只猫。"], ["我是一只狗。"], language, metrics=["BLEU"])
    assert f"|tok:{tokenizer}|" in bleu.signature
    assert (bleu.value > 0) == (tokenizer != "13a")


@pytest.mark.parametrize(("there", "tokenizer"), [(None, "char"), (object(), "ja-mecab")])
def test_japanese_needs_an_extra(monkeypatch: pytest.MonkeyPatch, there: object, tokenizer: str) -> None:
    monkeypatch.setattr(metrics.importlib.util, "find_spec", lambda name: there)
    assert metrics.bleu_tokenizer("ja") == metrics.bleu_tokenizer("jpn") == tokenizer


def test_edits_of_chinese_are_counted_in_characters() -> None:
    [ter] = evaluate(["我是一只猫。"], ["我是一只狗。"], "zh", metrics=["TER"])
    assert 0 < ter.value < 50
    assert "asian:yes" in ter.signature


def test_confidence_intervals(references: list[str]) -> None:
    hypotheses = damaged(references, 0.3, 2)
    scores = evaluate(hypotheses, references, samples=200)
    for score, plain in zip(scores, evaluate(hypotheses, references), strict=True):
        assert score.value == plain.value
        assert score.mean == pytest.approx(score.value, rel=0.1)
        assert score.margin is not None
        assert 0.5 < score.margin < 15
        assert "bs:200|seed:12345" in score.signature
    assert evaluate(hypotheses, references, samples=200) == scores
    assert evaluate(hypotheses, references, samples=200, seed=7)[0].margin != scores[0].margin


def test_interval_shrinks_with_more_sentences(references: list[str]) -> None:
    [few], [many] = (
        evaluate(damaged(lines, 0.3, 2), lines, metrics=["BLEU"], samples=200)
        for lines in (references[:15], references * 4)
    )
    assert few.margin is not None
    assert many.margin is not None
    assert many.margin < few.margin / 2


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
    evaluate(["a"], ["a"], metrics=["BLEU"], seed=3)
    assert "SACREBLEU_SEED" not in os.environ
    monkeypatch.setenv("SACREBLEU_SEED", "99")
    with pytest.raises(UserError):
        evaluate(["a"], ["a"], metrics=["METEOR"])
    assert os.environ["SACREBLEU_SEED"] == "99"


def test_a_clearly_better_system_is_significant(references: list[str]) -> None:
    better, worse = damaged(references, 0.1, 2), damaged(references, 0.5, 3)
    comparisons = compare(better, worse, references, samples=200)
    assert [one.name for one in comparisons] == ["BLEU", "chrF2", "TER"]
    for one, own, base in zip(comparisons, evaluate(better, references), evaluate(worse, references), strict=True):
        assert (one.value, one.baseline) == (own.value, base.value)
        assert one.p_value < 0.01
        assert (one.value < one.baseline) == (one.name == "TER")
        assert "bs:200|seed:12345" in one.signature
    assert compare(better, worse, references, samples=200) == comparisons


def test_two_alike_systems_are_not_significant(references: list[str]) -> None:
    for one in compare(damaged(references, 0.3, 4), damaged(references, 0.3, 5), references, samples=200):
        assert one.p_value > 0.05


def test_a_system_does_not_differ_from_itself(references: list[str]) -> None:
    hypotheses = damaged(references, 0.3, 2)
    assert [one.p_value for one in compare(hypotheses, hypotheses, references, samples=20)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate(["a", "b"], ["a"]), "got 2 hypotheses and 1 references"),
        (lambda: evaluate([], []), "nothing to score"),
        (lambda: evaluate(["a"], ["a"], samples=1), "`samples`: expected 0 or at least 2, got 1"),
        (lambda: evaluate(["a"], ["a"], samples=-1), "got -1"),
        (lambda: evaluate(["a"], ["a"], seed=0), "`seed`: expected at least 1, got 0"),
        (
            lambda: evaluate(["a"], ["a"], metrics=["BLEU", "bleu"]),
            "expected some of BLEU, chrF, TER, got bleu",
        ),
        (lambda: compare(["a"], ["a", "b"], ["a"]), "got 2 baseline translations and 1 references"),
        (lambda: compare(["a"], ["a"], ["a", "b"]), "got 1 hypotheses and 2 references"),
        (lambda: compare([], [], []), "nothing to score"),
        (lambda: compare(["a"], ["a"], ["a"], samples=1), "`samples`: expected at least 2, got 1"),
    ],
)
def test_a_mistake_raises_an_error_of_one_line(call, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_json_holds_plain_values(references: list[str]) -> None:
    hypotheses = damaged(references, 0.3, 2)
    plain = scores_as_json(compare(hypotheses, references, references, samples=10))
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == ["BLEU", "chrF2", "TER"]
    assert set(plain["BLEU"]) == {"value", "signature", "mean", "margin", "baseline", "p_value"}
    assert all(type(value) in (float, str) for fields in plain.values() for value in fields.values())
    assert set(scores_as_json(evaluate(hypotheses, references))["TER"]) == {"value", "signature"}


def test_table_of_a_comparison() -> None:
    file = io.StringIO()
    long = "nrefs:1|" + "x" * 200
    print_scores([Comparison("TER", 40.04, long, 40.1, 1.25, baseline=42.0, p_value=0.0123)], file)
    header, row, blank, signature = file.getvalue().splitlines()
    assert header.split("  ")[0] == "Metric"
    assert row.split() == ["TER", "lower", "40.0", "40.1", "±", "1.2", "42.0", "-2.0", "0.0123"]
    assert blank == ""
    assert signature == f"TER|{long}"  # in one piece, to be copied


def test_results_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores([Score("BLEU", 26.43, "case:mixed|[bold]")])
    output = capsys.readouterr()
    assert "26.4" in output.out
    assert "BLEU|case:mixed|[bold]" in output.out
    assert output.err == ""
    assert "95%" not in output.out  # no column for what was not computed


def test_no_results_make_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores([])
    assert capsys.readouterr().out.strip() == ""


def test_importing_does_not_load_sacrebleu() -> None:
    code = "import sys, nmt.evaluation.metrics; sys.exit('sacrebleu' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
