"""Speech recognition: a GRU encoder over log-mel features, and the translator's decoder with attention.

    python examples/speech.py

has espeak-ng speak 3,600 sentences, learns to write them down, and is tested on other sentences by voices that it never
heard; `--keras` also trains the same network of `keras.layers.GRU`. `--corpus speech_commands` learns from people.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import nmt  # before Keras: it hushes TensorFlow

# isort: split
import keras
import numpy as np
import tensorflow as tf
import typer
from matplotlib.figure import Figure
from speech_data import BANDS, HOP, RATE, SHORTEST, WIDTH, espeak, log_mel, read_corpus

BEGIN, END = 2, 3  # ids of these marks in beam search; 0 is padding, 1 an unknown word
BATCH, BOUNDS = 32, (25, 30, 35, 40, 50, 60)  # utterances in a batch; lengths in which they are put together
ENCODERS: Mapping[str, Callable[..., Any]] = {
    "nmt.GRU": nmt.GRU,
    "keras.layers.GRU": partial(keras.layers.GRU, reset_after=False),  # the same equations
}

SPEECH = tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec((None,), tf.int32)  # features, and how many are real
Inputs = dict[str, tf.Tensor]
say = partial(typer.echo, err=True)


class Recognizer(keras.Model):
    """Two bidirectional layers over the features, and `nmt.Decoder`, whose attention reads their states.

    Args:
        vocabulary: number of tokens.
        units: width of all layers.
        recurrent: makes a layer of the encoder.

    Call arguments:
        inputs: `features`, `[batch, time, 240]`, of which `length`, `[batch]`, are real, and `target`, int32
            `[batch, words]`, closed by the end mark, then zeros.

    Returns:
        Logits of each word, given those before it, `[batch, words, vocabulary]`.
    """

    def __init__(self, vocabulary: int, units: int = 128, recurrent: Callable[..., Any] = nmt.GRU) -> None:
        super().__init__()
        self.layers_over_time = [
            keras.layers.Bidirectional(recurrent(units, return_sequences=True, return_state=True)) for _ in range(2)
        ]
        self.dropout = keras.layers.Dropout(0.2)
        self.embedding = nmt.TiedEmbedding(vocabulary, units)
        self.decoder = nmt.Decoder(nmt.ModelSettings(units=units, embedding=units), self.embedding)

    def encode(self, inputs: Inputs, training: bool | None = None) -> Any:
        """What the decoder needs of the speech: the memory that attention reads, and the states before a word."""
        states, mask = inputs["features"], tf.sequence_mask(inputs["length"], tf.shape(inputs["features"])[1])
        for layer in self.layers_over_time:
            states, *last = layer(self.dropout(states, training=training), mask=mask, training=training)
        return self.decoder.begin(nmt.Encoded(states, tf.concat(last, -1), mask))

    def attend(self, inputs: Inputs, training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits, and the attention weights `[batch, words, time]` behind them."""
        memory, states = self.encode(inputs, training)
        before = tf.pad(inputs["target"][:, :-1], ((0, 0), (1, 0)), constant_values=BEGIN)
        vectors, weights = self.decoder(before, memory, states, training=training)
        return self.embedding.logits(vectors), weights

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        """Scores the target; see the class."""
        return self.attend(inputs, training)[0]

    @tf.function(autograph=False, input_signature=SPEECH)
    def search(self, features: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """The likeliest words of each utterance, int32 `[batch, words]`."""
        memory, states = self.encode({"features": features, "length": length}, training=False)
        step, settings = self.decoder.stepper(), nmt.DecodingSettings(beam_size=4, max_length_factor=0.5)
        found = nmt.beam_search(step, lambda x, _: self.embedding.logits(x), memory, states, memory.mask, settings)
        return found.ids[:, 0]


def make_batches(speech: tf.data.Dataset, tokens: Callable[..., Any], seed: int | None = None) -> tf.data.Dataset:
    """Batches of `Recognizer`'s inputs and the target, of about the same length; with a seed, shuffled.

    What is too short to hold a word, or has no text, is left out.
    """

    def example(samples: tf.Tensor, text: tf.Tensor) -> tuple[Inputs, tf.Tensor]:
        features, target = log_mel(samples), tf.concat([tf.cast(tokens(text), tf.int32), [END]], 0)
        return {"features": features, "length": tf.shape(features)[0], "target": target}, target

    usable = speech.filter(lambda samples, text: (tf.size(samples) >= SHORTEST) & (tf.strings.length(text) > 0))
    examples = usable.map(example, num_parallel_calls=2).cache()
    if seed is not None:
        examples = examples.shuffle(10_000, seed)
    return examples.bucket_by_sequence_length(lambda x, _: x["length"], BOUNDS, [BATCH] * (len(BOUNDS) + 1)).prefetch(2)


def train(model: Recognizer, training: tf.data.Dataset, validation: tf.data.Dataset, epochs: int) -> None:
    """Fits the model, and tells the losses after each epoch on stderr."""
    steps = len(training)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps * epochs, warmup_target=3e-3, warmup_steps=steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss, jit_compile=False)

    def tell(epoch: int, logs: Mapping[str, float]) -> None:
        say(f"epoch {epoch + 1} of {epochs}: loss {logs['loss']:.3f}, on validation {logs['val_loss']:.3f}")

    progress = keras.callbacks.LambdaCallback(on_epoch_end=tell)
    model.fit(training, validation_data=validation, epochs=epochs, shuffle=False, callbacks=[progress], verbose=0)


