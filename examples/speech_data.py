"""Speech and its text: made by espeak-ng, or a real corpus by TensorFlow Datasets."""

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
SHORTEST = RATE // 10  # samples; no word takes less than a tenth of a second
BANDS, HOP, STACKED = 40, RATE // 100, 6  # mel bands; samples from frame to frame; frames that the encoder reads as one
WIDTH = STACKED * BANDS
CORPORA = {  # of TensorFlow Datasets: the splits, and what the examples call samples and text
    "librispeech": (["train_clean100", "dev_clean", "test_clean"], "speech", "text"),
    "speech_commands": (["train", "validation", "test"], "audio", "label"),
}
Splits = dict[str, tf.data.Dataset]  # train, validation and test: pairs of samples and text

ACCENTS = ("en-us", "en-us-nyc", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbcwmd", "en-029")
VOICES = {  # each speaks with all accents, in one split alone; espeak-ng takes its usual one for one it does not know
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
    """What is said, and how."""

    text: str
    voice: str  # accent+variant
    speed: int  # words a minute
    pitch: int  # from 0 to 99
    noise: float  # decibels that the voice stands above it


def plan(counts: Mapping[str, int], seed: int) -> dict[str, list[Utterance]]:
    """Draws what is said in each split; no sentence and no voice occurs in two of them."""
    draw, seen, splits = random.Random(seed), set(), {split: list[Utterance]() for split in counts}
    for split, utterances in splits.items():
        while len(utterances) < counts[split]:
            words = (draw.choice(CHOICES.get(word, [word])) for word in draw.choice(COMMANDS).split())
            if (text := " ".join(words)) not in seen:
                seen.add(text)
                voice = f"{draw.choice(ACCENTS)}+{draw.choice(VOICES[split].split())}"
                how = draw.randint(150, 220), draw.randint(35, 65), draw.uniform(5, 25)
                utterances.append(Utterance(text, voice, *how))
    return splits


def speak(utterance: Utterance) -> np.ndarray:
    """Has espeak-ng say a sentence, over a noise of its own: float32 `[samples]`, at most 1 in size."""
    text, voice, speed, pitch, above = utterance
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    try:
        wav = subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise nmt.UserError("espeak-ng is not installed; on Debian and Ubuntu: apt install espeak-ng") from None
    except subprocess.CalledProcessError as error:
        raise nmt.UserError(f"espeak-ng -v {voice}: {error.stderr.decode(errors='replace').strip()}") from error
    voiced = np.frombuffer(wav[44:], np.int16)  # 22,050 a second; the header does not know how many
    voiced = np.pad(voiced, (0, -len(voiced) % (8 * 441)))  # a Fourier transform is fast for products of small numbers
    size = len(voiced) // 441 * 320
    samples = np.fft.irfft(np.fft.rfft(voiced)[: size // 2 + 1], size)  # what 16,000 a second can hold
    white = np.fft.rfft(np.random.default_rng(list(text.encode())).normal(size=size))
    noise = np.fft.irfft(white / np.sqrt(np.arange(1, len(white) + 1)), size)  # pink, as that of rooms and streets
    samples += noise * samples.std() / noise.std() / 10 ** (above / 20)
    return (samples / np.abs(samples).max()).astype(np.float32)


def espeak(folder: Path, counts: Mapping[str, int], seed: int) -> Splits:
    """Has espeak-ng speak sentences, unless the folder is there, and reads them.

    Args:
        folder: for this corpus alone, `SPLIT.tsv` and `SPLIT/NUMBER.wav`; appears once it is complete.
        counts: utterances of each split.
        seed: of sentences and voices.

    Raises:
        nmt.UserError: if espeak-ng is not installed, or the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
                for split, utterances in plan(counts, seed).items():
                    _write(Path(beside, "whole", split), utterances)
                Path(beside, "whole").rename(folder)
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
    """Reads a speech corpus by TensorFlow Datasets, which fetches it if need be.

    Args:
        name: one of `CORPORA`.
        **options: of `tfds.load`, as `data_dir`.

    Returns:
        Pairs of float32 `[samples]` from -1 to 1 and the text in lower case, "" for what is no word.

    Raises:
        nmt.UserError: if the corpus is not one of those, or has another sampling rate.
    """
    if name not in CORPORA:
        raise nmt.UserError(f"{name}: expected one of {', '.join(CORPORA)}")
    parts, audio, text = CORPORA[name]
    datasets, info = tfds.load(name, split=parts, with_info=True, **options)
    if info.features[audio].sample_rate != RATE:
        raise nmt.UserError(f"{name}: expected {RATE} samples a second, got {info.features[audio].sample_rate}")

    def pair(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        said = example[text]
        if said.dtype != tf.string:  # the number of a word; `_silence_` and `_unknown_` are none
            said = tf.gather(["" if label[0] == "_" else label for label in info.features[text].names], said)
        return tf.cast(example[audio], tf.float32) / 2**15, tf.strings.lower(said)

    return {split: dataset.map(pair) for split, dataset in zip(VOICES, datasets, strict=True)}


def log_mel(samples: tf.Tensor) -> tf.Tensor:
    """Log-mel features of float32 `[samples]`: a row each 60 ms, `[time, 6 * 40]`, of six frames side by side.

    Over the utterance each band has mean 0 and variance 1: neither loudness nor the microphone's colour tells a word.
    """
    spectrum = tf.abs(tf.signal.stft(samples, RATE // 40, HOP, fft_length=512, pad_end=True))
    mel = tf.matmul(spectrum, tf.signal.linear_to_mel_weight_matrix(BANDS, 257, RATE, 60.0, 7600.0))
    logarithms = tf.math.log(mel + 1e-3)
    mean, variance = tf.nn.moments(logarithms, 0)
    normal = (logarithms - mean) * tf.math.rsqrt(variance + 1e-3)
    return tf.reshape(tf.signal.frame(normal, STACKED, STACKED, pad_end=True, axis=0), (-1, WIDTH))
