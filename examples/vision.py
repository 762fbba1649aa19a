"""Pictures as sequences: a GRU reads digits row by row, and another one describes drawings with attention.

    python examples/vision.py

classifies the handwritten digits that are part of scikit-learn, compared with logistic regression and a small
convolutional network, and learns to describe pictures of two shapes that it draws itself, with and without attention.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf
import typer
from matplotlib.figure import Figure
from results import write_results
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from vision_data import BEGIN, PART, SIDE, WORDS, drawings, right

import nmt

CAPTIONERS = {"GRU, one vector of the picture": False, "GRU with attention": True}  # whether they attend


def make_reader(units: int) -> tuple[keras.Model, keras.Model]:
    """Builds a classifier of `[8, 8]` pictures that reads rows, and a model of its guesses after each row."""
    rows = keras.Input((8, 8))
    scores = keras.layers.Dense(10)(nmt.GRU(units, return_sequences=True)(rows))
    return keras.Model(rows, scores[:, -1]), keras.Model(rows, keras.layers.Softmax()(scores))


def make_convolutional() -> keras.Model:
    """Builds a small convolutional classifier."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((8, 8)), layers.Reshape((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10),
    ])  # fmt: skip


def fit(model: keras.Model, x: Any, y: np.ndarray, epochs: int) -> None:
    """Trains a model whose outputs are logits, at a learning rate that falls to zero."""
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-len(y) // 32))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss, jit_compile=False)
    model.fit(x, y, 32, epochs, verbose=0)


def classify(seed: int, epochs: int, units: int) -> tuple[dict[str, float], keras.Model]:
    """Trains all classifiers on three quarters of the digits, and returns their accuracies on the others."""
    pictures, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(pictures / 16, labels, random_state=seed, stratify=labels)
    accuracies = {"logistic regression": LogisticRegression(max_iter=1000).fit(train_x, train_y).score(test_x, test_y)}
    reader, guesses = make_reader(units)
    for name, model in (("convolutional network", make_convolutional()), ("GRU, row by row", reader)):
        fit(model, train_x.reshape(-1, 8, 8), train_y, epochs)
        found = model.predict(test_x.reshape(-1, 8, 8), verbose=0).argmax(-1)
        accuracies[name] = float((found == test_y).mean())
    return accuracies, guesses


