"""The pieces of a model's file are those that SentencePiece reads."""

import contextlib

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from nmt.serving.lite.translator import _load_tokenizer
from nmt.text.pieces import read_pieces
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.utils.errors import UserError


@pytest.fixture(scope="module")
def model() -> bytes:
    return train_tokenizer(["the red house and the cat, \u732b"], vocabulary_size=300, placeholders=["braces"])


def test_pieces_are_those_that_sentencepiece_reads(model: bytes) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert read_pieces(model) == processor.id_to_piece(list(range(processor.get_piece_size())))


@given(st.binary(max_size=40))
def test_bytes_that_are_no_model_are_a_value_error(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert all(read_pieces(content))


@pytest.mark.parametrize("text", [b"", b"\0", b"\0a"])
@pytest.mark.parametrize("kind", [1, 3, 4, 6], ids=["normal", "control", "of the user", "byte"])
def test_an_empty_piece_is_no_tokenizer(kind: int, text: bytes, model: bytes, tmp_path) -> None:
    """SentencePiece ends the process at some of them."""
    damaged = model + bytes([10, 9 + len(text), 10, len(text), *text, 21, 0, 0, 0, 0, 24, kind])
    with pytest.raises(UserError, match="is not a tokenizer model that this program has trained"):
        Tokenizer(damaged)
    (tmp_path / "source.model").write_bytes(damaged)
    with pytest.raises(UserError, match="is not a tokenizer that this program has exported"):
        _load_tokenizer(tmp_path / "source.model")
