"""The gated recurrent unit to the equations of the article, as a cell and over a sequence."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.cudnn import cudnn_gru, has_cudnn
from nmt.layers.gated import GatedCell, GatedRecurrent
from nmt.layers.gru_equations import ResetAfter, ResetBefore
from nmt.layers.recurrence import Options, Tensors


@keras.saving.register_keras_serializable("nmt")
class GRUCell(GatedCell):
    """One step of a gated recurrent unit (Cho et al. 2014), the reset gate applied before the product.

        z  = sigmoid(x W_z + h U_z + b_z)
        r  = sigmoid(x W_r + h U_r + b_r)
        h~ = tanh(x W_h + (r * h) U_h + b_h)
        h' = (1 - z) * h + z * h~

    It is `keras.layers.GRUCell(reset_after=False)` with z and 1 - z exchanged: negating the weights of z maps one
    onto the other. With `layer_normalization`, each of the three sums is normalised over the units and multiplied
    by a learnt scale before its bias is added (Ba et al. 2016). With `reset_after`,

        h~ = tanh(x W_h + b_h + r * (h U_h + c))

    Args:
        units: width of the state.
        layer_normalization: whether each gate's pre-activation is normalised.
        reset_after: whether the reset gate is applied after the product; not together with `layer_normalization`.
        kernel_initializer: of the weights of the inputs.
        recurrent_initializer: of the weights of the state.
        bias_initializer: of the bias.
        longest_memory: steps that the state is kept at most before training; see `GatedCell`.

    Call arguments:
        inputs: `[batch, features]`.
        states: the state `[batch, units]`, alone or in a list, as `keras.layers.RNN` gives it.

    Returns:
        The new state, and a list that holds it.

    Example:

    >>> cell = GRUCell(3)
    >>> state, _ = cell(tf.ones((2, 5)), [tf.zeros((2, 3))])
    >>> tuple(state.shape)
    (2, 3)
    >>> tuple(keras.layers.RNN(cell, return_sequences=True)(tf.ones((2, 7, 5))).shape)
    (2, 7, 3)

    Reference:
        [Cho et al. 2014](https://arxiv.org/abs/1406.1078), section 2.3.
    """

    options: ClassVar[tuple[str, ...]] = (*GatedCell.options, "reset_after")
    gates: ClassVar[int] = 3
    keeps: ClassVar[tuple[int, ...]] = (-1, 0, 0)

    def __init__(self, units: int, layer_normalization: bool = False, reset_after: bool = False, **kwargs: Any) -> None:
        if layer_normalization and reset_after:
            raise ValueError("GRUCell: expected `layer_normalization` or `reset_after`, got both")
        super().__init__(units, layer_normalization, **kwargs)
        self.reset_after = reset_after

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights; the gates lie side by side as z, r, h."""
        super().build(input_shape)
        if self.reset_after:
            self.candidate_bias = self.add_float("candidate_bias", (self.units,), self.bias_initializer)

    @property
    def equations(self) -> ResetBefore | ResetAfter:
        """One step."""
        if self.reset_after:
            return ResetAfter(self.units, self.compute_dtype)
        return ResetBefore(self.units, self.layer_normalization, self.compute_dtype)

    def recurrent_weights(self) -> Tensors:
        """See `ResetBefore` and `ResetAfter`."""
        kernel = tf.convert_to_tensor(self.recurrent_kernel)
        if self.reset_after:
            return kernel, tf.convert_to_tensor(self.candidate_bias)
        gates = 2 * self.units
        normalization = (self.scale, self.bias) if self.layer_normalization else ()
        return kernel[:, :gates], kernel[:, gates:], *(tf.convert_to_tensor(weight) for weight in normalization)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"reset_after": self.reset_after}


@keras.saving.register_keras_serializable("nmt")
class GRU(GatedRecurrent):
    """`GRUCell` over a sequence; see `Recurrent` for how it is called and what it returns.

    With `reset_after`, on a GPU and where XLA compiles neither the whole nor the loop, it takes cuDNN's kernel.

    Args:
        units: width of the state.
        reset_after: see `GRUCell`.
        **kwargs: those of `GRUCell`: `layer_normalization`, the initializers and `longest_memory`; and those of
            `Recurrent`: `return_sequences`, `return_state`, `go_backwards`, `dropout`, `recurrent_dropout`,
            `variational_dropout`, `compile_loops`, `seed`.

    Example:

    >>> states, last = GRU(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))
    """

    cell_class: ClassVar[type[GatedCell]] = GRUCell
    cell: GRUCell

    def run(
        self,
        sequence: tf.Tensor,
        states: Tensors,
        mask: tf.Tensor | None,
        dropout_mask: tf.Tensor | None,
        options: Options,
    ) -> tuple[tf.Tensor, Tensors]:
        """See `Recurrent.run`."""
        cell = self.cell
        if cell.reset_after and dropout_mask is None and not options.jit_compile and has_cudnn():
            weights = cell.kernel, cell.recurrent_kernel, cell.bias, cell.candidate_bias
            return cudnn_gru(sequence, states[0], weights, mask, options.reverse)
        return super().run(sequence, states, mask, dropout_mask, options)
