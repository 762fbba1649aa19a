"""The token store gives back what was written, tells of damage, and draws the same segmentation twice."""

import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config import CleaningSettings, Config, parse_config
from nmt.constants import END, SIDES
from nmt.data import token_store as module
from nmt.data.epochs import remove_epochs, training_epoch
from nmt.data.preparation import prepare
from nmt.data.token_store import TokenizedCorpus, read_model, read_sentences
from nmt.data.vocabulary import load_tokenizers
from nmt.utils.errors import UserError
from nmt.utils.files import is_temporary

PAIRS = [
    (f"{who} {does} {what} {number}", f"{what} {number} {does} {who} 日本")
    for who in ("the dog", "a cat", "my neighbour")
    for does in ("sees", "chases", "forgets")
    for number, what in enumerate(("balls", "mice", "breakfast", "everything", "nothing"))
]


def config_for(folder: Path, **changes: Any) -> Config:
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS), encoding="utf-8")
    corpus = {"kind": "tsv", "train": [path], "validation": [path], "test": [path]}
    tree: dict[str, Any] = {"data": {"source_language": "en", "target_language": "de", "corpus": corpus}}
    tree["tokenizer"] = {"vocabulary_size": 300, "sampling": 0.2}
    return parse_config(tree | changes, "test")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    folder = tmp_path_factory.mktemp("corpus")
    config = config_for(folder)
    prepare(config, folder / "data")
    return folder / "data", config


@pytest.fixture
def copy(prepared: tuple[Path, Config], tmp_path: Path) -> tuple[Path, Config]:
    """The prepared folder, to be changed."""
    return Path(shutil.copytree(prepared[0], tmp_path / "data")), prepared[1]


def rows(corpus: TokenizedCorpus) -> tuple[list[list[int]], list[list[int]]]:
    every = np.arange(len(corpus))
    sides = corpus.gather(every, corpus.source_lengths.max(), corpus.target_lengths.max())
    lengths = corpus.source_lengths, corpus.target_lengths
    source, target = (
        [row[:length].tolist() for row, length in zip(*both, strict=True)] for both in zip(sides, lengths, strict=True)
    )
    return source, target


def test_the_store_holds_the_text(prepared: tuple[Path, Config]) -> None:
    folder, _ = prepared
    corpus = TokenizedCorpus.open(folder, "train")
    assert len(corpus) == len(PAIRS)
    assert corpus.source_ids.dtype == np.uint16
    for number, (ids, tokenizer) in enumerate(zip(rows(corpus), load_tokenizers(folder), strict=True)):
        assert all(row[-1] == END and row.count(END) == 1 for row in ids)
        assert ids == tokenizer.encode(tf.constant([pair[number] for pair in PAIRS])).to_list()
        decoded = tokenizer.decode(tf.ragged.constant(ids, dtype=tf.int32)).numpy()
        assert [text.decode() for text in decoded] == [pair[number] for pair in PAIRS]
        assert list(read_sentences(folder, "train", SIDES[number])) == [pair[number] for pair in PAIRS]


@settings(max_examples=100)
@given(
    sentences=st.lists(st.lists(st.integers(1, 70_000), min_size=1, max_size=9), min_size=1, max_size=30),
    chunk=st.integers(1, 7),
    data=st.data(),
)
def test_gather_equals_the_sentences(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[int]], chunk: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("store")
    for side in SIDES:
        with module.growing_side(folder, "train", side, 70_001) as append:
            for begin in range(0, len(sentences), chunk):
                part = sentences[begin : begin + chunk]
                append(np.concatenate(part), np.array([len(row) for row in part]))
    corpus = TokenizedCorpus.open(folder, "train")
    chosen = data.draw(st.lists(st.integers(0, len(sentences) - 1), max_size=20))
    longest = max((len(sentences[index]) for index in chosen), default=0)
    source, target = corpus.gather(np.array(chosen, np.int32), longest, longest + 3)
    assert source.dtype == target.dtype == np.int32
    assert source.shape == (len(chosen), longest)
    assert source.tolist() == [sentences[i] + [0] * (longest - len(sentences[i])) for i in chosen]
    assert target.tolist() == [sentences[i] + [0] * (longest + 3 - len(sentences[i])) for i in chosen]
    if longest:
        with pytest.raises(ValueError, match=f"at least {longest}"):
            corpus.gather(np.array(chosen), longest - 1, longest)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def shift(path: Path) -> None:
    array = np.load(path)
    array[-1] += 1
    np.save(path, array)


