"""A prepared folder holds the whole corpus once, is complete or not there, and held-out sentences are held out."""

import dataclasses
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.config import Config, parse_config
from nmt.data import preparation as module
from nmt.data.epochs import training_epoch
from nmt.data.preparation import load_report, load_shapes, prepare
from nmt.data.shapes import padding_share, plan_epoch
from nmt.data.token_store import TokenizedCorpus, read_sentences
from nmt.data.vocabulary import load_tokenizers
from nmt.utils.errors import UserError

WORDS = ["dog", "cat", "sees", "chases", "the", "old", "ball", "green", "my", "house"]


def sentences(count: int, seed: int = 1) -> list[tuple[str, str]]:
    generator = np.random.default_rng(seed)
    texts = (" ".join(generator.choice(WORDS, size)) for size in generator.integers(2, 9, count))
    return [(f"{text} {number}", f"{number} {text[::-1]}") for number, text in enumerate(texts)]


def config_for(folder: Path, pairs: list[tuple[str, str]], **changes: Any) -> Config:
    folder.mkdir(exist_ok=True)
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    data = {
        "source_language": "en",
        "target_language": "de",
        "held_out": 10,
        "corpus": {"kind": "tsv", "train": [path]},
    }
    tree: dict[str, Any] = {"data": data | changes.pop("data", {})}
    tree |= {"batches": {"tokens": 400, "shapes": 4}, "tokenizer": {"vocabulary_size": 320, "algorithm": "bpe"}}
    return parse_config(tree | changes, "test")


def texts(folder: Path, split: str) -> list[tuple[str, str]]:
    return list(zip(read_sentences(folder, split, "source"), read_sentences(folder, split, "target"), strict=True))


def test_held_out_sentences_leave_training(tmp_path: Path) -> None:
    pairs = sentences(150)
    # Every third source has two translations, which must not be torn apart.
    pairs += [(source, f"{target} again") for source, target in pairs[::3]]
    config = config_for(tmp_path, pairs)
    report = prepare(config, tmp_path / "data")
    train, validation, test = (texts(tmp_path / "data", split) for split in ("train", "validation", "test"))
    assert len(validation) == len(test) == report["held_out"]["validation"] == report["held_out"]["test"] == 10
    sources = [{source for source, _ in part} for part in (train, validation, test)]
    assert [len(part) for part in sources] == [130, 10, 10]
    assert not sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]
    assert train == [pair for pair in pairs if pair[0] in sources[0]]
    assert validation == [pair for pair in pairs[:150] if pair[0] in sources[1]]
    assert report["left_training"] == 200 - len(train) > 20
    assert report["pairs"] == {"train": len(train), "validation": 10, "test": 10}
    assert report["overlap"] == {"validation": 0, "test": 0}
    assert not list((tmp_path / "data").glob("whole*"))


def test_another_seed_holds_out_others(tmp_path: Path) -> None:
    held = []
    for seed in (1, 2):
        prepare(config_for(tmp_path, sentences(150), seed=seed), tmp_path / str(seed))
        held.append({source for source, _ in texts(tmp_path / str(seed), "validation")})
    assert len(held[0] & held[1]) < 6


def test_one_missing_split_takes_only_its_own(tmp_path: Path) -> None:
    other = tmp_path / "test.tsv"
    other.write_text("the dog 1\tgod eht\nzebra\tarbez\nzebra\tarbez\n", encoding="utf-8")
    pairs = [*sentences(80), ("the dog 1", "1 dog the")]
    config = config_for(
        tmp_path, pairs, data={"corpus": {"kind": "tsv", "train": [tmp_path / "pairs.tsv"], "test": [other]}}
    )
    report = prepare(config, tmp_path / "data")
    assert report["held_out"] == {"validation": 10}
    assert report["pairs"] == {"train": 71, "validation": 10, "test": 3}
    assert texts(tmp_path / "data", "test") == [("the dog 1", "god eht"), ("zebra", "arbez"), ("zebra", "arbez")]
    assert report["overlap"]["test"] == (("the dog 1", "1 dog the") in texts(tmp_path / "data", "train"))


def test_pairs_with_placeholders_are_counted(tmp_path: Path) -> None:
    pairs = [*sentences(100), ("a <b>cat</b>", "eine <b>katze</b>"), ("a {name}", "{name}"), ("a <b>dog", "hund")]
    corpus = {"kind": "tsv", "train": [tmp_path / "pairs.tsv"], "validation": [tmp_path / "pairs.tsv"]}
    corpus["test"] = corpus["validation"]
    tokenizer = {"algorithm": "bpe", "vocabulary_size": 330, "placeholders": ["braces", "tags"]}
    report = prepare(config_for(tmp_path, pairs, data={"corpus": corpus}, tokenizer=tokenizer), tmp_path / "data")
    assert report["placeholders"] == {"braces": 1, "tags": 1}