class Captioner(keras.Model):
    """Convolutions over a picture, and `nmt.Decoder`, whose attention reads the 64 parts of it (Xu et al. 2015).

    Args:
        units: width of all layers.
        attends: whether the decoder reads all parts, or one vector, the mean of them.
    """

    def __init__(self, units: int = 64, attends: bool = True) -> None:
        super().__init__()
        self.attends = attends
        self.convolutions = [keras.layers.Conv2D(units, 3, strides, "same", activation="relu") for strides in (2, 2, 1)]
        self.embedding = nmt.TiedEmbedding(len(WORDS), units)
        self.decoder = nmt.Decoder(units, attention="additive")

    def encode(self, pictures: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the vectors of the parts, their mean, and a mask, for `nmt.Decoder`."""
        place = tf.stack(
            tf.meshgrid(*[tf.linspace(-1.0, 1.0, SIDE)] * 2), -1
        )  # a convolution does not know where it is
        values = tf.concat([pictures, tf.broadcast_to(place, (*tf.unstack(tf.shape(pictures)[:3]), 2))], -1)
        for layer in self.convolutions:
            values = layer(values)
        parts = tf.reshape(values, (-1, (SIDE // PART) ** 2, values.shape[-1]))
        mean = tf.reduce_mean(parts, 1)
        parts = parts if self.attends else mean[:, None]
        return parts, mean, tf.ones(tf.shape(parts)[:2], tf.bool)

    def decode(self, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the logits, and the attention weights, float `[batch, words, parts]`."""
        pictures, target = inputs
        parts, mean, mask = self.encode(pictures)
        shifted = tf.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=BEGIN)
        vectors, weights = self.decoder(self.embedding(shifted), parts, mean, memory_mask=mask)
        return self.embedding(vectors, reverse=True), weights

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Predicts each word of the descriptions from the picture and the words before it."""
        return self.decode(inputs)[0]

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3))])
    def describe(self, pictures: tf.Tensor) -> tf.Tensor:
        """Searches the most likely description of each picture, int32 `[batch, words]`."""
        scorer, limits = PictureScorer(self, pictures), tf.ones((tf.shape(pictures)[0], 1), tf.int32)
        return nmt.beam_search(scorer, limits, beam_size=3, max_length_offset=10).ids[:, 0]


class PictureScorer:
    """Scores the next word of a description, for `nmt.beam_search`."""

    def __init__(self, model: Captioner, pictures: tf.Tensor) -> None:
        self.model, self.pictures, self.decoder_step = model, pictures, model.decoder.stepper()

    def start(self, source: tf.Tensor) -> Any:
        """Looks at the pictures; `source` only limits the lengths."""
        return self.model.decoder.start(*self.model.encode(self.pictures))

    def step(self, tokens: tf.Tensor, state: Any, rows: tf.Tensor | None = None) -> Any:
        """Returns the log-probabilities of the next words, the attention weights, and the new state."""
        vectors, weights, state = self.decoder_step(self.model.embedding(tokens), state)
        vectors = tf.reshape(vectors, (-1, vectors.shape[-1]))
        vectors = vectors if rows is None else tf.gather(vectors, rows)
        return tf.nn.log_softmax(self.model.embedding(vectors, reverse=True)), weights, state


def describe_drawings(seed: int, pictures: int, epochs: int) -> tuple[dict[str, float], Captioner]:
    """Trains both captioners, and returns the shares of right descriptions of 500 new drawings."""
    (x, y), (test_x, test_y) = drawings(pictures, 2 * seed), drawings(500, 2 * seed + 1)
    unique, counts = np.unique(y, axis=0, return_counts=True)
    shares = {"the most frequent description": right(unique[[counts.argmax()] * len(test_y)], test_y)}
    for name, attends in CAPTIONERS.items():
        model = Captioner(attends=attends)
        fit(model, [x, y], y, epochs)
        shares[name] = right(model.describe(test_x).numpy(), test_y)
    return shares, model


def draw(guesses: keras.Model, captioner: Captioner, output: Path) -> None:
    """Draws what the GRU takes a digit for after each row, and what it looks at as it describes a drawing."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    above, below = figure.subfigures(2, squeeze=False)[:, 0]
    digits, labels = load_digits(return_X_y=True)
    panels = above.subplots(1, 6, width_ratios=(1, 1.4) * 3)
    shown = [int(np.flatnonzero(labels == digit)[5]) for digit in (3, 5, 9)]
    for index, (picture, bars) in zip(shown, panels.reshape(3, 2), strict=True):
        picture.imshow(digits[index].reshape(8, 8), cmap="Greys")
        bars.imshow(guesses(digits[index].reshape(1, 8, 8) / 16)[0], cmap="Blues", vmin=0, vmax=1)
        bars.set(xticks=range(10), xlabel="taken for", yticks=[])
    pictures, _ = drawings(1, 123)
    ids = captioner.describe(pictures)
    weights = captioner.decode((pictures, ids))[1][0].numpy().reshape(-1, SIDE // PART, SIDE // PART)
    words = [WORDS[id] for id in ids[0].numpy() if id]
    for panel, word, weight in zip(below.subplots(1, len(words), squeeze=False)[0], words, weights, strict=False):
        panel.imshow(pictures[0], extent=(0, SIDE, SIDE, 0))
        panel.imshow(weight, extent=(0, SIDE, SIDE, 0), cmap="Greys_r", alpha=0.75)
        panel.set(title=word)
    for axes in figure.get_axes():
        axes.tick_params(
            left=False, labelleft=False, bottom=bool(axes.get_xlabel()), labelbottom=bool(axes.get_xlabel())
        )
    figure.savefig(output, dpi=90)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="number of trainings of each network")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="training epochs")] = 30,
    pictures: Annotated[int, typer.Option(min=32, help="number of drawings to learn from")] = 4000,
    units: Annotated[int, typer.Option(min=1, help="width of the GRU that reads digits")] = 64,
    output: Annotated[Path, typer.Option(help="PNG file to write")] = Path("vision.png"),
    results: Annotated[Path | None, typer.Option(help="JSON file to write the figures to")] = None,
) -> None:
    """Classify digits and describe drawings, and compare methods."""
    shares: dict[str, list[float]] = {}
    for seed in range(seeds):
        print(f"training, {seed + 1} of {seeds}", file=sys.stderr, flush=True)
        keras.utils.set_random_seed(seed)
        accuracies, guesses = classify(seed, epochs, units)
        described, captioner = describe_drawings(seed, pictures, max(1, epochs // 3))
        for name, share in (accuracies | described).items():
            shares.setdefault(name, []).append(share)
    print(f"right, of 450 digits and of 500 drawings; mean, least and most of {seeds} seeds")
    for name, each in shares.items():
        print(f"{name:31} {np.mean(each):6.1%} {min(each):6.1%} {max(each):6.1%}")
    draw(guesses, captioner, output)
    if results is not None:
        settings = {"seeds": seeds, "epochs": epochs, "pictures": pictures, "units": units}
        write_results(results, settings, {"right": shares})
    print(f"wrote {output}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
