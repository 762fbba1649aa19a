"""Speech recognition: a GRU encoder over log-mel features, and the translator's decoder with attention.

    python examples/speech.py

synthesises 3,600 sentences with espeak-ng, trains a network to transcribe them, and tests it on other sentences by
other voices. `--keras` trains the same network with `keras.layers.GRU` as well. `--corpus speech_commands` uses
recorded speech.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf
import typer
from matplotlib.figure import Figure
from results import write_results
from speech_data import BANDS, HOP, RATE, SHORTEST, WIDTH, log_mel, read_corpus, synthesize

import nmt

BEGIN, END = 2, 3  # ids of the begin and end marks; 0 is padding, 1 an unknown word
BATCH_SIZE, BUCKETS = 32, (25, 30, 35, 40, 50, 60)  # utterances in a batch; bounds of their lengths in frames
ENCODERS: Mapping[str, Callable[..., Any]] = {
    "nmt.GRU": nmt.GRU,
    "keras.layers.GRU": partial(keras.layers.GRU, reset_after=False),  # the same equations
}

SPEECH = tf.TensorSpec((None, None, WIDTH)), tf.TensorSpec((None,), tf.int32)  # features, and their lengths in frames
Inputs = dict[str, tf.Tensor]
say = partial(typer.echo, err=True)


class Recognizer(keras.Model):
    """Two bidirectional layers over the features, and `nmt.Decoder`, whose attention reads their outputs.

    Args:
        vocabulary_size: number of tokens.
        units: width of all layers.
        recurrent: constructor of the recurrent layers of the encoder.

    Call arguments:
        inputs: a dictionary of `features`, float `[batch, time, 240]`, `length`, int32 `[batch]`, their lengths
            without padding, and `target`, int32 `[batch, words]`, the ids of the words, the end mark, and zeros.

    Returns:
        Logits, float `[batch, words, vocabulary]`: position t predicts word t from the words before it.
    """

    def __init__(self, vocabulary_size: int, units: int = 128, recurrent: Callable[..., Any] = nmt.GRU) -> None:
        super().__init__()
        self.encoder = [
            keras.layers.Bidirectional(recurrent(units, return_sequences=True, return_state=True)) for _ in range(2)
        ]
        self.dropout = keras.layers.Dropout(0.2)
        self.embedding = nmt.TiedEmbedding(vocabulary_size, units)
        self.decoder = nmt.Decoder(units, attention="dot", dropout=0.2)

    def encode(self, features: tf.Tensor, length: tf.Tensor, training: bool | None = None) -> tuple[tf.Tensor, ...]:
        """Returns the encoder's outputs, its last state, and the mask of the frames, for `nmt.Decoder`."""
        outputs, mask = features, tf.sequence_mask(length, tf.shape(features)[1])
        for layer in self.encoder:
            outputs, *last = layer(self.dropout(outputs, training=training), mask=mask, training=training)
        return outputs, tf.concat(last, -1), mask

    def decode(self, inputs: Inputs, training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the logits, and the attention weights, float `[batch, words, time]`."""
        outputs, state, mask = self.encode(inputs["features"], inputs["length"], training)
        shifted = tf.pad(inputs["target"][:, :-1], ((0, 0), (1, 0)), constant_values=BEGIN)
        embedded = self.dropout(self.embedding(shifted), training=training)
        vectors, weights = self.decoder(embedded, outputs, state, memory_mask=mask, training=training)
        return self.embedding(vectors, reverse=True), weights

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        """Predicts the words; see the class."""
        return self.decode(inputs, training)[0]

    @tf.function(autograph=False, input_signature=SPEECH)
    def transcribe(self, features: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Searches the most likely words of each utterance, int32 `[batch, words]`."""
        frames = tf.sequence_mask(length, tf.shape(features)[1], tf.int32)
        scorer = SpeechScorer(self, features, length)
        return nmt.beam_search(scorer, frames, beam_size=4, max_length_factor=0.5).ids[:, 0]


class SpeechScorer:
    """Scores the next word, so that `nmt.beam_search` can search with a model that is not an `nmt.Seq2Seq`.

    Args:
        model: the recognizer.
        features: float `[batch, time, 240]`.
        length: int32 `[batch]`, the lengths without padding.
    """

    def __init__(self, model: Recognizer, features: tf.Tensor, length: tf.Tensor) -> None:
        self.model, self.features, self.length = model, features, length
        self.decoder_step = model.decoder.stepper()

    def start(self, source: tf.Tensor) -> Any:
        """Encodes the speech. The search limits lengths by `source`, 1 for each real frame; the model ignores it."""
        return self.model.decoder.start(*self.model.encode(self.features, self.length, training=False))

    def step(self, tokens: tf.Tensor, state: Any, rows: tf.Tensor | None = None) -> Any:
        """Returns the log-probabilities of the next words, the attention weights, and the new state."""
        vectors, weights, state = self.decoder_step(self.model.embedding(tokens), state)
        vectors = tf.reshape(vectors, (-1, vectors.shape[-1]))
        vectors = vectors if rows is None else tf.gather(vectors, rows)
        return tf.nn.log_softmax(self.model.embedding(vectors, reverse=True)), weights, state


def make_batches(speech: tf.data.Dataset, tokens: Callable[..., Any], seed: int | None = None) -> tf.data.Dataset:
    """Batches utterances of similar length, as inputs of `Recognizer` and targets.

    Utterances without text, or too short for a word, are left out.

    Args:
        speech: pairs of samples, float32 `[samples]`, and text.
        tokens: function from a text to the ids of its words.
        seed: seed for shuffling; None to keep the order.
    """

    def example(samples: tf.Tensor, text: tf.Tensor) -> tuple[Inputs, tf.Tensor]:
        features, target = log_mel(samples), tf.concat([tf.cast(tokens(text), tf.int32), [END]], 0)
        return {"features": features, "length": tf.shape(features)[0], "target": target}, target

    usable = speech.filter(lambda samples, text: (tf.size(samples) >= SHORTEST) & (tf.strings.length(text) > 0))
    examples = usable.map(example, num_parallel_calls=2).cache()
    if seed is not None:
        examples = examples.shuffle(10_000, seed)
    return examples.bucket_by_sequence_length(
        lambda x, _: x["length"], BUCKETS, [BATCH_SIZE] * (len(BUCKETS) + 1)
    ).prefetch(2)


def train(model: Recognizer, training: tf.data.Dataset, validation: tf.data.Dataset, epochs: int) -> None:
    """Trains the model, and prints the losses of each epoch to standard error."""
    steps = len(training)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps * epochs, warmup_target=3e-3, warmup_steps=steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss, jit_compile=False)

    def report(epoch: int, logs: Mapping[str, float]) -> None:
        say(f"epoch {epoch + 1} of {epochs}: loss {logs['loss']:.3f}, on validation {logs['val_loss']:.3f}")

    progress = keras.callbacks.LambdaCallback(on_epoch_end=report)
    model.fit(training, validation_data=validation, epochs=epochs, shuffle=False, callbacks=[progress], verbose=0)