def test_overlap_counts_lines(tmp_path: Path) -> None:
    other = tmp_path / "other.tsv"
    pairs = sentences(50)
    other.write_text(f"{pairs[3][0]}\tx\n{pairs[3][0]}\ty\n{pairs[7][0]}\tz\nnew\tneu\n", encoding="utf-8")
    corpus = {"kind": "tsv", "train": [tmp_path / "pairs.tsv"], "validation": [tmp_path / "pairs.tsv"], "test": [other]}
    report = prepare(config_for(tmp_path, pairs, data={"corpus": corpus}), tmp_path / "data")
    assert report["overlap"] == {"validation": 50, "test": 3}
    assert texts(tmp_path / "data", "train") == texts(tmp_path / "data", "validation") == pairs


@pytest.mark.parametrize(
    ("count", "advice"), [(99, "at most 9, or data.corpus.validation and"), (5, ": set data.corpus")]
)
def test_too_small_a_corpus_is_told_what_to_set(tmp_path: Path, count: int, advice: str) -> None:
    with pytest.raises(UserError, match=rf"data.held_out 10 would take 20 of only {count} different .*{advice}"):
        prepare(config_for(tmp_path, sentences(count)), tmp_path / "data")
    if count == 99:
        report = prepare(config_for(tmp_path, sentences(count), data={"held_out": 9}), tmp_path / "data")
        assert report["pairs"] == {"train": 81, "validation": 9, "test": 9}
        assert not list((tmp_path / "data").glob("whole*"))


def test_much_that_is_left_out_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare(config_for(tmp_path, [*sentences(150), *[("", "")] * 20]), tmp_path / "data")
    [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert re.fullmatch(r"train: 170 pairs read, 150 kept; left out: 20 an empty side \(.*:151\)", warning)


@pytest.mark.parametrize(
    "change",
    [
        {"shapes": "all"}, {"shapes": [[0, 1, 2]]}, {"shapes": [[1, 2]]}, {"settings": []}, {"vocabulary": {}},
        {"vocabulary": {"source": "300", "target": 300}}, {"files": {"train.source.txt": 7}}, {"sha256": "0"},
    ],
)  # fmt: skip
def test_a_report_that_cannot_be_one_is_damaged(tmp_path: Path, change: dict[str, object]) -> None:
    report = {"settings": {}, "shapes": [[4, 2, 3]], "vocabulary": {"source": 300, "target": 300}}
    for content, is_whole in ((report, True), (report | change, False)):
        (tmp_path / "report.json").write_text(json.dumps(content))
        if is_whole:
            assert load_report(tmp_path) == report
    with pytest.raises(UserError, match=r"report\.json: is damaged"):
        load_report(tmp_path)


def test_a_complete_folder_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = config_for(tmp_path, sentences(150))
    caplog.set_level(logging.INFO, "nmt")
    report = prepare(config, str(tmp_path / "data"))
    assert caplog.messages == [
        "cleaning train",
        "holding out validation and test",
        "training the tokenizer",
        "tokenizing",
        "choosing the shapes of batches",
        "train: 150 pairs read, 150 kept",
    ]
    caplog.clear()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").iterdir()}
    other = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": 7})})
    (tmp_path / "data" / ".unfinished").touch()  # of a call that failed before it changed anything
    assert prepare(other, tmp_path / "data") == report == load_report(str(tmp_path / "data"))
    assert not (tmp_path / "data" / ".unfinished").exists()
    assert caplog.messages == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").iterdir()} == before


@pytest.mark.parametrize(
    "changes",
    [{"seed": 2}, {"batches": {"tokens": 300}}, {"tokenizer": {"vocabulary_size": 310}}],
)
def test_other_settings_prepare_anew(tmp_path: Path, changes: dict[str, Any]) -> None:
    pairs = sentences(150)
    prepare(config_for(tmp_path, pairs, tokenizer={"vocabulary_size": 320, "sampling": 0.2}), tmp_path / "data")
    assert list((tmp_path / "data").glob("epoch-*"))
    report = prepare(config_for(tmp_path, pairs, **changes), tmp_path / "data")
    assert report == prepare(config_for(tmp_path, pairs, **changes), tmp_path / "fresh")
    assert files(tmp_path / "data") == files(tmp_path / "fresh")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stage", ["_hold_out", "write_stores", "_choose_shapes"])
def test_a_killed_preparation_starts_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    config = config_for(tmp_path, sentences(150))

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, stage, killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(config, tmp_path / "data")
    with pytest.raises(UserError, match=r"report\.json: does not exist"):
        load_shapes(tmp_path / "data")
    assert prepare(config, tmp_path / "data") == prepare(config, tmp_path / "fresh")
    assert files(tmp_path / "data") == files(tmp_path / "fresh")


def test_the_report_tells_the_truth(tmp_path: Path) -> None:
    odd = [("dog 7 8", "8 7 god"), ("dog 7 8", "8 7 god"), ("same", "same"), ("", "nothing")]
    config = config_for(tmp_path, sentences(150) + odd, batches={"tokens": 400, "max_length": 16})
    report = prepare(config, tmp_path / "data")
    dropped = report["cleaning"]["train"]["dropped"]
    assert (dropped["duplicate"], dropped["copy"], dropped["empty"]) == (1, 1, 1)
    assert report["cleaning"]["train"]["kept"] == 151 == report["pairs"]["train"] + report["left_training"]
    folder = tmp_path / "data"
    for split in ("train", "validation", "test"):
        corpus = TokenizedCorpus.open(folder, split)  # type: ignore[arg-type]
        assert len(corpus) == report["pairs"][split]
        assert report["tokens"][split] == {"source": len(corpus.source_ids), "target": len(corpus.target_ids)}
    corpus = TokenizedCorpus.open(folder, "train")
    long = (corpus.source_lengths > 16) | (corpus.target_lengths > 16)
    assert report["longer_than_max_length"] == long.sum() > 0
    shapes = load_shapes(folder)
    plan = plan_epoch(corpus.source_lengths, corpus.target_lengths, shapes, config.seed, 0)
    assert report["batches"] == len(plan.begin)
    assert report["padding_share"] == padding_share(plan, shapes, corpus.source_lengths, corpus.target_lengths)
    assert report["vocabulary"] == {"source": 320, "target": 320}
    assert json.loads(json.dumps(report)) == report


def test_tokenizers_are_one_or_two(tmp_path: Path) -> None:
    pairs = sentences(150)
    prepare(config_for(tmp_path, pairs), tmp_path / "one")
    source, target = load_tokenizers(tmp_path / "one")
    assert source is target
    split = {"vocabulary_size": 310, "algorithm": "bpe", "joint": False}
    config = config_for(tmp_path, pairs, tokenizer=split, model={"tied_embeddings": "target"})
    report = prepare(config, tmp_path / "two")
    source, target = load_tokenizers(tmp_path / "two")
    assert source.model != target.model
    assert report["vocabulary"] == {"source": 310, "target": 310}


def test_shapes_hold_every_epochs_segmentation(tmp_path: Path) -> None:
    options = {"vocabulary_size": 320, "sampling": 0.1}
    config = config_for(tmp_path, sentences(150), tokenizer=options, batches={"tokens": 400, "max_length": 24})
    report = prepare(config, tmp_path / "data")
    shapes = load_shapes(tmp_path / "data")
    for epoch in range(3):
        corpus = training_epoch(tmp_path / "data", config, epoch)
        plan = plan_epoch(corpus.source_lengths, corpus.target_lengths, shapes, config.seed, epoch)
        assert plan.end.max() >= len(corpus) - report["longer_than_max_length"]


def test_text_is_what_the_graph_sees(tmp_path: Path) -> None:
    pairs = [(f" {source}\u2581\u3000x", f"a\u0301{target}\u200b") for source, target in sentences(150)]
    prepare(config_for(tmp_path, pairs), tmp_path / "data")
    source, target = zip(*texts(tmp_path / "data", "train"), strict=True)
    assert all(text.endswith(" x") and "\u2581" not in text for text in source)
    assert all(text.startswith("á") and "\u200b" not in text for text in target)


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.corpus\.train: no pair is left after cleaning \(copy 2\)"):
        prepare(config_for(tmp_path, [("one", "one"), ("two", "two")]), tmp_path / "data")
    with pytest.raises(UserError, match=r"data\.corpus\.train: no pair is left after cleaning \(it has none\)"):
        prepare(config_for(tmp_path, []), tmp_path / "data")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"settings": 1}'])
