"""A small network for the tasks of memory: one recurrent layer, and an answer."""

import random
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nmt.analysis.tasks import Task
from nmt.layers.cells import CELLS


class MemoryNetwork(keras.Model):
    """One recurrent layer, and an answer from its outputs at the last steps.

    Args:
        cell: a name of `CELLS`.
        units: width of its states.
        task: what it answers.
        chrono: the longest distance that its gates are made for, see `chrono_bias`; its usual biases if absent.
        seed: of all its initial weights.

    Call arguments:
        inputs: `[batch, time, features]`.

    Returns:
        Predictions, `[batch, answers, outputs]`.
    """

    def __init__(self, cell: str, units: int, task: Task, seed: int, chrono: int | None = None) -> None:
        super().__init__(name="memory_network")
        self.task = task
        before = random.getstate()
        random.seed(seed)  # from which Keras draws the seeds of initializers
        try:
            self.recurrent = CELLS[cell](units, return_sequences=True, compile_loops=True, name=cell)
            self.answer = keras.layers.Dense(task.outputs, name="answer")
            self(tf.zeros((1, task.length(1), task.features)))
        finally:
            random.setstate(before)
        if chrono is not None and cell in _GATES:
            bias = self.recurrent.cell.bias
            bias.assign(chrono_bias(cell, bias.numpy(), chrono, np.random.default_rng(seed)))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Reads sequences; see the class."""
        return self.answer(self.recurrent(inputs, training=training)[:, -self.task.answers :])


# Which parts of the bias, counted in units, let a state go on for the more steps the higher (+) or lower (-) they are.
_GATES = {"gru": {0: -1}, "min_gru": {0: -1}, "ssru": {0: 1}, "lstm": {0: -1, 1: 1}}


def chrono_bias(cell: str, bias: Any, longest: int, generator: np.random.Generator) -> Any:
    """Biases with which each unit keeps its state for a time of its own, of 1 to `longest` steps.

    That is the chrono initialisation (Tallec and Ollivier 2018, section 2): log(u), u uniform from 1 to `longest` - 1,
    for a gate that keeps (f of the LSTM and the SSRU), its negative for one that lets in (z of the GRU and the minimal
    GRU, i of the LSTM).

    Args:
        cell: a name of `CELLS`, which has gates.
        bias: that the cell begins with, `[gates * units]`.
        longest: see above, at least 2.
        generator: of the times.
    """
    gates = CELLS[cell].cell_class.gates
    parts = np.split(np.asarray(bias), gates)
    times = np.log(generator.uniform(1, max(longest, 2) - 1, parts[0].shape))
    return np.concatenate([_GATES[cell][i] * times if i in _GATES[cell] else part for i, part in enumerate(parts)])
