"""A recurrent cell of your own: its equations, and then a translator made of it, trained, searched and exported.

    python examples/new_cell.py

The cell is the minimal gated unit (Zhou et al. 2016, arXiv:1603.09420), a GRU whose two gates are one. The translator
writes numbers in words, `1 2 0 4` as `one thousand two hundred four`. The same model of `nmt.GRU` is its baseline.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf
import typer
from matplotlib.figure import Figure
from results import write_results

import nmt


class MGUEquations(NamedTuple):
    """f = sigmoid(x W_f + h U_f + b_f),  h~ = tanh(x W + (f * h) U + b),  h' = (1 - f) * h + f * h~.

    TensorFlow differentiates them. Only to train faster, they could have a gradient written by hand as well.
    """

    residual_widths: Sequence[int] = ()

    def step(self, projected: tf.Tensor, states: Sequence[tf.Tensor], weights: Sequence[tf.Tensor], mask: Any) -> Any:
        """Computes one step from the products of the inputs, which are side by side, biases included."""
        (state,), (kernel,) = states, weights
        visible = state if mask is None else state * mask  # recurrent dropout hides units from the products
        (x_gate, x_candidate), (u_gate, u_candidate) = (tf.split(values, 2, 1) for values in (projected, kernel))
        gate = tf.sigmoid(x_gate + visible @ u_gate)
        candidate = tf.tanh(x_candidate + (gate * visible) @ u_candidate)
        return nmt.StepResult((state + gate * (candidate - state),))


@keras.saving.register_keras_serializable("examples")
class MGUCell(nmt.RecurrentCell):
    """One step of the minimal gated unit; its weights come from the base class."""

    num_gates: ClassVar[int] = 2  # the candidate counts
    retention_signs: ClassVar[tuple[int, ...]] = (-1, 0)  # a larger bias of the gate shortens the memory
    equations = MGUEquations()


@keras.saving.register_keras_serializable("examples")
class MGU(nmt.Recurrent):
    """`MGUCell` over a sequence; the arguments are those of `nmt.RecurrentCell` and `nmt.Recurrent`."""

    cell_class = MGUCell

    def __init__(
        self, units: int, layer_normalization: bool = False, seed: int | None = None, **arguments: Any
    ) -> None:
        if layer_normalization:
            raise ValueError("MGU: expected no `layer_normalization`, which its equations do not have")
        names = ("kernel_initializer", "recurrent_initializer", "bias_initializer", "longest_memory")
        of_cell = {name: arguments.pop(name) for name in names if name in arguments}
        # The two directions of an encoder have the same seed, and begin with different weights.
        drawn = None if seed is None else 2 * seed + bool(arguments.get("go_backwards"))
        cell = MGUCell(units, seed=drawn, dtype=arguments.get("dtype"), name="cell", **of_cell)
        super().__init__(cell, seed=seed, **arguments)


nmt.CELLS["mgu"] = MGU  # now `cell="mgu"` and the setting `model.cell: mgu` select it

ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
TOKENS = ["<pad>", "<unknown>", "<begin>", "<end>", *"0123456789", *ONES, *TENS[2:], "hundred", "thousand"]
END = TOKENS.index("<end>")
CELLS = ("mgu", "gru")  # what is compared


def in_words(number: int) -> str:
    """Writes a number below a million in English.

    >>> in_words(1204)
    'one thousand two hundred four'
    """
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {in_words(number % size)}" if number % size else ""
            return f"{in_words(number // size)} {name}{rest}"
    if number < 20:
        return ONES[number]
    return TENS[number // 10] + (f" {ONES[number % 10]}" if number % 10 else "")


def encode(texts: Sequence[str]) -> np.ndarray:
    """Returns the ids of the texts' tokens, int32 `[texts, time]`, closed by the end mark and padded with zeros."""
    return keras.utils.pad_sequences([[*map(TOKENS.index, text.split()), END] for text in texts], padding="post")