@pytest.mark.parametrize("name", ["train.source.ids.npy", "train.target.offsets.npy", "train.source.offsets.npy"])
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        truncate,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"something else entirely"),
        lambda path: np.save(path, np.zeros((3, 3), np.int64)),
        lambda path: np.save(path, np.zeros(5)),
        lambda path: np.save(path, np.array([{}])),
        lambda path: np.save(path, np.load(path)[:-1]),
        # Each difference is positive once it has overflowed.
        lambda path: np.save(path, np.array([0, 2**63 - 1, -(2**63) + 1, 5])),
        lambda path: np.save(path, np.array([0, 2**53 + 3, 5])),
    ],
)
def test_damage_is_named(copy: tuple[Path, Config], name: str, damage: Any) -> None:
    damage(copy[0] / name)
    with pytest.raises(UserError, match=name.split(".")[1] + r"\.(ids|offsets)\.npy: ") as caught:
        TokenizedCorpus.open(copy[0], "train")
    assert "\n" not in str(caught.value)


def test_offsets_that_do_not_fit_are_named(copy: tuple[Path, Config]) -> None:
    shift(copy[0] / "train.target.offsets.npy")
    with pytest.raises(UserError, match=r"train\.target\.ids\.npy: is damaged: it has \d+ tokens instead of"):
        TokenizedCorpus.open(copy[0], "train")


