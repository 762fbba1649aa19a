"""The minimal gated recurrent unit whose gates do not read the state, as a cell and over a sequence."""

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from nmt.layers.affine import AffineCell, AffineEquations, AffineRecurrent
from nmt.layers.gated import GatedCell
from nmt.layers.scan import LOG_OF_ZERO, log_space_scan


@keras.saving.register_keras_serializable("nmt")
class MinGRUCell(AffineCell):
    """One step of the minimal GRU (Feng et al. 2024, section 3.1 and appendix B).

        z  = sigmoid(x W_z + b_z)
        h' = (1 - z) * h + z * g(x W_h + b_h),      g(v) = v + 0.5 where v >= 0, else sigmoid(v)

    Neither the gate nor the candidate reads the state, so that all steps of a sequence can be made at once; g keeps the
    candidate above zero, so that this can be done with logarithms.

    Args:
        units: width of the state.
        layer_normalization: whether the sums of gate and candidate are each normalised over the units and multiplied
            by a learnt scale before the bias is added (Ba et al. 2016).
        kernel_initializer: of the weights of the inputs.
        bias_initializer: of the bias.
        longest_memory: steps that the state is kept at most before training; see `GatedCell`.

    Call arguments:
        inputs: `[batch, features]`.
        states: the state `[batch, units]`, alone or in a list, as `keras.layers.RNN` gives it.

    Returns:
        The new state, and a list that holds it.

    Example:

    >>> state, _ = MinGRUCell(3)(tf.ones((2, 5)), [tf.zeros((2, 3))])
    >>> tuple(state.shape)
    (2, 3)

    Reference:
        [Feng et al. 2024](https://arxiv.org/abs/2410.01201).
    """

    gates: ClassVar[int] = 2
    keeps: ClassVar[tuple[int, ...]] = (-1, 0)

    @property
    def equations(self) -> "MinGRUStep":
        """One step."""
        return MinGRUStep()


@keras.saving.register_keras_serializable("nmt")
class MinGRU(AffineRecurrent):
    """`MinGRUCell` over a sequence, all steps at once; see `Recurrent` for how it is called and what it returns.

    Args:
        units: width of the state.
        **kwargs: those of `MinGRUCell`: `layer_normalization`, the initializers and `longest_memory`; and those of
            `Recurrent`: `return_sequences`, `return_state`, `go_backwards`, `dropout`, `variational_dropout`,
            `compile_loops`, `seed`.

    Example:

    >>> states, last = MinGRU(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))
    """

    cell_class: ClassVar[type[GatedCell]] = MinGRUCell
    cell: MinGRUCell


@dataclass(frozen=True)
class MinGRUStep(AffineEquations):
    """The step of `MinGRUCell`; the input products are those of z and of the candidate, side by side."""

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `AffineEquations.coefficients`."""
        of_gate, of_candidate = tf.split(projected, 2, -1)
        candidate = tf.where(of_candidate >= 0, of_candidate + 0.5, tf.sigmoid(of_candidate))
        return tf.sigmoid(-of_gate), tf.sigmoid(of_gate) * candidate

    def scan(
        self, projected: tf.Tensor, initial: tf.Tensor, mask: tf.Tensor | None, jit_compile: bool = False
    ) -> tf.Tensor:
        """See `AffineEquations.scan`."""
        of_gate, of_candidate = tf.split(projected, 2, -1)
        log_candidate = tf.where(
            of_candidate >= 0, tf.math.log(tf.nn.relu(of_candidate) + 0.5), tf.math.log_sigmoid(of_candidate)
        )
        log_a, log_b = tf.math.log_sigmoid(-of_gate), tf.math.log_sigmoid(of_gate) + log_candidate
        if mask is not None:
            real = mask[..., None]
            log_a, log_b = tf.where(real, log_a, 0), tf.where(real, log_b, LOG_OF_ZERO)
        return log_space_scan(log_a, log_b, initial, jit_compile)
