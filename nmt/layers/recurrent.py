"""What all recurrent layers share: the cell with its weights and one step, and the cell over a sequence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.dropout import dropout as drop
from nmt.layers.normalization import normalize_gates
from nmt.layers.recurrence import Equations, LoopOptions, Tensors, run_recurrence
from nmt.layers.seeds import Initializer, derive_seed, make_initializer, serialize_initializer

# From the shape [time, batch, units] and the dtype to one tensor of them for each state.
MakeOffsets = Callable[[tf.Tensor, str], Tensors]


class RecurrentCell(keras.layers.Layer):
    """Base class of the cells: their weights, and one step by their equations.

    The pre-activations of all gates lie side by side in one product of the inputs and, unless a cell says otherwise,
    one of the state. A cell defines `num_gates`, `retention_signs` and `equations`; `nmt.layers.simple_rnn` is the
    shortest example.

    Args:
        units: int, width of each state.
        layer_normalization: bool, whether each gate's pre-activation is normalised over the units and multiplied by a
            learnt scale before its bias is added (Ba et al. 2016).
        kernel_initializer: initializer of the weights that multiply the inputs.
        recurrent_initializer: initializer of the weights that multiply the state.
        bias_initializer: initializer of the biases.
        longest_memory: int or None, the chrono initialisation (Tallec and Ollivier 2018, section 2). If given, the
            biases of the gates begin so that each unit retains its state for a time of its own, of 2 to
            `longest_memory` steps: before training and with zero inputs and states, it forgets a share 1 / (1 + u) at
            each step, u ~ uniform(1, longest_memory - 1). `bias_initializer` then only makes the other biases.
        seed: int or None, from which initializers given by name draw; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: float `[batch, features]`.
        states: the states, float `[batch, units]` each, one alone or all in a list, as `keras.layers.RNN` gives them.

    Returns:
        The output, float `[batch, units]`, and a list of the new states.

    Raises:
        ValueError: if `units` is not positive, if `longest_memory` is below 2, or if the cell has no gates for it.

    Example:

    >>> from nmt.layers.gru import GRUCell
    >>> cell = GRUCell(3)
    >>> cell.build((None, 5))
    >>> weights = cell.recurrent_weights()  # read once for many steps
    >>> (state,) = cell.step(tf.ones((2, 5)), (tf.zeros((2, 3)),), weights)
    >>> tuple(cell.output(state).shape)
    (2, 3)

    Reference:
        [Tallec and Ollivier 2018](https://arxiv.org/abs/1804.11188).
    """

    num_states: ClassVar[int] = 1
    num_gates: ClassVar[int]  # pre-activations of `units` each, the candidate's among them
    reads_state: ClassVar[bool] = True  # whether the pre-activations depend on the state
    # For each gate, what a larger bias does to the time that the state is retained: longer 1, shorter -1, neither 0.
    retention_signs: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        units: int,
        layer_normalization: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        longest_memory: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"{name}: expected `units` to be a positive integer, got {units!r}")
        if longest_memory is not None and not any(self.retention_signs):
            raise ValueError(f"{name}: expected no `longest_memory`, as it has no gates, got {longest_memory!r}")
        if longest_memory is not None and longest_memory < 2:
            raise ValueError(f"{name}: expected `longest_memory` to be at least 2, got {longest_memory!r}")
        super().__init__(**kwargs)
        self.units = units
        self.layer_normalization = layer_normalization
        self.kernel_initializer = kernel_initializer
        self.recurrent_initializer = recurrent_initializer
        self.bias_initializer = bias_initializer
        self.longest_memory = longest_memory
        self.seed = seed
        self.state_size = [units] * self.num_states if self.num_states > 1 else units
        self.output_size = units

    @property
    def equations(self) -> Equations:
        """The equations of one step."""
        raise NotImplementedError

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights; the gates lie side by side."""
        width = self.num_gates * self.units
        kernel = make_initializer(self.kernel_initializer, self.seed, "kernel")
        self.kernel = self._add_weight("kernel", (input_shape[-1], width), kernel)
        if self.reads_state:
            recurrent = make_initializer(self.recurrent_initializer, self.seed, "recurrent_kernel")
            self.recurrent_kernel = self._add_weight("recurrent_kernel", (self.units, width), recurrent)
        self.bias = self._add_weight("bias", (width,), self.initial_bias)
        if self.layer_normalization:
            self.scale = self._add_weight("scale", (width,), "ones")

    def initial_bias(self, shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
        """The biases before training.

        Args:
            shape: `(num_gates * units,)`.
            dtype: their precision.

        Returns:
            The biases of all gates, side by side.
        """
        biases = make_initializer(self.bias_initializer, self.seed, "bias")(shape, dtype=dtype)
        if self.longest_memory is None:
            return biases
        seed = derive_seed(self.seed, "longest_memory")
        draw = keras.initializers.RandomUniform(1.0, self.longest_memory - 1.0, seed)
        retention = tf.math.log(draw((self.units,), dtype=dtype))
        by_gate = zip(self.retention_signs, tf.split(biases, self.num_gates), strict=True)
        return tf.concat([sign * retention if sign else bias for sign, bias in by_gate], 0)

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """The input products of any number of steps.

        The bias is added here, unless layer normalisation comes in between. Where the pre-activations depend on the
        inputs alone, they are normalised here too.

        Args:
            inputs: float `[..., features]`.

        Returns:
            Float `[..., num_gates * units]`.
        """
        projected = multiply(inputs, self.kernel, self.compute_dtype)
        if not self.layer_normalization:
            return projected + tf.cast(self.bias, projected.dtype)
        if self.reads_state:
            return projected
        projected = tf.cast(projected, self.state_dtype)
        return normalize_gates(projected, self.num_gates).values * self.scale + self.bias

    def recurrent_weights(self) -> Tensors:
        """The weights that `equations` read: the state's kernel and, with layer normalisation, scale and bias.

        Returns:
            Tensors in the precision of the states; none where the pre-activations do not depend on the state.
        """
        if not self.reads_state:
            return ()
        weights = (self.recurrent_kernel, *((self.scale, self.bias) if self.layer_normalization else ()))
        return tuple(tf.convert_to_tensor(weight) for weight in weights)

    def output(self, state: tf.Tensor) -> tf.Tensor:
        """The output of the cell, from its first state, `[..., units]`: by default the state itself."""
        return state

    @property
    def state_dtype(self) -> str:
        """The precision of the states and of all arithmetic on them: that of the weights.

        In half precision, small updates would be lost over time.
        """
        return self.variable_dtype

    def get_initial_state(self, batch_size: int | tf.Tensor | None = None) -> list[tf.Tensor]:
        """Zeros for each state, `[batch, units]`, in a list."""
        return [tf.zeros((batch_size, self.units), self.state_dtype) for _ in range(self.num_states)]

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor] | tf.Tensor, training: bool | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Computes one step; see the class."""
        states = states if isinstance(states, list | tuple) else [states]
        before = tuple(tf.cast(state, self.state_dtype) for state in states)
        after = self.step(inputs, before, self.recurrent_weights())
        return self.output(after[0]), list(after)

    def step(self, inputs: tf.Tensor, states: Tensors, weights: Tensors) -> Tensors:
        """Computes one step with `recurrent_weights` read once for many steps.

        Args:
            inputs: float `[batch, features]`.
            states: float `[batch, units]` each, in the precision of the states.
            weights: the result of `recurrent_weights`.

        Returns:
            The new states, float `[batch, units]` each.
        """
        projected = tf.cast(self.project(inputs), self.state_dtype)
        return self.equations.step(projected, states, weights, None).states

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {
            "units": self.units,
            "layer_normalization": self.layer_normalization,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
            "recurrent_initializer": serialize_initializer(self.recurrent_initializer),
            "bias_initializer": serialize_initializer(self.bias_initializer),
            "longest_memory": self.longest_memory,
            "seed": self.seed,
        }

    def _add_weight(self, name: str, shape: tuple[int | None, ...], initializer: Any) -> Any:
        """Adds a weight that Keras does not cast: in half precision, only the products of the inputs are computed."""
        return self.add_weight(shape=shape, initializer=initializer, name=name, autocast=False)


def multiply(inputs: tf.Tensor, kernel: tf.Tensor, dtype: str) -> tf.Tensor:
    """The matrix product of the last axis with a kernel.

    Args:
        inputs: float `[..., features]`.
        kernel: float `[features, width]`.
        dtype: precision of the product.

    Returns:
        Float `[..., width]`.

    Example:

    >>> multiply(tf.ones((2, 3, 4)), tf.ones((4, 5)), "float32").shape
    TensorShape([2, 3, 5])
    """
    if inputs.shape.rank == 2:
        return tf.matmul(tf.cast(inputs, dtype), tf.cast(kernel, dtype))
    flat = tf.reshape(inputs, (-1, inputs.shape[-1]))
    product = tf.matmul(tf.cast(flat, dtype), tf.cast(kernel, dtype))
    return tf.reshape(product, tf.concat([tf.shape(inputs)[:-1], [kernel.shape[-1]]], 0))


class Recurrent(keras.layers.Layer):
    """Base class of the recurrent layers: a cell over a sequence.

    The results are those of stepping the cell, computed in the faster way of `nmt.layers.recurrence`. It works inside
    `keras.layers.Bidirectional`. A subclass takes the cell's arguments together with these, and makes the cell.

    Args:
        cell: the `RecurrentCell`.
        return_sequences: bool, whether the outputs of all steps are returned, or only the last one.
        return_state: bool, whether the last states are returned too.
        go_backwards: bool, whether the sequence is read from its end; outputs are then returned in that order.
        dropout: float, share of the inputs dropped, drawn anew at each step.
        recurrent_dropout: float, share of the state hidden from the products, the same units at all steps of a sequence
            (Gal and Ghahramani 2016); the state itself is never dropped.
        variational_dropout: bool, whether `dropout` too is drawn once for all steps of a sequence.
        compile_loops: bool, whether in training XLA compiles the loop over time, once for each shape; it applies in a
            `tf.function` that XLA does not compile as a whole.
        seed: int or None, from which dropout is drawn; None for Keras's default.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        sequence: float `[batch, time, features]`.
        initial_state: float `[batch, units]`, one state alone or all in a list; zeros by default.
        mask: boolean `[batch, time]`, True where a step is real. A padded step leaves the states as they were. By
            default the mask that `sequence` carries, as in Keras's own layers where there is no `initial_state`.
        training: bool, whether dropout is applied. If False, nothing is kept for the hand-written gradient; automatic
            differentiation then gives the same gradient, more slowly.

    Returns:
        Outputs, float `[batch, time, units]` or `[batch, units]`; with `return_state`, followed by the last states,
        `[batch, units]` each.

    Raises:
        ValueError: if a share is not at least 0 and below 1.

    Example:

    >>> from nmt.layers.gru import GRU
    >>> mask = tf.constant([[True] * 7, [True] * 4 + [False] * 3])
    >>> outputs, state = GRU(3, return_sequences=True, return_state=True)(tf.ones((2, 7, 5)), mask=mask)
    >>> bool(tf.reduce_all(outputs[1, 3] == state[1]))
    True
    """

    cell_class: ClassVar[type[RecurrentCell]]  # the class of a subclass's cell

    def __init__(
        self,
        cell: RecurrentCell,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational_dropout: bool = False,
        compile_loops: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= rate < 1:
                message = f"expected `{name}` to be at least 0 and below 1, got {rate!r}"
                raise ValueError(f"{type(self).__name__}: {message}")
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.variational_dropout = variational_dropout
        self.compile_loops = compile_loops
        self.seed = seed
        dropout_seed = derive_seed(seed, "dropout", go_backwards)  # another one for a Bidirectional's backward copy
        self.seed_generator = keras.random.SeedGenerator(dropout_seed) if dropout or recurrent_dropout else None
        self.stateful, self.states = False, None  # keras.layers.Bidirectional reads them
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self._make_offsets: MakeOffsets | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the cell's weights."""
        self.cell.build(input_shape)

    def call(
        self,
        sequence: tf.Tensor,
        initial_state: list[tf.Tensor] | tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> Any:
        """Runs the cell over the sequence; see the class."""
        cell = self.cell
        if initial_state is None:
            initial_state = cell.get_initial_state(tf.shape(sequence)[0])
        elif not isinstance(initial_state, list | tuple):
            initial_state = [initial_state]
        states = tuple(tf.ensure_shape(tf.cast(x, cell.state_dtype), (None, cell.units)) for x in initial_state)
        dropout_mask = None
        if training and self.dropout:
            sequence = drop(sequence, self.dropout, self.seed_generator, (1,) if self.variational_dropout else ())
        if training and self.recurrent_dropout:
            dropout_mask = drop(tf.ones_like(states[0]), self.recurrent_dropout, self.seed_generator)

        options = LoopOptions(
            reverse=self.go_backwards,
            jit_compile=bool(training) and self.compile_loops,
            hand_written=training is not False,  # a search needs no residuals
        )
        run = self.run if self._make_offsets is None else self.run_loop
        outputs, states = run(sequence, states, mask, dropout_mask, options)
        if not self.return_sequences:
            outputs = states[0]
        outputs = tf.cast(cell.output(outputs), self.compute_dtype)
        return (outputs, *states) if self.return_state else outputs

    def run(
        self,
        sequence: tf.Tensor,
        states: Tensors,
        mask: tf.Tensor | None,
        dropout_mask: tf.Tensor | None,
        options: LoopOptions,
    ) -> tuple[tf.Tensor, Tensors]:
        """The states of all steps: by the loop, unless a subclass knows a faster way.

        Args:
            sequence: float `[batch, time, features]`.
            states: the states before the first step, `[batch, units]` each.
            mask: boolean `[batch, time]`, True where a step is real, or None.
            dropout_mask: zeros and scaled ones, `[batch, units]`, for what the products read of the state, or None.
            options: direction and compilation.

        Returns:
            The first state after each step, `[batch, time, units]`, in the order in which the sequence is read, and the
            last states, `[batch, units]` each.
        """
        return self.run_loop(sequence, states, mask, dropout_mask, options)

    def run_loop(
        self,
        sequence: tf.Tensor,
        states: Tensors,
        mask: tf.Tensor | None,
        dropout_mask: tf.Tensor | None,
        options: LoopOptions,
    ) -> tuple[tf.Tensor, Tensors]:
        """The states of all steps, by the loop; see `run`."""
        cell = self.cell
        # Time-major only in here: each step of the loop then reads one contiguous block. Transposed before the product,
        # the sequence is a third as wide as after it.
        projected = cell.project(tf.transpose(sequence, (1, 0, 2)))
        offsets: Tensors = ()
        if self._make_offsets is not None:
            offsets = self._make_offsets(tf.concat([tf.shape(projected)[:2], [cell.units]], 0), cell.state_dtype)
        outputs, states = run_recurrence(
            cell.equations,
            projected,
            states,
            cell.recurrent_weights(),
            mask=None if mask is None else tf.transpose(mask),
            dropout_mask=dropout_mask,
            options=options,
            offsets=offsets,
        )
        outputs = tf.reverse(outputs, (0,)) if options.reverse else outputs
        return tf.transpose(outputs, (1, 0, 2)), states

    @contextmanager
    def offset_states(self, make_offsets: MakeOffsets) -> Iterator[None]:
        """Within this context, tensors are added to each new state whenever the layer runs.

        If they are zeros that a `tf.GradientTape` watches, the tape gives the gradient of a loss by the states.

        Args:
            make_offsets: function called whenever the layer runs, with the shape `[time, batch, units]` and the dtype
                of the states; it returns a tuple of one such tensor for each state of the cell. Time is that of the
                sequence, also where it is read backwards.

        Example:

        >>> from nmt.layers.simple_rnn import SimpleRNN
        >>> layer, sequence = SimpleRNN(2), tf.zeros((1, 3, 4))
        >>> with layer.offset_states(lambda shape, dtype: (tf.ones(shape, dtype),)):
        ...     offset = layer(sequence)
        >>> float(tf.reduce_sum(abs(layer(sequence)))), bool(tf.reduce_all(offset != 0))
        (0.0, True)
        """
        self._make_offsets = make_offsets
        try:
            yield
        finally:
            self._make_offsets = None

    def compute_mask(self, _: tf.Tensor, mask: Any = None) -> Any:
        """The mask continues with the outputs of all steps; the last states have none."""
        mask = mask[0] if isinstance(mask, list) else mask
        outputs = mask if self.return_sequences else None
        return [outputs, *[None] * self.cell.num_states] if self.return_state else outputs

    def compute_output_shape(self, sequence_shape: tuple[int | None, ...], initial_state_shape: Any = None) -> Any:
        """`[batch, time, units]` or `[batch, units]`; with `return_state`, followed by those of the last states."""
        batch, time = sequence_shape[0], sequence_shape[1]
        last = (batch, self.cell.units)
        outputs = (batch, time, self.cell.units) if self.return_sequences else last
        return (outputs, *[last] * self.cell.num_states) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, the cell's among them."""
        cell, base = self.cell.get_config(), super().get_config()
        # Name and precision are the layer's own, and so is the seed, from which the cell's is derived.
        of_cell = {name: value for name, value in cell.items() if name not in base}
        return (
            of_cell
            | base
            | {
                "return_sequences": self.return_sequences,
                "return_state": self.return_state,
                "go_backwards": self.go_backwards,
                "dropout": self.dropout,
                "recurrent_dropout": self.recurrent_dropout,
                "variational_dropout": self.variational_dropout,
                "compile_loops": self.compile_loops,
                "seed": self.seed,
            }
        )