@pytest.mark.parametrize("missing", [{"digests.json", "train.source.ids.npy"}, {"digests.json"}, None])
def test_an_epoch_that_is_partly_deleted_is_drawn_again(
    copy: tuple[Path, Config], missing: set[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, config = copy
    whole = rows(training_epoch(folder, config, 0))
    for path in (folder / "epoch-0000").iterdir():
        if missing is None or path.name in missing:
            path.unlink()
    assert rows(training_epoch(folder, config, 0)) == whole

    def fail(*_: object) -> None:
        raise OSError("the file system is read-only")

    before = {path: path.read_bytes() for path in (folder / "epoch-0000").iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", fail)
        remove_epochs(folder)
    assert {path: path.read_bytes() for path in (folder / "epoch-0000").iterdir()} == before
    remove_epochs(folder)
    assert not (folder / "epoch-0000").exists()
    assert not [name for name in os.listdir(folder) if is_temporary(name)]


def test_a_missing_model_or_text_is_named(copy: tuple[Path, Config]) -> None:
    folder, config = copy
    shutil.rmtree(folder / "epoch-0000")
    (folder / "train.target.txt").unlink()
    with pytest.raises(UserError, match=r"train\.target\.txt: does not exist"):
        training_epoch(folder, config, 0)
    (folder / "source.model").unlink()
    with pytest.raises(UserError, match=r"source\.model: does not exist"):
        training_epoch(folder, config, 0)


def test_without_sampling_every_epoch_is_the_store(prepared: tuple[Path, Config]) -> None:
    folder, config = prepared
    fixed = config.model_copy(update={"tokenizer": config.tokenizer.model_copy(update={"sampling": None})})
    assert rows(training_epoch(folder, fixed, 0)) == rows(training_epoch(folder, fixed, 7))
    assert rows(training_epoch(folder, fixed, 7)) == rows(TokenizedCorpus.open(folder, "train"))


def test_both_implementations_agree(prepared: tuple[Path, Config]) -> None:
    """The library, which samples, and TensorFlow Text, which translates, segment alike."""
    for side, ids in zip(SIDES, rows(TokenizedCorpus.open(prepared[0], "train")), strict=True):
        processor = sentencepiece.SentencePieceProcessor(model_proto=read_model(prepared[0], side))
        assert processor.encode(list(read_sentences(prepared[0], "train", side)), add_eos=True) == ids


def test_an_epochs_segmentation_is_a_pure_function(copy: tuple[Path, Config]) -> None:
    folder, config = copy
    first = {epoch: rows(training_epoch(folder, config, epoch)) for epoch in (0, 1, 2, 3)}
    assert first[0] != first[1] != first[2] != first[3]
    assert first[0] != rows(TokenizedCorpus.open(folder, "train"))
    assert sorted(path.name for path in folder.glob("*epoch*")) == ["epoch-0001", "epoch-0002", "epoch-0003"]
    for path in folder.glob("epoch-*"):
        shutil.rmtree(path)
    assert {epoch: rows(training_epoch(folder, config, epoch)) for epoch in (3, 0, 2, 1)} == first
    shutil.rmtree(folder / "epoch-0001")
    assert rows(training_epoch(folder, config.model_copy(update={"seed": 2}), 1)) != first[1]


def test_sampled_segmentations_spell_the_text(prepared: tuple[Path, Config]) -> None:
    folder, config = prepared
    best = TokenizedCorpus.open(folder, "train")
    longest = [max(map(len, side)) for side in rows(best)]
    fallen_back = 0
    for epoch in range(3):
        drawn = rows(training_epoch(folder, config, epoch))
        for number, (ids, tokenizer) in enumerate(zip(drawn, load_tokenizers(folder), strict=True)):
            assert max(map(len, ids)) <= longest[number]
            assert all(row[-1] == END and row.count(END) == 1 for row in ids)
            decoded = tokenizer.decode(tf.ragged.constant(ids, dtype=tf.int32)).numpy()
            assert [text.decode() for text in decoded] == [pair[number] for pair in PAIRS]
            fallen_back += sum(row == other for row, other in zip(ids, rows(best)[number], strict=True))
    assert 0 < fallen_back < 3 * 2 * len(PAIRS)


def test_pairs_beyond_the_length_limit_do_not_widen_sampling(tmp_path: Path) -> None:
    config = config_for(tmp_path, batches={"max_length": 18})
    report = prepare(config, tmp_path / "data")
    best = TokenizedCorpus.open(tmp_path / "data", "train")
    used = (best.source_lengths <= 18) & (best.target_lengths <= 18)
    assert report["longer_than_max_length"] == (~used).sum() > 0
    drawn = training_epoch(tmp_path / "data", config, 1)
    assert drawn.source_lengths[used].max() <= best.source_lengths[used].max()
    assert drawn.target_lengths[used].max() <= best.target_lengths[used].max()


def test_equal_sentences_are_segmented_differently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)  # the library's random numbers begin anew with every chunk
    pairs = [("the dog sees everything 1", "nothing sees a cat 日本")] * 40
    longest = ("the dog sees everything 1 " * 3, "nothing sees a cat " * 3)  # no sampled one is as long
    monkeypatch.setattr(sys.modules[__name__], "PAIRS", [*pairs, longest])
    config = config_for(tmp_path, tokenizer={"vocabulary_size": 300, "sampling": 0.1})
    cleaning = CleaningSettings(drop_duplicates=False)
    config = config.model_copy(update={"data": config.data.model_copy(update={"cleaning": cleaning})})
    prepare(config, tmp_path / "data")
    source, _ = rows(training_epoch(tmp_path / "data", config, 0))
    chunks = [source[begin : begin + 4] for begin in range(0, 40, 4)]
    assert all(one != other for one, other in itertools.combinations(chunks, 2))
