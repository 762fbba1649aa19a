"""The simpler simple recurrent unit, as a cell and over a sequence."""

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from nmt.layers.affine import AffineCell, AffineEquations, AffineRecurrent
from nmt.layers.gated import GatedCell
from nmt.layers.scan import linear_scan


@keras.saving.register_keras_serializable("nmt")
class SSRUCell(AffineCell):
    """One step of the simpler simple recurrent unit (Kim et al. 2019, section 3.1), made for fast decoders.

        f  = sigmoid(x W_f + b_f)
        c' = f * c + (1 - f) * (x W_c + b_c)
        h  = relu(c')

    Its output h is not its state c. The gate does not read the state, so that all steps of a sequence can be made at
    once. The paper has no b_c.

    Args:
        units: width of the state.
        layer_normalization: whether the sums of gate and candidate are each normalised over the units and multiplied
            by a learnt scale before the bias is added (Ba et al. 2016).
        kernel_initializer: of the weights of the inputs.
        bias_initializer: of the bias.
        longest_memory: steps that the state is kept at most before training; see `GatedCell`.

    Call arguments:
        inputs: `[batch, features]`.
        states: the state c, `[batch, units]`, alone or in a list, as `keras.layers.RNN` gives it.

    Returns:
        The output h, and a list that holds the new state.

    Example:

    >>> output, _ = SSRUCell(3)(tf.ones((2, 5)), [tf.zeros((2, 3))])
    >>> tuple(output.shape)
    (2, 3)

    Reference:
        [Kim et al. 2019](https://aclanthology.org/D19-5632).
    """

    gates: ClassVar[int] = 2
    keeps: ClassVar[tuple[int, ...]] = (1, 0)

    @property
    def equations(self) -> "SSRUStep":
        """One step."""
        return SSRUStep()

    def output(self, state: tf.Tensor) -> tf.Tensor:
        """The rectified state."""
        return tf.nn.relu(state)


@keras.saving.register_keras_serializable("nmt")
class SSRU(AffineRecurrent):
    """`SSRUCell` over a sequence, all steps at once; see `Recurrent` for how it is called and what it returns.

    Args:
        units: width of the state.
        **kwargs: those of `SSRUCell`: `layer_normalization`, the initializers and `longest_memory`; and those of
            `Recurrent`: `return_sequences`, `return_state`, `go_backwards`, `dropout`, `variational_dropout`,
            `compile_loops`, `seed`.

    Example:

    >>> outputs, last = SSRU(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(outputs.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))
    """

    cell_class: ClassVar[type[GatedCell]] = SSRUCell
    cell: SSRUCell


@dataclass(frozen=True)
class SSRUStep(AffineEquations):
    """The step of `SSRUCell`; the input products are those of f and of the candidate, side by side."""

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `AffineEquations.coefficients`."""
        of_gate, candidate = tf.split(projected, 2, -1)
        return tf.sigmoid(of_gate), tf.sigmoid(-of_gate) * candidate

    def scan(
        self, projected: tf.Tensor, initial: tf.Tensor, mask: tf.Tensor | None, jit_compile: bool = False
    ) -> tf.Tensor:
        """See `AffineEquations.scan`."""
        a, b = self.coefficients(projected)
        if mask is not None:
            real = mask[..., None]
            a, b = tf.where(real, a, 1), tf.where(real, b, 0)
        return linear_scan(a, b, initial, jit_compile)