def test_a_damaged_report_is_named_and_mended(tmp_path: Path, text: str) -> None:
    config = config_for(tmp_path, sentences(150))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "report.json").write_text(text)
    with pytest.raises(UserError, match=r"report\.json: is damaged"):
        load_report(tmp_path / "data")
    assert prepare(config, tmp_path / "data")["pairs"]["validation"] == 10


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    prepare(config_for(tmp_path, sentences(150)), tmp_path / "data")
    path = tmp_path / "data" / "target.model"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"target\.model: "):
        load_tokenizers(tmp_path / "data")
    path.unlink()
    with pytest.raises(UserError, match=r"target\.model: does not exist"):
        load_tokenizers(tmp_path / "data")


def test_the_smallest_hashes() -> None:
    hashes = [5, 3, 9, 3, 1, 7, 1, 8, 2]
    assert module._smallest_hashes(hashes, 4) == [1, 2, 3, 5]
    assert module._smallest_hashes(hashes, 100) == [1, 2, 3, 5, 7, 8, 9]


def test_shapes_hold_the_best_segmentation_where_the_drawn_one_is_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(tmp_path, sentences(150))

    def shorter(folder: Path, config: Config, epoch: int) -> TokenizedCorpus:
        best = TokenizedCorpus.open(folder, "train")
        ones = np.ones_like(best.source_lengths)
        return dataclasses.replace(best, source_lengths=ones, target_lengths=ones)

    monkeypatch.setattr(module, "training_epoch", shorter)
    prepare(config, tmp_path / "data")
    best = TokenizedCorpus.open(tmp_path / "data", "train")
    assert load_shapes(tmp_path / "data")[-1][1:] == (best.source_lengths.max(), best.target_lengths.max())
