"""A network of one recurrent layer for the tasks in `nmt.analysis.tasks`."""

from typing import Any

import keras
import tensorflow as tf

from nmt.analysis.tasks import Task
from nmt.layers.cells import CELLS
from nmt.layers.simple_rnn import SimpleRNN


class TaskNetwork(keras.Model):
    """One recurrent layer, and a dense layer that reads the answers off its last outputs.

    Args:
        cell: a key of `CELLS`.
        units: width of the states.
        task: the task to learn.
        seed: seed of the initial weights.
        longest_memory: time in steps for which the gates are initialised to retain a state at most (chrono
            initialisation, Tallec and Ollivier 2018); at least 2. None for the cell's usual initialisation. Without
            effect on the traditional network, which has no gates.

    Call arguments:
        inputs: float `[batch, time, features]`.

    Returns:
        Predictions, float `[batch, answers, outputs]`.

    Example:

    >>> from nmt.analysis.tasks import CopyTask
    >>> network = TaskNetwork("gru", units=4, task=CopyTask(symbols=8, remembered=3), seed=1)
    >>> tuple(network(tf.zeros((2, 20, 10))).shape)
    (2, 3, 8)
    """

    def __init__(self, cell: str, units: int, task: Task, seed: int, longest_memory: int | None = None) -> None:
        super().__init__(name="task_network")
        self.task = task
        layer = CELLS[cell]
        options: dict[str, Any] = {} if layer is SimpleRNN else {"longest_memory": longest_memory}
        self.recurrent = layer(units, return_sequences=True, compile_loops=True, seed=seed, name=cell, **options)
        initializer = keras.initializers.GlorotUniform(seed)
        self.readout = keras.layers.Dense(task.num_outputs, kernel_initializer=initializer, name="readout")
        self(tf.zeros((1, task.length(1), task.num_features)))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Predicts the answers; see the class."""
        return self.readout(self.recurrent(inputs, training=training)[:, -self.task.num_answers :])
