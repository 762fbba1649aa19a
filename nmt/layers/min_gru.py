"""The minimal gated recurrent unit, whose gate does not depend on the state: the cell, the layer, and the equations."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.linear_recurrence import LinearCell, LinearEquations, LinearRecurrent
from nmt.layers.recurrent import RecurrentCell
from nmt.layers.scan import LOG_OF_ZERO, log_space_scan
from nmt.layers.seeds import Initializer, derive_seed


@keras.saving.register_keras_serializable("nmt")
class MinGRUCell(LinearCell):
    """One step of the minimal GRU (Feng et al. 2024, section 3.1 and appendix B).

        z  = sigmoid(x W_z + b_z)
        h' = (1 - z) * h + z * g(x W_h + b_h),      g(v) = v + 0.5 where v >= 0, else sigmoid(v)

    Neither the gate nor the candidate depends on the state, so that all steps of a sequence can be computed at once; g
    keeps the candidate above zero, so that this can be done with logarithms.

    Args:
        units: int, width of the state.
        layer_normalization: bool, whether the pre-activations of gate and candidate are each normalised over the units
            and multiplied by a learnt scale before the bias is added (Ba et al. 2016).
        kernel_initializer: initializer of the weights that multiply the inputs.
        bias_initializer: initializer of the biases.
        longest_memory: int or None, the most steps that a unit retains its state before training (the chrono
            initialisation); see `RecurrentCell`.
        seed: int or None, from which initializers given by name draw; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float `[batch, features]`.
        states: the state, float `[batch, units]`, alone or in a list, as `keras.layers.RNN` gives it.

    Returns:
        The new state, float `[batch, units]`, and a list that contains it.

    Example:

    >>> state, _ = MinGRUCell(3)(tf.ones((2, 5)), [tf.zeros((2, 3))])
    >>> tuple(state.shape)
    (2, 3)

    Reference:
        [Feng et al. 2024](https://arxiv.org/abs/2410.01201).
    """

    num_gates: ClassVar[int] = 2
    retention_signs: ClassVar[tuple[int, ...]] = (-1, 0)

    def __init__(
        self,
        units: int,
        layer_normalization: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        longest_memory: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, layer_normalization, kernel_initializer, bias_initializer, longest_memory, seed, **kwargs
        )

    @property
    def equations(self) -> "MinGRUEquations":
        """The equations of one step."""
        return MinGRUEquations()


@keras.saving.register_keras_serializable("nmt")
class MinGRU(LinearRecurrent):
    """`MinGRUCell` over a sequence, all steps at once (Feng et al. 2024).

        z_t = sigmoid(x_t W_z + b_z)
        h_t = (1 - z_t) * h_(t-1) + z_t * g(x_t W_h + b_h),      g(v) = v + 0.5 where v >= 0, else sigmoid(v)

    Args:
        units: int, width of the state.
        return_sequences: bool, whether the outputs of all steps are returned, or only the last one.
        return_state: bool, whether the last state is returned too.
        go_backwards: bool, whether the sequence is read from its end; outputs are then returned in that order.
        dropout: float, share of the inputs dropped, drawn anew at each step.
        recurrent_dropout: float, only 0, as no product reads the state; all recurrent layers have this argument.
        variational_dropout: bool, whether `dropout` is drawn once for all steps of a sequence.
        layer_normalization: bool, whether each gate's pre-activation is normalised; see `MinGRUCell`.
        kernel_initializer: initializer of the weights that multiply the inputs.
        bias_initializer: initializer of the biases.
        longest_memory: int or None, the most steps that a unit retains its state before training (the chrono
            initialisation); see `RecurrentCell`.
        compile_loops: bool, whether in training XLA compiles the scan over time; see `Recurrent`.
        seed: int or None, from which dropout and the initializers given by name draw; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        sequence: float `[batch, time, features]`.
        initial_state: float `[batch, units]`, alone or in a list; zeros by default.
        mask: boolean `[batch, time]`, True where a step is real; a padded step leaves the state as it was.
        training: bool, whether dropout is applied.

    Returns:
        Outputs, float `[batch, time, units]` or `[batch, units]`; with `return_state`, followed by the last state.

    Example:

    >>> states, last = MinGRU(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))

    Reference:
        [Feng et al. 2024](https://arxiv.org/abs/2410.01201).
    """

    cell_class: ClassVar[type[RecurrentCell]] = MinGRUCell
    cell: MinGRUCell

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational_dropout: bool = False,
        layer_normalization: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        longest_memory: int | None = None,
        compile_loops: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        cell = MinGRUCell(
            units,
            layer_normalization=layer_normalization,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            longest_memory=longest_memory,
            seed=derive_seed(seed, "cell", go_backwards),
            dtype=kwargs.get("dtype"),
            name="cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            variational_dropout=variational_dropout,
            compile_loops=compile_loops,
            seed=seed,
            **kwargs,
        )


@dataclass(frozen=True)
class MinGRUEquations(LinearEquations):
    """The step of `MinGRUCell`; the input products are those of z and of the candidate, side by side.

    Example:

    >>> MinGRUEquations().step(tf.zeros((1, 2)), (tf.ones((1, 1)),), (), None).states[0].numpy().tolist()
    [[0.75]]
    """

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `LinearEquations.coefficients`."""
        gate, candidate = tf.split(projected, 2, -1)
        positive = tf.where(candidate >= 0, candidate + 0.5, tf.sigmoid(candidate))
        return tf.sigmoid(-gate), tf.sigmoid(gate) * positive

    def scan(
        self, projected: tf.Tensor, initial: tf.Tensor, mask: tf.Tensor | None, jit_compile: bool = False
    ) -> tf.Tensor:
        """See `LinearEquations.scan`."""
        gate, candidate = tf.split(projected, 2, -1)
        log_candidate = tf.where(
            candidate >= 0, tf.math.log(tf.nn.relu(candidate) + 0.5), tf.math.log_sigmoid(candidate)
        )
        log_a, log_b = tf.math.log_sigmoid(-gate), tf.math.log_sigmoid(gate) + log_candidate
        if mask is not None:
            real = mask[..., None]
            log_a, log_b = tf.where(real, log_a, 0), tf.where(real, log_b, LOG_OF_ZERO)
        return log_space_scan(log_a, log_b, initial, jit_compile)