def make_pairs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of different numbers of up to six digits, and of their words."""
    generator = np.random.default_rng(seed)
    numbers = list(dict.fromkeys(int(10**power) for power in generator.uniform(0, 6, 3 * count)))[:count]
    return encode([" ".join(str(number)) for number in numbers]), encode([in_words(number) for number in numbers])


def search(model: nmt.Seq2Seq, source: tf.Tensor) -> tf.Tensor:
    """Searches the most likely translation of each row, int32 `[batch, time]`."""
    return nmt.beam_search(model, source, beam_size=4).ids[:, 0]


def right(found: np.ndarray, target: np.ndarray) -> float:
    """Returns the share of rows that are right to the last token, however they are padded."""
    rows = [[[id for id in row if id] for row in ids] for ids in (found, target)]
    return float(np.mean([one == other for one, other in zip(*rows, strict=True)]))


def train(cell: str, seed: int, pairs: tuple[np.ndarray, np.ndarray], held_out: int, epochs: int, units: int) -> Any:
    """Trains a translator; returns it, its validation losses, and the share of right translations."""
    source, target = pairs
    model = nmt.Seq2Seq(
        len(TOKENS), units, num_layers=1, cell=cell, attention="dot", layer_normalization=False, seed=seed
    )
    rate = keras.optimizers.schedules.CosineDecay(0.01, epochs * -(-(len(source) - held_out) // 64))
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0))
    test = source[-held_out:], target[-held_out:]
    model.fit(source[:-held_out], target[:-held_out], 64, epochs, verbose=0, validation_data=test)
    found = tf.function(lambda rows: search(model, rows), autograph=False)(tf.constant(test[0]))
    return model, model.history.history["val_loss"], right(found.numpy(), test[1])


def export(model: nmt.Seq2Seq, folder: Path) -> None:
    """Writes the model as a Keras file, and its search as a SavedModel, which needs neither this file nor `nmt`."""
    model.save(folder / "translator.keras")
    archive = keras.export.ExportArchive()
    archive.track(model)
    rows = tf.TensorSpec((None, None), tf.int32)
    archive.add_endpoint("translate", lambda source: search(model, source), [rows])
    archive.write_out(str(folder / "saved_model"), verbose=False)


def answers_alike(model: nmt.Seq2Seq, source: np.ndarray, folder: Path) -> bool:
    """Exports the model, and returns whether both exports translate as it does."""
    export(model, folder)
    wanted = search(model, tf.constant(source)).numpy()
    loaded = search(keras.saving.load_model(folder / "translator.keras"), tf.constant(source)).numpy()
    saved_model = tf.saved_model.load(str(folder / "saved_model"))
    served = saved_model.translate(tf.constant(source)).numpy()
    return bool(np.array_equal(wanted, loaded) and np.array_equal(wanted, served))


def main(
    seeds: Annotated[int, typer.Option(min=1, help="number of trainings of each cell")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="training epochs")] = 12,
    count: Annotated[int, typer.Option(min=20, help="numbers; a tenth of them is for testing")] = 4000,
    units: Annotated[int, typer.Option(min=1, help="width of the states")] = 64,
    output: Annotated[Path, typer.Option(help="PNG file to write")] = Path("new_cell.png"),
    results: Annotated[Path | None, typer.Option(help="JSON file to write the figures to")] = None,
) -> None:
    """Train a translator of a new cell and one of the GRU, compare them, and export the first."""
    losses: dict[str, list[list[float]]] = {cell: [] for cell in CELLS}
    shares: dict[str, list[float]] = {cell: [] for cell in CELLS}
    weights, held_out = {}, count // 10
    for seed in range(seeds):
        pairs = make_pairs(count, seed)
        for cell in CELLS:
            print(f"training {cell}, {seed + 1} of {seeds}", file=sys.stderr, flush=True)
            model, loss, share = train(cell, seed, pairs, held_out, epochs, units)
            losses[cell].append(loss)
            shares[cell].append(share)
            weights[cell] = sum(layer.count_params() for layer in model.recurrent_layers())
            if cell == "mgu" and seed == 0:
                with tempfile.TemporaryDirectory() as folder:
                    alike = answers_alike(model, pairs[0][-20:], Path(folder))
    print(f"{held_out} numbers that are not in training; mean, least and most of {seeds} seeds")
    for cell, each in shares.items():
        print(f"{cell}: {weights[cell]:,} weights, right {np.mean(each):.1%} {min(each):.1%} {max(each):.1%}")
    print(f"exports translate as the model does: {'yes' if alike else 'no'}")
    axes = (figure := Figure(figsize=(6, 3.4), layout="constrained")).subplots()
    for (cell, curves), style in zip(losses.items(), ("-", "--"), strict=False):
        for curve in curves:
            axes.plot(range(1, epochs + 1), curve, style, color="C0" if cell == "mgu" else "C1", label=cell)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(handles.values(), handles)
    axes.set(xlabel="epoch", ylabel="validation loss of a token", yscale="log")
    axes.grid(alpha=0.3)
    figure.savefig(output, dpi=90)
    if results is not None:
        settings = {"seeds": seeds, "epochs": epochs, "count": count, "units": units}
        figures = {"right": shares, "weights": weights, "losses": losses, "exports_alike": alike}
        write_results(results, settings, figures)
    print(f"wrote {output}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
