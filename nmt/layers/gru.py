"""The gated recurrent unit to the equations of the article, as a cell and over a sequence."""

from typing import Any

import keras
import tensorflow as tf

from nmt.layers.cudnn import cudnn_gru, has_cudnn
from nmt.layers.gru_equations import ResetAfter, ResetBefore
from nmt.layers.recurrence import Options, Tensors
from nmt.layers.recurrent import Recurrent, RecurrentCell, multiply


@keras.saving.register_keras_serializable("nmt")
class GRUCell(RecurrentCell):
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

    def __init__(
        self,
        units: int,
        layer_normalization: bool = False,
        reset_after: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        if layer_normalization and reset_after:
            raise ValueError("GRUCell: expected `layer_normalization` or `reset_after`, got both")
        super().__init__(units, **kwargs)
        self.layer_normalization = layer_normalization
        self.reset_after = reset_after
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights; the gates lie side by side as z, r, h."""
        units = self.units

        def add(name: str, shape: tuple[int | None, ...], initializer: Any) -> Any:
            # In half precision Keras would round them all; only the inputs' products are made in it.
            return self.add_weight(shape=shape, initializer=initializer, name=name, autocast=False)

        self.kernel = add("kernel", (input_shape[-1], 3 * units), self.kernel_initializer)
        self.recurrent_kernel = add("recurrent_kernel", (units, 3 * units), self.recurrent_initializer)
        self.bias = add("bias", (3 * units,), self.bias_initializer)
        if self.layer_normalization:
            self.scale = add("scale", (3 * units,), "ones")
        if self.reset_after:
            self.candidate_bias = add("candidate_bias", (units,), self.bias_initializer)

    @property
    def equations(self) -> ResetBefore | ResetAfter:
        """One step."""
        if self.reset_after:
            return ResetAfter(self.units, self.compute_dtype)
        return ResetBefore(self.units, self.layer_normalization, self.compute_dtype)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """The input products of any number of steps, `[..., features]` to `[..., 3 * units]`.

        The bias is added here unless layer normalisation comes between.
        """
        projected = multiply(inputs, self.kernel, self.compute_dtype)
        return projected if self.layer_normalization else projected + tf.cast(self.bias, projected.dtype)

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
        return super().get_config() | {
            "layer_normalization": self.layer_normalization,
            "reset_after": self.reset_after,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@keras.saving.register_keras_serializable("nmt")
class GRU(Recurrent):
    """`GRUCell` over a sequence; see `Recurrent` for how it is called and what it returns.

    With `reset_after`, on a GPU and where XLA compiles neither the whole nor the loop, it takes cuDNN's kernel.

    Args:
        units: width of the state.
        layer_normalization: see `GRUCell`.
        reset_after: see `GRUCell`.
        kernel_initializer: of the weights of the inputs.
        recurrent_initializer: of the weights of the state.
        bias_initializer: of the bias.
        **kwargs: those of `Recurrent`: `return_sequences`, `return_state`, `go_backwards`, `dropout`,
            `recurrent_dropout`, `compile_loops`, `seed`.

    Example:

    >>> states, last = GRU(4, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)))
    >>> tuple(states.shape), tuple(last.shape)
    ((2, 7, 4), (2, 4))
    """

    cell: GRUCell

    def __init__(
        self,
        units: int,
        layer_normalization: bool = False,
        reset_after: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        cell = GRUCell(
            units,
            layer_normalization=layer_normalization,
            reset_after=reset_after,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            dtype=dtype,
            name="cell",
        )
        super().__init__(cell, dtype=dtype, **kwargs)

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
