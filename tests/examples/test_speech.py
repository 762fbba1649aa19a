"""The example of speech: features, padding, corpora, the error rate, a short training, and espeak-ng where it is."""

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import speech
import speech_data
import tensorflow as tf
import tensorflow_datasets as tfds

import nmt

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
TONES = {"low": (300, 300), "high": (2400, 2400), "up": (300, 2400), "down": (2400, 300)}  # Hz, one after the other


def whistle(sentence: str, generator: np.random.Generator) -> np.ndarray:
    """Words as two tones of a tenth of a second each, over noise."""
    frequencies = np.repeat([tone for word in sentence.split() for tone in TONES[word]], speech_data.RATE // 10)
    samples = np.sin(2 * np.pi * np.cumsum(frequencies) / speech_data.RATE)
    return (0.5 * samples + 0.05 * generator.normal(size=len(samples))).astype("float32")


def whistled(count: int, seed: int) -> tf.data.Dataset:
    generator = np.random.default_rng(seed)
    texts = [" ".join(generator.choice(list(TONES), generator.integers(1, 5))) for _ in range(count)]
    spoken = [(whistle(text, generator), text) for text in texts]
    return tf.data.Dataset.from_generator(lambda: spoken, output_signature=signature())


def signature() -> tuple[tf.TensorSpec, tf.TensorSpec]:
    return tf.TensorSpec((None,), tf.float32), tf.TensorSpec((), tf.string)


def make_tokens() -> keras.layers.TextVectorization:
    return keras.layers.TextVectorization(standardize=None, vocabulary=["<begin>", "<end>", *TONES])


@pytest.mark.parametrize(
    ("hypotheses", "references", "rate"),
    [
        (["turn the light on"], ["turn the light on"], 0),
        (["turn the light on"], ["turn the light off"], 1 / 4),
        (["turn light on now"], ["turn the light on"], 2 / 4),  # one left out, one put in
        (["one", "two three"], ["one two", "two"], 2 / 3),  # over all words, not the mean over sentences
        (["", "two"], ["one", "two"], 1 / 2),
        (["", ""], ["one", "two"], 1),
        (["one two three"], ["one"], 2),
    ],
)
def test_word_error_rate_by_hand(hypotheses, references, rate):
    assert speech.word_error_rate(hypotheses, references) == pytest.approx(rate)


def test_features_are_normalised_and_independent_of_loudness():
    samples = np.random.default_rng(0).normal(size=speech_data.RATE * 6 // 5).astype("float32")
    features = speech.log_mel(samples).numpy()
    assert features.shape == (20, 240)  # 1.2 seconds
    bands = features.reshape(120, 40)
    np.testing.assert_allclose(bands.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(bands.std(0), 1, atol=0.02)
    np.testing.assert_allclose(speech.log_mel(0.1 * samples), features, atol=0.05)
    assert speech.log_mel(samples[: speech_data.SHORTEST]).shape == (2, 240)  # the last of them filled up


@pytest.mark.parametrize("recurrent", speech.ENCODERS.values(), ids=speech.ENCODERS)
def test_padding_changes_nothing(recurrent):
    keras.utils.set_random_seed(0)
    model = speech.Recognizer(9, units=8, recurrent=recurrent)
    features = np.random.default_rng(0).normal(size=(2, 9, 240)).astype("float32")
    target, length = tf.constant([[4, 5, 3], [6, 3, 0]]), tf.constant([9, 5])
    batch = model({"features": features, "length": length, "target": target})
    alone = model({"features": features[1:, :5], "length": length[1:], "target": target[1:, :2]})
    np.testing.assert_allclose(batch[1, :2], alone[0], atol=1e-5)
    found = model.transcribe(features, length)[1].numpy()
    alone = model.transcribe(features[1:, :5], length[1:])[0].numpy()
    assert [id for id in found if id] == [id for id in alone if id]


def test_no_sentence_and_no_voice_is_in_two_splits():
    splits = speech_data.plan({"train": 300, "validation": 30, "test": 60}, seed=1)
    for part in ("text", "voice"):
        train, validation, test = ({getattr(one, part) for one in split} for split in splits.values())
        assert not train & (validation | test)
        assert not validation & test
    assert [len(split) for split in splits.values()] == [300, 30, 60]
    words = {word for one in splits["train"] for word in one.text.split()}
    assert not any(word.isupper() for word in words)
    assert splits == speech_data.plan({"train": 300, "validation": 30, "test": 60}, seed=1)
    assert splits != speech_data.plan({"train": 300, "validation": 30, "test": 60}, seed=2)


def corpus(examples: list[dict], audio: str, text: str, text_type: tf.DType):
    """What `tfds.testing.mock_data` gives in place of a corpus."""
    types = {audio: tf.TensorSpec((None,), tf.int64), text: tf.TensorSpec((), text_type)}
    return lambda *_, **__: tf.data.Dataset.from_generator(lambda: examples, output_signature=types)


def test_librispeech():
    examples = [
        {"speech": np.full(4000, -(2**15)), "text": "CHAPTER ONE"},
        {"speech": np.zeros(1599, "int64"), "text": "TOO SHORT"},
        {"speech": np.zeros(0, "int64"), "text": "NOTHING"},
        {"speech": np.zeros(4000, "int64"), "text": ""},
    ]
    with tfds.testing.mock_data(as_dataset_fn=corpus(examples, "speech", "text", tf.string)):
        splits = speech_data.read_corpus("librispeech")
    assert list(splits) == ["train", "validation", "test"]
    (samples, text), *others = splits["train"].as_numpy_iterator()
    assert samples.dtype == np.float32
    assert (len(samples), samples.min(), samples.max()) == (4000, -1, -1)
    assert text == b"chapter one"
    assert len(others) == 3
    ((inputs, target),) = speech.make_batches(splits["test"], make_tokens())  # one is left, of unknown words
    assert target.numpy().tolist() == [[1, 1, 3]]
    assert inputs["length"].numpy().tolist() == [5]  # 0.25 seconds


def test_speech_commands():
    examples = [{"audio": np.ones(16_000, "int64"), "label": label} for label in range(12)]
    with tfds.testing.mock_data(as_dataset_fn=corpus(examples, "audio", "label", tf.int64)):
        splits = speech_data.read_corpus("speech_commands")
    texts = [text.decode() for _, text in splits["validation"].as_numpy_iterator()]
    assert texts[:10] == ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes"]
    assert texts[10:] == ["", ""]  # silence, and other words


def test_corpora_that_do_not_fit(monkeypatch):
    with pytest.raises(nmt.UserError, match="librispech: expected one of librispeech, speech_commands"):
        speech_data.read_corpus("librispech")
    monkeypatch.setattr(speech_data, "RATE", 8000)
    with tfds.testing.mock_data(), pytest.raises(nmt.UserError, match="expected 8000 samples per second, got 16000"):
        speech_data.read_corpus("speech_commands")


def test_a_short_training_learns_to_transcribe():
    keras.utils.set_random_seed(1)
    tokens = make_tokens()
    training, validation = (
        speech.make_batches(whistled(count, count), tokens, seed) for count, seed in ((256, 1), (64, None))
    )
    training, validation = (
        batches.apply(tf.data.experimental.assert_cardinality(sum(1 for _ in batches)))
        for batches in (training, validation)
    )
    model = speech.Recognizer(tokens.vocabulary_size(), units=32)
    speech.train(model, training, validation, epochs=10)
    losses = model.history.history["val_loss"]
    hypotheses, references = speech.transcribe(model, validation, tokens.get_vocabulary())
    assert losses[-1] < 0.7 * losses[0]
    assert speech.word_error_rate(hypotheses, references) < 0.5


def test_without_espeak(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(nmt.UserError, match="apt install espeak-ng"):
        speech_data.synthesize(tmp_path / "speech", {"train": 2}, seed=1)
    assert not list(tmp_path.iterdir())


@needs_espeak
def test_espeak_speaks_once(tmp_path):
    counts = {"train": 3, "test": 2}
    splits = speech_data.synthesize(tmp_path / "speech", counts, seed=1)
    spoken = list(splits["train"].as_numpy_iterator())
    assert [text.decode() for _, text in spoken] == [one.text for one in speech_data.plan(counts, 1)["train"]]
    for samples, text in spoken:
        assert 0.05 < len(samples) / speech_data.RATE / len(text.split()) < 1  # seconds a word
        assert 0.1 < np.abs(samples).max() <= 1
    assert [path.name for path in tmp_path.iterdir()] == ["speech"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = list(speech_data.synthesize(tmp_path / "speech", counts, seed=1)["train"].as_numpy_iterator())
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    np.testing.assert_array_equal(again[0][0], spoken[0][0])
    elsewhere = speech_data.synthesize(tmp_path / "other", counts, seed=1)["train"].as_numpy_iterator()
    np.testing.assert_array_equal(next(elsewhere)[0], spoken[0][0])


@needs_espeak
def test_each_voice_is_a_voice_of_its_own():  # espeak-ng takes its usual one for one that it does not know
    voices = [voice for split in speech_data.VOICES.values() for voice in split.split()]
    spoken = {
        speech_data.speak(speech_data.Utterance("turn the light off", f"{accent}+{voice}", 175, 50, 25.0)).tobytes()
        for accent, voice in [*(("en-us", voice) for voice in voices), *((one, "m1") for one in speech_data.ACCENTS)]
    }
    assert len(spoken) == len(voices) + len(speech_data.ACCENTS) - 1  # en-us+m1 is in both


@needs_espeak
def test_the_whole(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(speech, "ENCODERS", {"nmt.GRU": nmt.GRU})  # to build the other one too takes 15 seconds more
    picture = tmp_path / "speech.png"
    speech.main("espeak", tmp_path, sentences=40, epochs=1, seed=1, output=picture, results=tmp_path / "made.json")
    out, err = capsys.readouterr()
    assert picture.read_bytes()[1:4] == b"PNG"
    for line, name in zip(out.splitlines()[1:], ["constant guess", *speech.ENCODERS], strict=True):
        assert line.startswith(f"{name} ")
    written = json.loads((tmp_path / "made.json").read_text())["word_error_rate"]
    assert [f"{rate:.1%}" for rate in written.values()] == re.findall(r"\S+%", out)
    assert "train: 40 utterances; 0 left out" in err
    assert Path(tmp_path, "40-1", "train.tsv").is_file()
