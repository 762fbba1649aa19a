"""A new vocabulary's pieces are found in the old one as its tokenizer splits them, by an independent reference."""

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from nmt.config import parse_config
from nmt.data.vocabulary import find_in, load_tokenizers, make_tokenizers
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.utils.errors import UserError

SYLLABLES = {"old": ["ka", "lo", "min", "tar", "su"], "new": ["ka", "min", "sur", "öl", "tal", "on"]}


def words_of(syllables: list[str]) -> list[str]:
    generator = np.random.default_rng(1)
    words = ["".join(generator.choice(syllables, size)) for size in generator.integers(1, 4, 60)]
    return [" ".join(generator.choice(words, 6)) for _ in range(300)]


def make(kind: str, algorithm: str) -> Tokenizer:
    return Tokenizer(train_tokenizer(words_of(SYLLABLES[kind]), 306, algorithm))  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def tokenizers(request: pytest.FixtureRequest) -> tuple[str, Tokenizer, Tokenizer]:
    return request.param, make("old", request.param), make("new", request.param)


def best_segmentation(piece: str, scores: dict[str, float]) -> float:
    """The highest sum of scores among all ways to cut `piece` (Kudo 2018, section 3.2)."""
    found = []
    for cuts in itertools.product((False, True), repeat=len(piece) - 1):
        parts = [""]
        for character, cut in zip(piece, (False, *cuts), strict=True):
            parts = [*parts, character] if cut else [*parts[:-1], parts[-1] + character]
        if all(part in scores for part in parts):
            found.append(sum(scores[part] for part in parts))
    return max(found)


def merged(piece: str, scores: dict[str, float]) -> list[str]:
    """Merges the best pair of neighbours, the first of equals, until there is none (Sennrich et al. 2016)."""
    parts = list(piece)
    while pairs := [
        (-scores[left + right], place)
        for place, (left, right) in enumerate(itertools.pairwise(parts))
        if left + right in scores
    ]:
        place = min(pairs)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def test_a_piece_is_itself_or_split_as_the_old_tokenizer_splits_its_text(tokenizers) -> None:
    algorithm, old, new = tokenizers
    processor = sentencepiece.SentencePieceProcessor(model_proto=old.model)
    scores = {piece: processor.get_score(index) for index, piece in enumerate(old.pieces()) if index >= 260}
    kept = split = with_bytes = 0
    for piece, ids in zip(new.pieces(), find_in(old, new), strict=True):
        parts = old.pieces(ids)
        if piece in old.pieces():
            assert parts == [piece]
            kept += 1
        elif set(piece) <= scores.keys():
            assert "".join(parts) == piece
            if algorithm == "bpe":
                assert parts == merged(piece, scores)
            else:
                assert sum(scores[part] for part in parts) == pytest.approx(best_segmentation(piece, scores), abs=1e-4)
            split += 1
        else:
            joined = [bytes([int(part[1:-1], 16)]) if part.startswith("<0x") else part.encode() for part in parts]
            assert b"".join(joined).decode() == piece
            with_bytes += 1
    assert kept > 260
    assert split > 10
    assert with_bytes > 1


def test_a_vocabulary_is_found_in_itself(tokenizers) -> None:
    _, old, _ = tokenizers
    assert find_in(old, old) == [[index] for index in range(old.vocabulary_size)]


def test_tokenizers_are_taken_from_the_run_that_training_starts_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tree = {
        "data": {"source_language": "a", "target_language": "b", "corpus": {"kind": "tsv", "train": ["a.tsv"]}},
        "training": {"start_from": str(tmp_path / "base")},
    }
    caplog.set_level(logging.INFO, "nmt")
    with pytest.raises(UserError, match=r"training.start_from: .*base/data/source.model: cannot be read: No such file"):
        make_tokenizers(parse_config(tree, "test"), tmp_path / "data")
    models = {"source": make("old", "unigram").model, "target": make("new", "unigram").model}
    (tmp_path / "base" / "data").mkdir(parents=True)
    for side, model in models.items():
        (tmp_path / "base" / "data" / f"{side}.model").write_bytes(model)
    make_tokenizers(parse_config(tree, "test"), tmp_path / "data")
    assert {side: (tmp_path / "data" / f"{side}.model").read_bytes() for side in models} == models
    assert caplog.messages[-1] == f"taking the tokenizers of {tmp_path / 'base'}"
    tree["training"] |= {"start_vocabulary": "new"}
    tree["tokenizer"] = {"model": str(tmp_path / "base" / "data" / "target.model")}
    make_tokenizers(parse_config(tree, "test"), tmp_path / "data")
    assert (tmp_path / "data" / "source.model").read_bytes() == models["target"]


def test_errors_name_the_settings(tmp_path: Path) -> None:
    folder = tmp_path / "placeholders"
    folder.mkdir()
    for side in ("source", "target"):
        (folder / f"train.{side}.txt").write_text("\n".join(words_of(SYLLABLES["old"])) + "\n", encoding="utf-8")
    tree = {"data": {"source_language": "a", "target_language": "b", "corpus": {"kind": "tsv", "train": ["a.tsv"]}}}
    tree["tokenizer"] = {"vocabulary_size": 8000}
    with pytest.raises(UserError, match=r"^tokenizer\.vocabulary_size 8000 is too large for this training text"):
        make_tokenizers(parse_config(tree), folder)
    tree["tokenizer"] = {"vocabulary_size": 300}
    make_tokenizers(parse_config(tree), str(folder))
    source, target = load_tokenizers(str(folder))
    assert source is target
    message = rf"^{folder}/source\.model: has no symbols for tokenizer\.placeholders: it was trained without them$"
    with pytest.raises(UserError, match=message):
        load_tokenizers(folder, ["braces"])
