"""The traditional recurrent network (Elman 1990), as a cell and over a sequence."""

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from nmt.layers.gated import GatedCell, GatedRecurrent, normalize_gates, normalize_gates_gradient
from nmt.layers.normalization import Normalized
from nmt.layers.recurrence import BackStep, Step, Tensors, over_all_steps, visible_state


@keras.saving.register_keras_serializable("nmt")
class SimpleRNNCell(GatedCell):
    """One step of a traditional recurrent network (Elman 1990), which has no gates.

        h' = tanh(x W + h U + b)

    It is `keras.layers.SimpleRNNCell`. Its gradient shrinks or grows from step to step by the same matrix, so that it
    vanishes or explodes over long distances (Bengio et al. 1994); `nmt gradients` shows it.

    Args:
        units: width of the state.
        layer_normalization: whether the sum is normalised over the units and multiplied by a learnt scale before the
            bias is added (Ba et al. 2016).
        kernel_initializer: of the weights of the inputs.
        recurrent_initializer: of the weights of the state.
        bias_initializer: of the bias.

    Call arguments:
        inputs: `[batch, features]`.
        states: the state `[batch, units]`, alone or in a list, as `keras.layers.RNN` gives it.

    Returns:
        The new state, and a list that holds it.

    Example:

    >>> state, _ = SimpleRNNCell(3)(tf.ones((2, 5)), [tf.zeros((2, 3))])
    >>> tuple(state.shape)
    (2, 3)

    Reference:
        [Elman 1990](https://doi.org/10.1207/s15516709cog1402_1).
    """

    gates: ClassVar[int] = 1
    keeps: ClassVar[tuple[int, ...]] = (0,)

    @property
    def equations(self) -> "TanhStep":
        """One step."""
        return TanhStep(self.units, self.layer_normalization, self.compute_dtype)


@keras.saving.register_keras_serializable("nmt")
class SimpleRNN(GatedRecurrent):
    """`SimpleRNNCell` over a sequence; see `Recurrent` for how it is called and what it returns.

    Args:
        units: width of the state.
        **kwargs: those of `SimpleRNNCell`: `layer_normalization` and the initializers; and those of `Recurrent`:
            `return_sequences`, `return_state`, `go_backwards`, `dropout`, `recurrent_dropout`, `compile_loops`, `seed`.

    Example:

    >>> states, last = SimpleRNN(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))
    """

    cell_class: ClassVar[type[GatedCell]] = SimpleRNNCell
    cell: SimpleRNNCell


@dataclass(frozen=True)
class TanhStep:
    """h' = tanh(a + (d h) U), with `a` the input products and `d` the dropout mask of the state.

    With layer normalisation the sum is normalised, scaled and shifted before the activation. The weights are the
    kernel, `[units, units]`, and with layer normalisation scale and bias, `[units]`.

    Args:
        units: width of the state.
        layer_normalization: see above.
        product_dtype: precision of the products after the loop that make the weights' gradients.
    """

    units: int
    layer_normalization: bool = False
    product_dtype: str = "float32"

    @property
    def saved_widths(self) -> list[int]:
        """That of the new state and, with layer normalisation, of values and inverse deviation."""
        return [self.units] + ([self.units, 1] if self.layer_normalization else [])

    @property
    def sum_widths(self) -> list[int]:
        """That of the sum; with layer normalisation, before and after it."""
        return [self.units] * (2 if self.layer_normalization else 1)

    def advance(self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None) -> Step:
        """See `Equations.advance`."""
        kernel, *normalization = weights
        values = projected + tf.matmul(visible_state(states[0], dropout_mask), kernel)
        kept: Tensors = ()
        if self.layer_normalization:
            kept = normalize_gates(values, 1)
            values = kept[0] * normalization[0] + normalization[1]
        new = tf.tanh(values)
        return Step((new,), (new, *kept))

    def transposed(self, weights: Tensors) -> Tensors:
        """The kernel, and the scale as it is."""
        return tf.transpose(weights[0]), *weights[1:2]

    def retreat(
        self, d_states: Tensors, states: Tensors, saved: Tensors, transposed: Tensors, dropout_mask: tf.Tensor | None
    ) -> BackStep:
        """See `DifferentiatedEquations.retreat`."""
        (new, *kept), (kernel_t, *scale) = saved, transposed
        d_values = d_states[0] * (1 - new * new)
        d_sum = normalize_gates_gradient(d_values * scale[0], Normalized(*kept)) if kept else d_values
        d_before = visible_state(tf.matmul(d_sum, kernel_t), dropout_mask)
        return BackStep((d_before,), (d_sum, d_values) if kept else (d_sum,))

    def weight_gradients(
        self, sums: Tensors, states: Tensors, saved: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> list[tf.Tensor]:
        """See `DifferentiatedEquations.weight_gradients`."""
        gradients = [over_all_steps(visible_state(states[0], dropout_mask), sums[0], self.product_dtype)]
        if self.layer_normalization:
            gradients += [tf.reduce_sum(sums[1] * saved[1], (0, 1)), tf.reduce_sum(sums[1], (0, 1))]
        return gradients
