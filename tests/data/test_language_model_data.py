"""A language model's corpus: pairs of an empty source and a text."""

import gzip
import logging

import numpy as np
import pytest

from nmt.config import CleaningSettings
from nmt.constants import END
from nmt.data.cleaning import CleaningReport, clean
from nmt.data.epochs import training_epoch
from nmt.data.preparation import prepare
from nmt.data.raw_pair import RawPair
from nmt.data.token_store import TokenizedCorpus, read_sentences
from nmt.data.vocabulary import load_tokenizers
from nmt.utils.errors import UserError
from tests.helpers import digit_strings, language_model_config

LINES = digit_strings(400, range(3, 8), seed=9)


def test_lines_become_texts_without_a_source_and_held_out_ones_leave_training(tmp_path):
    config = language_model_config(tmp_path, [*LINES, *LINES[:100], "", "9" * 1001], data={"held_out": 20})
    report = prepare(config, tmp_path / "data")
    splits = {split: list(read_sentences(tmp_path / "data", split, "target")) for split in report["pairs"]}
    assert len(splits["validation"]) == len(splits["test"]) == 20
    assert not {*splits["validation"], *splits["test"]} & {*splits["train"]}
    assert report["overlap"] == {"validation": 0, "test": 0}
    dropped = report["cleaning"]["train"]["dropped"]
    assert {reason: count for reason, count in dropped.items() if count} == {"empty": 1, "too_long": 1}
    corpus = TokenizedCorpus.open(tmp_path / "data", "train")
    assert set(corpus.source_lengths) == {1}
    assert set(np.asarray(corpus.source_ids)) == {END}
    assert {shape[1] for shape in report["shapes"]} == {1}
    source, target = load_tokenizers(tmp_path / "data")
    assert source is target


def test_cleaning_looks_at_the_text_alone():
    report = CleaningReport()
    settings = CleaningSettings()
    rows = [RawPair(b"\xff", b"a text", "a:1"), RawPair(b"", b"a text", "a:2"), RawPair(b"x", b"", "a:3")]
    rows.append(RawPair(b"", b"long " * 100, "a:4"))
    kept = list(clean(rows, settings, report, training=True, target_only=True))
    assert [(source, target[:6]) for source, target in kept] == [("", "a text"), ("", "long l")]
    assert (report.dropped["duplicate"], report.dropped["empty"], report.dropped["length_ratio"]) == (1, 1, 0)


def test_the_target_side_of_pairs_and_packed_files_will_do(tmp_path):
    (tmp_path / "pairs.tsv").write_text("".join(f"x{index}\t{line}\n" for index, line in enumerate(LINES)))
    with gzip.open(tmp_path / "lines.gz", "wt") as file:
        file.writelines(line + "\n" for line in LINES)
    folders = []
    for corpus in (
        {"kind": "tsv", "train": [str(tmp_path / "pairs.tsv")]},
        {"kind": "lines", "train": [str(tmp_path / "lines.gz")]},
    ):
        folders.append(tmp_path / corpus["kind"])
        prepare(language_model_config(tmp_path, [], data={"corpus": corpus}), folders[-1])
    for split in ("train", "validation"):
        texts = [list(read_sentences(folder, split, "target")) for folder in folders]
        assert texts[0] == texts[1] != []
        assert set(read_sentences(folders[0], split, "source")) == {""}


def test_another_tokenizer_is_taken_as_it_is(tmp_path, caplog):
    prepare(language_model_config(tmp_path, LINES), tmp_path / "first")
    taken = tmp_path / "first" / "target.model"
    caplog.set_level(logging.INFO, "nmt")
    prepare(language_model_config(tmp_path, LINES, tokenizer={"model": str(taken)}), tmp_path / "data")
    assert (tmp_path / "data" / "target.model").read_bytes() == taken.read_bytes()
    assert "tokenizing" in caplog.messages
    assert "training the tokenizer" not in caplog.messages
    for name, message in (("none.model", "cannot be read: No such file"), ("lines.txt", "is not a tokenizer model")):
        config = language_model_config(tmp_path, LINES, tokenizer={"model": str(tmp_path / name)})
        with pytest.raises(UserError, match=rf"{name}: {message}"):
            prepare(config, tmp_path / "spoilt")


def test_drawn_segmentations_leave_the_empty_source_alone(tmp_path):
    config = language_model_config(tmp_path, [line.replace(" ", "") for line in LINES], tokenizer={"sampling": 0.2})
    prepare(config, tmp_path / "data")
    epochs = [training_epoch(tmp_path / "data", config, epoch) for epoch in range(2)]
    assert all(set(epoch.source_lengths) == {1} for epoch in epochs)
    assert not np.array_equal(epochs[0].target_ids, epochs[1].target_ids)
