"""Pairs in other forms: each form by hand, the same ones again for the same epoch, and never too long for a batch."""

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config import Config, load_saved_config, parse_config, save_config
from nmt.data.epochs import training_epoch
from nmt.data.noise import Noise, mistype, without_stop
from nmt.data.preparation import load_report, prepare
from nmt.data.token_store import TokenizedCorpus
from nmt.data.vocabulary import load_tokenizers
from nmt.runs.data import prepare_data
from nmt.runs.folder import RunFolder
from nmt.text.normalization import normalize
from nmt.utils.errors import UserError

WORDS = ["breakfast", "neighbour", "everything", "mouse", "cat", "dog"]
PAIRS = [
    (f"{one.title()} and {{{other}}} see {other} {number}.", f"{{{other}}} {number} {other} sieht {one.title()}.")
    for one in WORDS
    for other in WORDS
    for number in range(4)
]
ALL = {"lower": 0.2, "title": 0.2, "upper": 0.15, "typing": 0.2, "stop": 0.2}


def config_for(folder: Path, noise: dict[str, float], **changes: Any) -> Config:
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS), encoding="utf-8")
    corpus = {"kind": "tsv", "train": [path], "validation": [path], "test": [path]}
    tree: dict[str, Any] = {
        "data": {"source_language": "en", "target_language": "de", "corpus": corpus, "noise": noise},
        "tokenizer": {"vocabulary_size": 320, "placeholders": ["braces"]},
    }
    tree["tokenizer"] |= changes
    return parse_config(tree, "test")


@pytest.mark.parametrize(
    ("share", "source", "target"),
    [
        ("lower", "\ufdd0 the man's äpfel.", "\ufdd0 Des Mannes Äpfel."),
        ("title", "\ufdd0 The Man's ÄPFEL.", "\ufdd0 Des Mannes Äpfel."),
        ("upper", "\ufdd0 THE MAN'S ÄPFEL.", "\ufdd0 DES MANNES ÄPFEL."),
        ("stop", "\ufdd0 The man's ÄPFEL", "\ufdd0 Des Mannes Äpfel"),
    ],
)
def test_each_form_by_hand(tmp_path: Path, share: str, source: str, target: str) -> None:
    noise = Noise(config_for(tmp_path, {share: 0.999}).data, 1, 0)
    pair = ("\ufdd0 The man's ÄPFEL.", "\ufdd0 Des Mannes Äpfel.")
    assert noise.change([pair, ("", "x"), ("1", "2")]) == {0: (source, target)}


@given(st.text("abcdefÄé1 -\ufdd0"), st.integers(0, 1000))
def test_a_typing_mistake_is_one_and_within_a_word(text: str, seed: int) -> None:
    changed = mistype(text, random.Random(seed))
    assert abs(len(changed) - len(text)) <= 1
    assert [sign for sign in changed if not sign.isalpha()] == [sign for sign in text if not sign.isalpha()]
    begin = next((place for place, (one, two) in enumerate(zip(text, changed, strict=False)) if one != two), None)
    assert begin is None or text[begin + 2 :] in changed


def test_doubled_spaces_and_several_stops_change_nothing() -> None:
    assert normalize("two  spaces \t here ") == "two spaces here"
    assert [without_stop(text) for text in ("a.", "a..", "a?", "。")] == ["a", "a..", "a?", ""]


@pytest.mark.parametrize("sampling", [None, 0.2])
def test_an_epoch_is_a_pure_function_and_fits_the_batches(tmp_path: Path, sampling: float | None) -> None:
    config = config_for(tmp_path, ALL, sampling=sampling)
    folder = tmp_path / "data"
    prepare(config, folder)
    best = TokenizedCorpus.open(folder, "train")

    def rows(epoch: int) -> tuple[np.ndarray, np.ndarray]:
        corpus = training_epoch(folder, config, epoch)
        assert corpus.source_lengths.max() <= best.source_lengths.max()
        assert corpus.target_lengths.max() <= best.target_lengths.max()
        return corpus.gather(np.arange(len(corpus)), best.source_lengths.max(), best.target_lengths.max())

    first = {epoch: rows(epoch) for epoch in range(2)}
    for path in folder.glob("epoch-*"):
        shutil.rmtree(path)
    for epoch in (1, 0):
        assert all(np.array_equal(*sides) for sides in zip(rows(epoch), first[epoch], strict=True))
    assert not np.array_equal(first[0][0], first[1][0])
    texts = [
        [text.decode() for text in tokenizer.decode(ids).numpy()]
        for tokenizer, ids in zip(load_tokenizers(folder, ["braces"]), first[0], strict=True)
    ]
    pairs = [
        (source.replace(f"{{{name}}}", "\ufdd0"), target.replace(f"{{{name}}}", "\ufdd0"))
        for (source, target) in PAIRS
        for name in [source.split("{")[1].split("}")[0]]
    ]
    changed = [(now, was) for now, was in zip(zip(*texts, strict=True), pairs, strict=True) if now != was]
    assert 0.4 < len(changed) / len(PAIRS) < 0.99
    assert all(now[0].count("\ufdd0") == now[1].count("\ufdd0") == 1 for now, _ in changed)
    assert any(now[0] == was[0].lower() and now[1] == was[1] for now, was in changed)
    assert any(now == tuple(text[:-1] for text in was) for now, was in changed)


def test_data_prepared_before_there_was_noise_is_still_the_same(tmp_path: Path) -> None:
    config = config_for(tmp_path, {})
    run = RunFolder(tmp_path / "run")
    prepare(config, run.data)
    assert "noise" not in load_report(run.data)["settings"]["data"]
    run.checkpoint("last").parent.mkdir(parents=True)
    run.checkpoint("last").touch()
    assert prepare_data(config, run)["pairs"]["train"] == len(PAIRS)
    with pytest.raises(UserError, match=r"was prepared with other settings \(data\.noise\.lower: None -> 0\.2"):
        prepare_data(config_for(tmp_path, ALL), run)
    save_config(config, tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text().split("  noise:")[0]
    (tmp_path / "old.yaml").write_text(text)
    assert load_saved_config(tmp_path / "old.yaml").data.noise.shares() == {}


def test_shares_leave_something_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.noise: expected shares whose sum is less than 1"):
        config_for(tmp_path, {"lower": 0.5, "typing": 0.5})
