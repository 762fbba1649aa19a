"""A run that masks placeholders repeats those it has never seen, alike from the checkpoint and from each export."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml

from nmt.cli import main
from nmt.config import parse_config
from nmt.evaluation.preservation import Preservation, measure_preservation
from nmt.inference.alignment import pharaoh
from nmt.inference.translator import Translator, _names
from nmt.runs.scoring import score_files
from nmt.runs.translation import load_translator
from nmt.serving.lite.export import export_lite
from nmt.serving.lite.translator import DIGESTS, SETTINGS, LiteTranslator
from nmt.serving.saved_model import export_saved_model
from nmt.text.placeholders import SYMBOLS
from nmt.training.train import train
from nmt.utils.errors import UserError
from tests.helpers import PLAIN_MODEL, PLAIN_TRAINING

LETTERS = "abcdefghij"  # what the digits are translated to


def sentences(count: int, seed: int) -> list[str]:
    """Digits, and placeholders whose names are as good as never the same."""
    generator = random.Random(seed)

    def word() -> str:
        return generator.choice("0123456789") if generator.random() < 0.7 else f"{{{generator.randbytes(3).hex()}}}"

    return [" ".join(word() for _ in range(generator.randint(2, 6))) for _ in range(count)]


def translation(sentence: str) -> str:
    return " ".join(LETTERS[int(word)] if word.isdecimal() else word for word in sentence.split(" "))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placeholders")
    corpus: dict[str, Any] = {"kind": "tsv"}
    for seed, (split, count) in enumerate((("train", 2000), ("validation", 50), ("test", 100))):
        path = folder / f"{split}.tsv"
        path.write_text("".join(f"{text}\t{translation(text)}\n" for text in sentences(count, seed)))
        corpus[split] = [str(path)]
    tree = {
        "data": {"source_language": "digits", "target_language": "letters", "corpus": corpus},
        "tokenizer": {"algorithm": "unigram", "vocabulary_size": 305, "placeholders": ["braces", "tags"]},
        "batches": {"tokens": 600, "shapes": 2, "max_length": 20},
        "model": PLAIN_MODEL | {"units": 24, "embedding": 24, "dropout": 0.1},
        "training": PLAIN_TRAINING
        | {"max_steps": 240, "validate_every": 120, "warmup_steps": 4, "learning_rate": 0.01},
        "decoding": {"beam_size": 2},
    }  # fmt: skip
    train(parse_config(tree, "test"), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def translator(run: Path) -> Translator:
    return load_translator(run, n_best=2, attention=True)


@pytest.fixture(scope="module")
def signatures(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tf.saved_model.load(str(export_saved_model(run, tmp_path_factory.mktemp("export")))).signatures


LINES = [
    *sentences(20, seed=9),
    "",
    "1 2 3",
    "1 {never seen} {a  b\u00a0c} 2",  # the first is no placeholder; of the second, even the spaces stay
    "{twice} 1 {twice} {once}",
    " ".join(f"{{n{number}}}" for number in range(12)),
    f"1 {SYMBOLS[0]} 2 {{a}}",
    "  1 {a} A. 2 {b} 3!\t{c. D} 4 A…  5 {b}。6 A ",
    "A 1 {b} B. PLEASE STOP {b} 3!",
    "4 <b>5</b> <s> 日本",
    " ".join(["1 2 3", *[f"{word} 4" for word in ("{a}", "{b}", "{c}")] * 12]),  # longer than any in training
]


def test_names_never_seen_come_back(translator: Translator) -> None:
    sources = sentences(100, seed=2)
    translations = list(translator.best(sources))
    [result] = [
        one for one in measure_preservation(sources, {"translations": translations}) if one.kind == "placeholders"
    ]
    assert result.expected > 80
    assert (result.preserved, result.added) == (result.expected, 0)
    right = [one for one, source in zip(translations, sources, strict=True) if one == translation(source)]
    assert len(right) > 50  # in the right places, too
    assert not any(set(text) & set(SYMBOLS) for text in translations)


def test_the_exports_translations_are_the_translators(translator: Translator, signatures: Any) -> None:
    texts = [line.encode() for line in LINES]
    answer = {key: value.numpy() for key, value in signatures["nbest"](text=tf.constant(texts)).items()}
    default = signatures["serving_default"](text=tf.constant(texts))["translation"].numpy()
    for index, hypotheses in enumerate(translator.hypotheses(LINES)):
        found = [text.decode() for text in answer["translations"][index] if text]
        assert found == [hypothesis.text for hypothesis in hypotheses if hypothesis.text]
        alone = signatures["serving_default"](text=tf.constant(texts[index : index + 1]))["translation"].numpy()
        assert alone[0] == default[index] == answer["translations"][index, 0]
    assert any(b"{" in text for text in answer["translations"][:20, 1])  # the second best have theirs too


@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_devices_translations_are_the_checkpoints(run: Path, tmp_path: Path, beam_size: int) -> None:
    search = [f"decoding.beam_size={beam_size}"]
    export_lite(run, tmp_path / "lite", overrides=search)
    lite = LiteTranslator(tmp_path / "lite")
    assert [lite.translate(line) for line in LINES] == list(load_translator(run, overrides=search).best(LINES))
    settings = json.loads((tmp_path / "lite" / SETTINGS).read_text())
    assert settings["placeholders"] == ["braces", "tags"]
    (tmp_path / "lite" / DIGESTS).unlink()
    (tmp_path / "lite" / SETTINGS).write_text(json.dumps(settings | {"placeholders": ["brackets"]}))
    kinds = "braces, printf, tags, urls, emails, identifiers, emoji, numbers"
    expected = rf"settings\.json: placeholders: expected some of {kinds}, got"
    with pytest.raises(UserError, match=expected):
        LiteTranslator(tmp_path / "lite")


def test_a_translations_score_is_what_the_search_gave(
    run: Path, translator: Translator, signatures: Any, tmp_path: Path
) -> None:
    sources = [line for line in LINES[:20] if "{" in line]
    # Texts are normalised to be scored: a translation with two spaces in a row has other tokens then.
    pairs = [(source, best) for source, [best, *_] in zip(sources, translator.hypotheses(sources), strict=True)]
    pairs = [(source, best) for source, best in pairs if "  " not in best.text]
    assert len(pairs) > 10
    sources, found = map(list, zip(*pairs, strict=True))
    paths = tmp_path / "source.txt", tmp_path / "target.txt"
    for path, texts in zip(paths, (sources, [hypothesis.text for hypothesis in found]), strict=True):
        path.write_text("".join(text + "\n" for text in texts))
    expected = [hypothesis.log_probability for hypothesis in found]
    np.testing.assert_allclose([score for score, _ in score_files(run, *paths, None)], expected, atol=1e-4)
    targets = tf.constant([hypothesis.text for hypothesis in found])
    answer = signatures["score"](source=tf.constant(sources), target=targets)
    np.testing.assert_allclose(answer["log_probability"], expected, atol=1e-4)


def test_pieces_name_the_placeholders(translator: Translator) -> None:
    [[best, *_]] = translator.hypotheses(["1 {abc} 2"])
    assert best.source_pieces.count("{abc}") == 1
    assert best.target_pieces.count("{abc}") == best.text.count("{abc}") == 1
    assert pharaoh(best.attention, best.source_pieces, best.target_pieces)
    names = _names(["{a}", "</s>", ""])
    assert names == {SYMBOLS[0]: "{a}", SYMBOLS[2]: "\u2581"}  # a tag that reads as the end mark stays a symbol


def test_a_long_text_keeps_what_its_parts_have(translator: Translator) -> None:
    [[best, *_]] = translator.hypotheses([LINES[-1]])
    [result] = [
        one for one in measure_preservation([LINES[-1]], {"translations": [best.text]}) if one.kind == "placeholders"
    ]
    assert result == Preservation("placeholders", "translations", expected=36, preserved=36, added=0)


def test_a_shortlist_might_lack_symbols(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`shortlist`: expected none with tokenizer\.placeholders"):
        export_saved_model(run, tmp_path / "short", shortlist=50)


def test_a_language_model_neither_hides_nor_joins(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture) -> None:
    tree = yaml.safe_load((run / "config.yaml").read_text())
    tree |= {"task": "language_model"}
    tree["training"]["monitor"] = "loss"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    for arguments, message in (
        (["train", str(tmp_path / "config.yaml"), "--run", "x"], "tokenizer.placeholders: expected none of a language"),
        (["translate", str(run), "--set", "decoding.language_model=x"], "decoding.language_model: expected none with"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