def transcribe(model: Recognizer, batches: tf.data.Dataset, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What the model hears in each utterance, and what was said."""

    def texts(rows: tf.Tensor) -> list[str]:
        return [" ".join(words[id] for id in row[: list(row).index(END)]) for row in rows.numpy()]

    heard, said = [], []
    for inputs, target in batches:
        heard += texts(model.search(inputs["features"], inputs["length"]))
        said += texts(target)
    return heard, said


def word_error_rate(heard: Sequence[str], said: Sequence[str]) -> float:
    """Words put in, left out or exchanged, for each word that was said."""
    hypotheses, references = (tf.strings.split(list(texts)) for texts in (heard, said))
    errors = tf.edit_distance(hypotheses.to_sparse(), references.to_sparse(), normalize=False)
    return float(tf.reduce_sum(errors)) / int(tf.size(references.flat_values))


def draw(model: Recognizer, inputs: Inputs, words: Sequence[str], output: Path) -> None:
    """Draws the features of a batch's first utterance, and what attention read for each word that the model heard."""
    features, length = inputs["features"][:1], inputs["length"][:1]
    ids = model.search(features, length)
    weights = model.attend({"features": features, "length": length, "target": ids}, training=False)[1]
    ids, frames = [id for id in ids[0].numpy() if id], np.reshape(features[0, : length[0]], (-1, BANDS))
    figure = Figure(figsize=(8, 5), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    seconds = (0.0, len(frames) * HOP / RATE)
    above.imshow(frames.T, origin="lower", aspect="auto", cmap="magma", extent=(*seconds, 0, BANDS))
    below.imshow(weights[0, : len(ids), : length[0]], aspect="auto", cmap="Blues", extent=(*seconds, len(ids), 0))
    above.set(ylabel="mel band")
    below.set(xlabel="seconds", yticks=np.arange(len(ids)) + 0.5, yticklabels=[words[id] for id in ids])
    figure.savefig(output, dpi=100)


def main(
    corpus: Annotated[str, typer.Option(help="espeak, librispeech or speech_commands")] = "espeak",
    folder: Annotated[Path, typer.Option(help="where spoken sentences are kept")] = Path("runs/speech"),
    sentences: Annotated[int, typer.Option(min=40, help="how many espeak-ng speaks for training")] = 3600,
    epochs: Annotated[int, typer.Option(min=1, help="times that each is heard in training")] = 11,
    beside: Annotated[bool, typer.Option("--keras", help="train the same network of keras.layers.GRU too")] = False,
    seed: Annotated[int, typer.Option(help="of sentences, voices and weights")] = 1,
    output: Annotated[Path, typer.Option(help="file for the picture")] = Path("speech.png"),
) -> None:
    """Learn to write down speech, and compare."""
    counts = {"train": sentences, "validation": sentences // 20, "test": sentences // 10}
    say("making speech" if corpus == "espeak" else f"reading {corpus}")
    speech = espeak(folder / f"{sentences}-{seed}", counts, seed) if corpus == "espeak" else read_corpus(corpus)
    texts = {split: [text.decode() for _, text in each.as_numpy_iterator()] for split, each in speech.items()}
    frequent = [word for word, _ in Counter(" ".join(texts["train"]).split()).most_common(20_000)]
    tokens = keras.layers.TextVectorization(standardize=None, vocabulary=["<begin>", "<end>", *frequent])
    batches = {split: make_batches(speech[split], tokens, seed if split == "train" else None) for split in speech}
    for split, each in batches.items():
        sizes = [len(target) for _, target in each]  # which makes the features, once for all epochs
        say(f"{split}: {sum(sizes)} utterances; {len(texts[split]) - sum(sizes)} left out, too short or without text")
        batches[split] = each.apply(tf.data.experimental.assert_cardinality(len(sizes)))
    guess = min(texts["train"][:100], key=lambda text: word_error_rate([text] * 300, texts["train"][-300:]))
    print(f"word error rate on {len(texts['test'])} other utterances")
    print(f"one guess for all {word_error_rate([guess] * len(texts['test']), texts['test']):6.1%}")
    for name, recurrent in list(ENCODERS.items())[: 2 if beside else 1]:
        say(f"training with {name}")
        keras.utils.set_random_seed(seed)
        model, start = Recognizer(tokens.vocabulary_size(), recurrent=recurrent), time.perf_counter()
        train(model, batches["train"], batches["validation"], epochs)
        took = time.perf_counter() - start
        heard, said = transcribe(model, batches["test"], tokens.get_vocabulary())
        print(f"{name:17} {word_error_rate(heard, said):6.1%}   trained in {took:.0f} s", flush=True)
        if recurrent is nmt.GRU:
            draw(model, list(batches["test"])[-1][0], tokens.get_vocabulary(), output)


if __name__ == "__main__":
    try:
        typer.run(main)
    except nmt.UserError as error:
        say(error)
        sys.exit(2)