def transcribe(model: Recognizer, batches: tf.data.Dataset, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the model's transcripts of all utterances, and the references."""

    def texts(rows: tf.Tensor) -> list[str]:
        return [" ".join(words[id] for id in row[: list(row).index(END)]) for row in rows.numpy()]

    hypotheses, references = [], []
    for inputs, target in batches:
        hypotheses += texts(model.transcribe(inputs["features"], inputs["length"]))
        references += texts(target)
    return hypotheses, references


def word_error_rate(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Returns the number of insertions, deletions and substitutions per word of the references."""
    hypothesis_words, reference_words = (tf.strings.split(list(texts)) for texts in (hypotheses, references))
    errors = tf.edit_distance(hypothesis_words.to_sparse(), reference_words.to_sparse(), normalize=False)
    return float(tf.reduce_sum(errors)) / int(tf.size(reference_words.flat_values))


def draw(model: Recognizer, inputs: Inputs, words: Sequence[str], output: Path) -> None:
    """Draws the features of a batch's first utterance, and the attention weights of each transcribed word."""
    features, length = inputs["features"][:1], inputs["length"][:1]
    ids = model.transcribe(features, length)
    weights = model.decode({"features": features, "length": length, "target": ids}, training=False)[1]
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
    folder: Annotated[Path, typer.Option(help="folder for synthesised speech")] = Path("runs/speech"),
    sentences: Annotated[int, typer.Option(min=40, help="number of training sentences for espeak-ng")] = 3600,
    epochs: Annotated[int, typer.Option(min=1, help="training epochs")] = 11,
    with_keras: Annotated[bool, typer.Option("--keras", help="also train the network with keras.layers.GRU")] = False,
    seed: Annotated[int, typer.Option(help="seed of sentences, voices and weights")] = 1,
    output: Annotated[Path, typer.Option(help="PNG file to write")] = Path("speech.png"),
    results: Annotated[Path | None, typer.Option(help="JSON file to write the figures to")] = None,
) -> None:
    """Train a speech recognizer, and compare encoders."""
    counts = {"train": sentences, "validation": sentences // 20, "test": sentences // 10}
    say("synthesising speech" if corpus == "espeak" else f"reading {corpus}")
    speech = synthesize(folder / f"{sentences}-{seed}", counts, seed) if corpus == "espeak" else read_corpus(corpus)
    texts = {split: [text.decode() for _, text in each.as_numpy_iterator()] for split, each in speech.items()}
    frequent = [word for word, _ in Counter(" ".join(texts["train"]).split()).most_common(20_000)]
    tokens = keras.layers.TextVectorization(standardize=None, vocabulary=["<begin>", "<end>", *frequent])
    batches = {split: make_batches(speech[split], tokens, seed if split == "train" else None) for split in speech}
    for split, each in batches.items():
        sizes = [len(target) for _, target in each]  # computes and caches the features of all epochs
        unusable = len(texts[split]) - sum(sizes)
        say(f"{split}: {sum(sizes)} utterances; {unusable} left out, too short or without text")
        batches[split] = each.apply(tf.data.experimental.assert_cardinality(len(sizes)))
    guess = min(texts["train"][:100], key=lambda text: word_error_rate([text] * 300, texts["train"][-300:]))
    print(f"word error rate on {len(texts['test'])} test utterances")
    rates = {"constant guess": word_error_rate([guess] * len(texts["test"]), texts["test"])}
    print(f"constant guess    {rates['constant guess']:6.1%}")
    seconds: dict[str, float] = {}
    for name, recurrent in list(ENCODERS.items())[: 2 if with_keras else 1]:
        say(f"training with {name}")
        keras.utils.set_random_seed(seed)
        model, start = Recognizer(tokens.vocabulary_size(), recurrent=recurrent), time.perf_counter()
        train(model, batches["train"], batches["validation"], epochs)
        seconds[name] = time.perf_counter() - start
        rates[name] = word_error_rate(*transcribe(model, batches["test"], tokens.get_vocabulary()))
        print(f"{name:17} {rates[name]:6.1%}   trained in {seconds[name]:.0f} s", flush=True)
        if recurrent is nmt.GRU:
            draw(model, list(batches["test"])[-1][0], tokens.get_vocabulary(), output)
    if results is not None:
        settings = {"corpus": corpus, "sentences": sentences, "epochs": epochs, "seed": seed}
        write_results(results, settings, {"word_error_rate": rates, "seconds": seconds})


if __name__ == "__main__":
    try:
        typer.run(main)
    except nmt.UserError as error:
        say(error)
        sys.exit(2)
