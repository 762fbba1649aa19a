"""The tokenizer loses no text, whatever it is, and trains the same model twice."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt.constants import BEGIN, END, PADDING, UNKNOWN
from nmt.text import tokenizer as module
from nmt.text.normalization import normalize
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.utils.errors import UserError

SENTENCES = [
    f"{who} {does} {what}."
    for who in ("A brown dog", "The old cat", "Eine große Katze", "Der Hund", "My neighbour", "Unser Nachbar")
    for does in ("chases", "sees", "jagt", "sieht", "has eaten", "hat gefressen", "likes", "mag", "forgot")
    for what in ("the ball", "a mouse", "die Mäuse", "den Ball", "nothing", "nichts", "breakfast", "<unk> </s> <pad>")
]


SIZE = 320
# The characters that Python's Unicode version has. TensorFlow's version is newer.
KNOWN = st.characters(exclude_categories=("Cs", "Cn"))


def make(algorithm: str) -> Tokenizer:
    return Tokenizer(train_tokenizer(SENTENCES, vocabulary_size=SIZE, algorithm=algorithm))


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return make(request.param)


def through(tokenizer: Tokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode(tf.constant([text]))).numpy()[0].decode()


@settings(max_examples=200)
@given(text=st.text(KNOWN))
@example(text="A dog sees 日本 🏳️‍🌈 <unk> </s> <pad> <s> <0x41> ▁x▁▁y\x00z\ufffd\uffff\U0010ffff")
@example(text="\x85\u2028\u3000\x1c a\u0301\u0323 \x00\u0301\u200bb\ufeff \u00ad ")
@example(text="")
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert through(tokenizer, text) == normalize(text)
    ids = tokenizer.encode(tf.constant([text]))
    assert UNKNOWN not in ids.flat_values.numpy()
    assert tokenizer.encode(tf.constant([normalize(text)]), normalized=True).to_list() == ids.to_list()


@settings(max_examples=50)
@given(data=st.binary())
def test_any_bytes_become_valid_text(tokenizer: Tokenizer, data: bytes) -> None:
    decoded = tokenizer.decode(tokenizer.encode(tf.constant([data]))).numpy()[0].decode()
    assert decoded == normalize(data.decode("utf-8", "replace"))


@pytest.mark.parametrize("text", ["The cat sees nothing. " * 4600, "ab" * 50_000, "日" * 100_000, "a\u0301" * 50_000])
def test_long_text(tokenizer: Tokenizer, text: str) -> None:
    assert through(tokenizer, text) == normalize(text)


def test_rows_end_with_the_end_mark(tokenizer: Tokenizer) -> None:
    rows = tokenizer.encode(tf.constant(["A dog", "", "The cat </s>"])).to_list()
    assert [row[-1] for row in rows] == [END] * 3
    assert rows[1] == [END]
    assert all(row.count(END) == 1 and PADDING not in row and BEGIN not in row for row in rows)
    assert tokenizer.encode(tf.constant([], tf.string)).shape[0] == 0


def test_decode_stops_at_the_end_and_ignores_padding(tokenizer: Tokenizer) -> None:
    dog, cat = (tokenizer.encode(tf.constant([text])).to_list()[0] for text in ("A dog", "The old cat"))
    rows = [[PADDING, *dog, *cat], [END, *cat], [], cat[:-1]]
    width = max(map(len, rows))
    padded = tf.constant([row + [PADDING] * (width - len(row)) for row in rows])
    for ids in (padded, tf.ragged.constant(rows, dtype=tf.int32), tf.cast(padded, tf.int64)):
        assert [text.decode() for text in tokenizer.decode(ids).numpy()] == ["A dog", "", "", "The old cat"]


def test_stray_bytes_decode_to_valid_utf8(tokenizer: Tokenizer) -> None:
    first_byte = tokenizer.pieces(range(tokenizer.vocabulary_size)).index("<0x00>")
    ids = np.arange(first_byte, first_byte + 256, dtype=np.int32)[:, None]
    assert [text.decode()[:1] for text in tokenizer.decode(ids).numpy()][0xC3] == "\ufffd"


def test_pieces_name_the_ids(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(tf.constant(["dog Ж"])).to_list()[0]
    names = tokenizer.pieces(ids)
    assert names[-3:] == ["<0xD0>", "<0x96>", "</s>"]
    assert "".join(names[:-3]).replace("\u2581", " ").strip() == "dog"
    assert tokenizer.vocabulary_size == SIZE


def test_saved_model_translates_the_same(tokenizer: Tokenizer, tmp_path: object) -> None:
    class Echo(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokenizer = tokenizer

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        def echo(self, texts: tf.Tensor) -> tf.Tensor:
            return self.tokenizer.decode(self.tokenizer.encode(texts).to_tensor())

    tf.saved_model.save(Echo(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert [t.decode() for t in loaded.echo(tf.constant(["Der  Hund", "😀"])).numpy()] == ["Der Hund", "😀"]


def test_training_twice_gives_equal_bytes() -> None:
    assert train_tokenizer(SENTENCES, SIZE, seed=1) == train_tokenizer(iter(SENTENCES), SIZE, seed=1)


def test_a_big_corpus_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRAINING_CHARACTERS", 1000)
    lines = [f"sentence {number:05}" for number in range(10_000)]
    chosen = list(module._sample(lines, seed=1))
    assert 1000 - 14 <= sum(map(len, chosen)) <= 1000
    assert chosen == sorted(set(chosen)) == list(module._sample(iter(lines), seed=1))
    assert chosen != list(module._sample(lines, seed=2))
    assert 2500 < np.mean([int(line.split()[1]) for line in chosen]) < 7500  # from all over the corpus


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_too_large_a_vocabulary_names_the_largest_that_works(algorithm: str) -> None:
    with pytest.raises(UserError, match=r"^vocabulary_size 8000 is too large .* at most \d+$") as caught:
        train_tokenizer(SENTENCES, algorithm=algorithm)
    largest = int(str(caught.value).split()[-1])
    assert Tokenizer(train_tokenizer(SENTENCES, largest, algorithm)).vocabulary_size == largest


def test_too_many_characters_are_explained() -> None:
    text = ["".join(chr(0x4E00 + 20 * line + place) for place in range(20)) for line in range(50)]
    with pytest.raises(
        UserError, match=r"^vocabulary_size 300 is .* set at least 1\d\d\d, or a lower character_coverage$"
    ):
        train_tokenizer(text, 300)


def test_a_tiny_text_gets_all_the_subwords_it_has() -> None:
    tokenizer = Tokenizer(train_tokenizer(["a b a b"], vocabulary_size=300))
    assert 260 < tokenizer.vocabulary_size < 300
    assert through(tokenizer, "a b c") == "a b c"


@pytest.mark.parametrize("text", [[], ["", ""]])
def test_no_text_is_explained(text: list[str]) -> None:
    with pytest.raises(UserError, match="no training text"):
        train_tokenizer(text)


@pytest.mark.parametrize("model", [b"", b"nonsense", b"\n\x05hello"])
def test_a_damaged_model_is_named(model: bytes) -> None:
    with pytest.raises(UserError, match=r"^here\.model: "):
        Tokenizer(model, "here.model")


def test_survives_a_new_random_seed():
    """TensorFlow empties its cache of kernels then, and TensorFlow Text's model is owned by one of them."""
    tokenizer = Tokenizer(train_tokenizer(["the cat sat on the mat"], vocabulary_size=300))
    before = tokenizer.encode(tf.constant(["the cat"]))
    tf.random.set_seed(1)
    after = tokenizer.encode(tf.constant(["the cat"]))
    assert before.to_list() == after.to_list()
    tf.random.set_seed(1)
    assert tokenizer.decode(after).numpy().tolist() == [b"the cat"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithm": "word"}, "expected algorithm 'unigram' or 'bpe', got 'word'"),
        ({"character_coverage": 0.5}, "expected character_coverage from 0.98 to 1, got 0.5"),
    ],
)
def test_other_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        train_tokenizer(SENTENCES, **arguments)


