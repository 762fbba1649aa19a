"""What the cells share that are made of sums for several gates: their weights and options, and the layer over time."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.normalization import Normalized, normalize, normalize_gradient
from nmt.layers.recurrence import Tensors
from nmt.layers.recurrent import Recurrent, RecurrentCell, multiply


class GatedCell(RecurrentCell):
    """A cell whose sums are one product of the inputs, and perhaps one of the state, for all gates side by side.

    Args:
        units: width of the state.
        layer_normalization: whether each gate's sum is normalised over the units and multiplied by a learnt scale
            before its bias is added (Ba et al. 2016).
        kernel_initializer: of the weights of the inputs.
        recurrent_initializer: of the weights of the state.
        bias_initializer: of the bias.
        longest_memory: if given, the gates' biases begin so that each unit keeps its state for a time of its own, of 2
            to so many steps: before training, and where inputs and state say nothing, it forgets a share 1 / (1 + u)
            at each step, u ~ uniform(1, longest_memory - 1). `bias_initializer` is then for the other biases alone.

    Reference:
        [Tallec and Ollivier 2018](https://arxiv.org/abs/1804.11188), section 2.
    """

    # Arguments besides `units`, which the layer over time hands on.
    options: ClassVar[tuple[str, ...]] = (
        "layer_normalization", "kernel_initializer", "recurrent_initializer", "bias_initializer", "longest_memory",
    )  # fmt: skip
    gates: ClassVar[int]  # sums of `units` each, made of the inputs
    reads_state: ClassVar[bool] = True  # whether the sums are made of the state too
    # Of each sum: whether it opens a gate that keeps the state (1), one that writes to it (-1), or neither (0).
    keeps: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        units: int,
        layer_normalization: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        longest_memory: int | None = None,
        **kwargs: Any,
    ) -> None:
        if longest_memory is not None and (longest_memory < 2 or not any(self.keeps)):
            expected = "to be at least 2" if any(self.keeps) else "of a cell with gates alone"
            raise ValueError(f"{type(self).__name__}: expected `longest_memory` {expected}, got {longest_memory!r}")
        super().__init__(units, **kwargs)
        self.layer_normalization = layer_normalization
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.longest_memory = longest_memory

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights; the gates lie side by side."""
        width = self.gates * self.units
        self.kernel = self.add_float("kernel", (input_shape[-1], width), self.kernel_initializer)
        if self.reads_state:
            self.recurrent_kernel = self.add_float("recurrent_kernel", (self.units, width), self.recurrent_initializer)
        self.bias = self.add_float("bias", (width,), self.initial_bias)
        if self.layer_normalization:
            self.scale = self.add_float("scale", (width,), "ones")

    def initial_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """The bias of all gates before training."""
        biases = self.bias_initializer(shape, dtype=dtype)
        if self.longest_memory is None:
            return biases
        draw = keras.initializers.RandomUniform(1.0, self.longest_memory - 1.0)
        kept = tf.math.log(draw((self.units,), dtype=dtype))
        by_gate = zip(self.keeps, tf.split(biases, self.gates), strict=True)
        return tf.concat([keeps * kept if keeps else bias for keeps, bias in by_gate], 0)

    def add_float(self, name: str, shape: tuple[int | None, ...], initializer: Any) -> Any:
        """Adds a weight that stays in its precision.

        In half precision Keras would round them all; only the inputs' products are made in it.
        """
        return self.add_weight(shape=shape, initializer=initializer, name=name, autocast=False)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """The input products of any number of steps, `[..., features]` to `[..., gates * units]`.

        The bias is added here unless layer normalisation comes between; where the sums are made of the inputs alone,
        that is done here too.
        """
        projected = multiply(inputs, self.kernel, self.compute_dtype)
        if self.layer_normalization:
            if self.reads_state:
                return projected
            projected = tf.cast(projected, self.state_dtype)
            return normalize_gates(projected, self.gates).values * self.scale + self.bias
        return projected + tf.cast(self.bias, projected.dtype)

    def recurrent_weights(self) -> Tensors:
        """The state's kernel and, with layer normalisation, scale and bias."""
        if not self.reads_state:
            return ()
        weights = (self.recurrent_kernel, *((self.scale, self.bias) if self.layer_normalization else ()))
        return tuple(tf.convert_to_tensor(weight) for weight in weights)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "layer_normalization": self.layer_normalization,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "longest_memory": self.longest_memory,
        }


class GatedRecurrent(Recurrent):
    """A gated cell over a sequence; see `Recurrent`.

    Args:
        units: width of the state.
        **kwargs: those of the cell, and those of `Recurrent`.
    """

    cell_class: ClassVar[type[GatedCell]]

    def __init__(self, units: int, dtype: Any = None, **kwargs: Any) -> None:
        options = {name: kwargs.pop(name) for name in self.cell_class.options if name in kwargs}
        super().__init__(self.cell_class(units, dtype=dtype, name="cell", **options), dtype=dtype, **kwargs)


def normalize_gates(sums: tf.Tensor, gates: int) -> Normalized:
    """`normalize` for each gate by itself, `[..., gates * units]`; the inverse deviations are `[..., gates]`."""
    normalized = normalize(_by_gate(sums, gates))
    return Normalized(_side_by_side(normalized.values), normalized.inverse_deviation[..., 0])


def normalize_gates_gradient(d_values: tf.Tensor, normalized: Normalized) -> tf.Tensor:
    """The gradient before `normalize_gates`, from the one after it."""
    gates = normalized.inverse_deviation.shape[-1]
    by_gate = Normalized(_by_gate(normalized.values, gates), normalized.inverse_deviation[..., None])
    return _side_by_side(normalize_gradient(_by_gate(d_values, gates), by_gate))


def _by_gate(values: tf.Tensor, gates: int) -> tf.Tensor:
    return tf.reshape(values, tf.concat([tf.shape(values)[:-1], [gates, values.shape[-1] // gates]], 0))


def _side_by_side(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, tf.concat([tf.shape(values)[:-2], [values.shape[-2] * values.shape[-1]]], 0))
