"""Speech and its transcripts: synthesised by espeak-ng, or a corpus from TensorFlow Datasets."""

import os
import random
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

import nmt

RATE = 16_000  # samples a second
SHORTEST = RATE // 10  # samples; no word is shorter than a tenth of a second
BANDS, HOP, STACKED = 40, RATE // 100, 6  # mel bands; samples per frame; frames in one step of the encoder
WIDTH = STACKED * BANDS
CORPORA = {  # name in TensorFlow Datasets: its splits, and its features for samples and text
    "librispeech": (["train_clean100", "dev_clean", "test_clean"], "speech", "text"),
    "speech_commands": (["train", "validation", "test"], "audio", "label"),
}
Splits = dict[str, tf.data.Dataset]  # for train, validation and test, pairs of samples and text

ACCENTS = ("en-us", "en-us-nyc", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbcwmd", "en-029")
VOICES = {  # each has all accents, and is in one split only; espeak-ng replaces an unknown voice by its default
    "train": "m1 m2 m4 m5 m6 m8 f1 f3 f5 Alex Andy Alicia Annie Denis Diogo Gene Marco Mario david linda pablo steph",
    "validation": "m7 f4 Hugo",
    "test": "m3 f2 Michael Andrea",
}
COMMANDS = (
    "turn the ROOM DEVICE STATE",
    "turn STATE the DEVICE in the ROOM",
    "ORDER the OPENING in the ROOM and turn the DEVICE STATE",
    "set the alarm to NUMBER NUMBER",
    "set a timer for NUMBER TIME",
    "CHANGE the temperature in the ROOM to NUMBER degrees",
    "what is NUMBER SUM NUMBER",
    "remind me to TASK in NUMBER TIME",
    "call DIGIT DIGIT DIGIT DIGIT DIGIT",
    "DIGIT DIGIT DIGIT DIGIT DIGIT DIGIT",
)
UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = [
    "ten",
    "eleven",
    "twelve",
    *(f"{unit}teen" for unit in ("thir", "four", "fif", "six", "seven", "eigh", "nine")),
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty"]
CHOICES = {
    "ROOM": ["kitchen", "bedroom", "bathroom", "living room", "hall", "garden", "cellar", "office"],
    "DEVICE": ["light", "heater", "radio", "fan", "television", "camera", "lamp"],
    "STATE": ["on", "off"],
    "ORDER": ["open", "close", "lock"],
    "OPENING": ["door", "window", "gate"],
    "TIME": ["seconds", "minutes", "hours"],
    "CHANGE": ["raise", "lower"],
    "SUM": ["plus", "minus", "times"],
    "TASK": ["water the plants", "feed the cat", "call my sister", "buy bread", "wash the car"],
    "DIGIT": ["zero", *UNITS],
    "NUMBER": [*UNITS, *TEENS, *TENS, *(f"{ten} {unit}" for ten in TENS for unit in UNITS)],
}


class Utterance(NamedTuple):
    """A sentence to synthesise."""

    text: str
    voice: str  # accent+variant
    speed: int  # words per minute
    pitch: int  # from 0 to 99
    signal_to_noise: float  # decibels


def plan(counts: Mapping[str, int], seed: int) -> dict[str, list[Utterance]]:
    """Draws the utterances of each split; no sentence and no voice occurs in two splits."""
    draw, seen, splits = random.Random(seed), set(), {split: list[Utterance]() for split in counts}
    for split, utterances in splits.items():
        while len(utterances) < counts[split]:
            words = (draw.choice(CHOICES.get(word, [word])) for word in draw.choice(COMMANDS).split())
            if (text := " ".join(words)) not in seen:
                seen.add(text)
                voice = f"{draw.choice(ACCENTS)}+{draw.choice(VOICES[split].split())}"
                speed, pitch, signal_to_noise = draw.randint(150, 220), draw.randint(35, 65), draw.uniform(5, 25)
                utterances.append(Utterance(text, voice, speed, pitch, signal_to_noise))
    return splits


def speak(utterance: Utterance) -> np.ndarray:
    """Synthesises an utterance over pink noise: float32 `[samples]`, between -1 and 1."""
    text, voice, speed, pitch, signal_to_noise = utterance
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    try:
        wav = subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise nmt.UserError("espeak-ng is not installed; on Debian and Ubuntu: apt install espeak-ng") from None
    except subprocess.CalledProcessError as error:
        raise nmt.UserError(f"espeak-ng -v {voice}: {error.stderr.decode(errors='replace').strip()}") from error
    voiced = np.frombuffer(wav[44:], np.int16)  # 22,050 per second; the header lacks their number
    voiced = np.pad(voiced, (0, -len(voiced) % (8 * 441)))  # to a length with small prime factors, for the FFT
    size = len(voiced) // 441 * 320
    samples = np.fft.irfft(np.fft.rfft(voiced)[: size // 2 + 1], size)  # resamples to 16,000 per second
    white = np.fft.rfft(np.random.default_rng(list(text.encode())).normal(size=size))
    pink = white / np.sqrt(np.arange(1, len(white) + 1))  # like the noise of rooms and streets
    noise = np.fft.irfft(pink, size)
    samples += noise * samples.std() / noise.std() / 10 ** (signal_to_noise / 20)
    return (samples / np.abs(samples).max()).astype(np.float32)


def synthesize(folder: Path, counts: Mapping[str, int], seed: int) -> Splits:
    """Synthesises a corpus with espeak-ng, unless its folder exists already, and reads it.

    Args:
        folder: the folder of the corpus, which appears once it is complete; it contains `SPLIT.tsv` and
            `SPLIT/NUMBER.wav`.
        counts: number of utterances in each split.
        seed: seed of sentences and voices.

    Returns:
        Pairs of samples, float32 `[samples]` between -1 and 1, and text.

    Raises:
        nmt.UserError: if espeak-ng is not installed, or the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
                for split, utterances in plan(counts, seed).items():
                    _write(Path(temporary, "corpus", split), utterances)
                Path(temporary, "corpus").rename(folder)
    except OSError as error:
        raise nmt.UserError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return {split: _read(folder / f"{split}.tsv") for split in counts}


def _write(folder: Path, utterances: Sequence[Utterance]) -> None:
    folder.mkdir(parents=True)
    files = [folder / f"{number:05}.wav" for number in range(len(utterances))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, samples in zip(files, pool.map(speak, utterances), strict=True):
            file.write_bytes(tf.audio.encode_wav(samples[:, None], RATE).numpy())
    lines = (f"{file.name}\t{one.voice}\t{one.text}\n" for file, one in zip(files, utterances, strict=True))
    folder.with_suffix(".tsv").write_text("".join(lines), encoding="utf-8")


def _read(table: Path) -> tf.data.Dataset:
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    paths, texts = [str(table.with_suffix("") / name) for name, _, _ in rows], [text for *_, text in rows]
    pairs = tf.data.Dataset.from_tensor_slices((paths, texts))
    return pairs.map(lambda path, text: (tf.audio.decode_wav(tf.io.read_file(path), 1)[0][:, 0], text))


def read_corpus(name: str, **options: Any) -> Splits:
    """Reads a speech corpus from TensorFlow Datasets, which downloads it on first use.

    Args:
        name: a key of `CORPORA`.
        **options: arguments of `tfds.load`, such as `data_dir`.

    Returns:
        Pairs of samples, float32 `[samples]` between -1 and 1, and text in lower case, "" for sounds without words.

    Raises:
        nmt.UserError: if the corpus is unknown, or has another sampling rate.
    """
    if name not in CORPORA:
        raise nmt.UserError(f"{name}: expected one of {', '.join(CORPORA)}")
    parts, audio, text = CORPORA[name]
    datasets, info = tfds.load(name, split=parts, with_info=True, **options)
    if info.features[audio].sample_rate != RATE:
        raise nmt.UserError(f"{name}: expected {RATE} samples per second, got {info.features[audio].sample_rate}")

    def pair(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        said = example[text]
        if said.dtype != tf.string:  # the index of a word, or of `_silence_` or `_unknown_`
            said = tf.gather(["" if label[0] == "_" else label for label in info.features[text].names], said)
        return tf.cast(example[audio], tf.float32) / 2**15, tf.strings.lower(said)

    return {split: dataset.map(pair) for split, dataset in zip(VOICES, datasets, strict=True)}


def log_mel(samples: tf.Tensor) -> tf.Tensor:
    """Computes log-mel features, six frames of 10 ms in each step of 60 ms.

    Each band is normalised over the utterance to mean 0 and variance 1, because neither the loudness nor the frequency
    response of the microphone says anything about the words.

    Args:
        samples: float32 `[samples]`, 16,000 per second.

    Returns:
        float32 `[time, 240]`.
    """
    spectrum = tf.abs(tf.signal.stft(samples, RATE // 40, HOP, fft_length=512, pad_end=True))
    mel = tf.matmul(spectrum, tf.signal.linear_to_mel_weight_matrix(BANDS, 257, RATE, 60.0, 7600.0))
    logarithms = tf.math.log(mel + 1e-3)
    mean, variance = tf.nn.moments(logarithms, 0)
    normal = (logarithms - mean) * tf.math.rsqrt(variance + 1e-3)
    return tf.reshape(tf.signal.frame(normal, STACKED, STACKED, pad_end=True, axis=0), (-1, WIDTH))