def test_pieces_that_are_no_utf_8_are_no_tokenizer(tokenizer: Tokenizer) -> None:
    with pytest.raises(UserError, match=r"^it: is not a tokenizer model that this program has trained"):
        Tokenizer(tokenizer.model.replace(b"<0x41>", b"<0x4\xff>"), "it")


def test_where_a_model_comes_from_may_be_any_path(tokenizer: Tokenizer) -> None:
    again = Tokenizer(tokenizer.model, "/home/Jürgen/läufe 1/日本/target.model")
    assert through(again, "A dog") == "A dog"
    assert again.name == "tokenizer"
    with pytest.raises(
        UserError, match=r"^/home/Jürgen/target\.model: has no symbols for placeholders: it was trained"
    ):
        Tokenizer(tokenizer.model, "/home/Jürgen/target.model", ["braces"])


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from("äöüÄÖÜß€→日本語жЖ"), st.integers(1, 12), min_size=1))
def test_characters_that_come_often_have_pieces_of_their_own(counts: dict[str, int]) -> None:
    rare = [f"{character} is it" for character, count in counts.items() for _ in range(count)]
    pieces = "".join(Tokenizer(train_tokenizer(SENTENCES * 20 + rare, 400, "bpe")).pieces())
    others = {character: count for character, count in counts.items() if character not in "".join(SENTENCES)}
    assert {one for one in others if one in pieces} == {one for one, count in others.items() if count >= 5}
