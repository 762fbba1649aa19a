"""What all recurrent cells share as Keras layers: one step, and a sequence."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from nmt.layers.dropout import dropout as drop
from nmt.layers.recurrence import Equations, Options, Tensors, recur


class RecurrentCell(keras.layers.Layer):
    """The frame of a cell: its weights, and one step by its equations.

    A cell gives `equations`, makes its weights in `build`, and tells how the inputs' products (`project`) and the
    state's weights (`recurrent_weights`) come about. The rest, here and in `Recurrent`, is the same for all.

    Args:
        units: width of the state.

    Call arguments:
        inputs: `[batch, features]`.
        states: the states `[batch, units]`, a single one alone or all in a list, as `keras.layers.RNN` gives them.

    Returns:
        The output, by default the first new state, and a list of all new states.
    """

    states: ClassVar[int] = 1  # how many the cell carries on

    def __init__(self, units: int, **kwargs: Any) -> None:
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"{type(self).__name__}: expected `units` to be a positive integer, got {units!r}")
        super().__init__(**kwargs)
        self.units = units
        self.state_size = [units] * self.states if self.states > 1 else units
        self.output_size = units

    @property
    def equations(self) -> Equations:
        """One step."""
        raise NotImplementedError

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """The input products of any number of steps, `[..., features]` to `[..., width]`."""
        raise NotImplementedError

    def recurrent_weights(self) -> Tensors:
        """What the equations need of the weights, in the precision of the states."""
        raise NotImplementedError

    def output(self, state: tf.Tensor) -> tf.Tensor:
        """What the cell gives of its first state, `[..., units]`: the state itself unless the cell says otherwise."""
        return state

    @property
    def state_dtype(self) -> str:
        """States stay in the variables' precision, and with them all arithmetic of the loop.

        In half precision, small updates would be lost over time.
        """
        return self.variable_dtype

    def get_initial_state(self, batch_size: int | tf.Tensor | None = None) -> list[tf.Tensor]:
        """Zeros, `[batch, units]`, in a list."""
        return [tf.zeros((batch_size, self.units), self.state_dtype) for _ in range(self.states)]

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor] | tf.Tensor, training: bool | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Makes one step; see the class."""
        states = states if isinstance(states, list | tuple) else [states]
        before = tuple(tf.cast(state, self.state_dtype) for state in states)
        after = self.advance(inputs, before, self.recurrent_weights())
        return self.output(after[0]), list(after)

    def advance(self, inputs: tf.Tensor, states: Tensors, weights: Tensors) -> Tensors:
        """Makes one step with `recurrent_weights` made before, once for many steps."""
        projected = tf.cast(self.project(inputs), self.state_dtype)
        return self.equations.advance(projected, states, weights, None).states

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"units": self.units}


def multiply(inputs: tf.Tensor, kernel: tf.Tensor, dtype: str) -> tf.Tensor:
    """`inputs kernel` over the last axis, whatever stands before it, in the precision `dtype`."""
    if inputs.shape.rank == 2:
        return tf.matmul(tf.cast(inputs, dtype), tf.cast(kernel, dtype))
    flat = tf.reshape(inputs, (-1, inputs.shape[-1]))
    product = tf.matmul(tf.cast(flat, dtype), tf.cast(kernel, dtype))
    return tf.reshape(product, tf.concat([tf.shape(inputs)[:-1], [kernel.shape[-1]]], 0))


class Recurrent(keras.layers.Layer):
    """A cell over a sequence: the same numbers as stepping it, by the faster way of `nmt.layers.recurrence`.

    Works inside `keras.layers.Bidirectional`.

    Args:
        cell: what is run.
        return_sequences: whether the states of all steps are returned, or only the last one.
        return_state: whether the last states are returned besides.
        go_backwards: whether the sequence is read from its end; the states are then returned in that order.
        dropout: share of the inputs dropped, drawn anew for each step.
        variational_dropout: whether it is drawn once for all steps of a sequence instead (Gal and Ghahramani 2016).
        recurrent_dropout: share of the state hidden from the products, the same for all steps of a sequence
            (Gal and Ghahramani 2016); what the state carries on is never dropped.
        compile_loops: whether in training XLA compiles the loop over time, once for each shape, within a `tf.function`
            that it does not compile as a whole.
        seed: of the dropout.

    Call arguments:
        sequence: `[batch, time, features]`.
        initial_state: `[batch, units]`, a single one alone or all in a list; zeros if absent.
        mask: boolean `[batch, time]`, True where a step is real. A padded step leaves the states as they were.
        training: whether dropout is applied. With False nothing is kept for the gradient by hand; automatic
            differentiation still gives the same one, more slowly.

    Returns:
        Outputs, `[batch, time, units]` or `[batch, units]`; with `return_state`, all last states `[batch, units]` too.
    """

    def __init__(
        self,
        cell: RecurrentCell,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        dropout: float = 0.0,
        variational_dropout: bool = False,
        recurrent_dropout: float = 0.0,
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
        self.variational_dropout = variational_dropout
        self.recurrent_dropout = recurrent_dropout
        self.compile_loops = compile_loops
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout or recurrent_dropout else None
        self.stateful, self.states = False, None  # keras.layers.Bidirectional asks
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)

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

        options = Options(
            reverse=self.go_backwards,
            jit_compile=bool(training) and self.compile_loops,
            hand_written=training is not False,  # what it keeps, a search has no use for
        )
        outputs, states = self.run(sequence, states, mask, dropout_mask, options)
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
        options: Options,
    ) -> tuple[tf.Tensor, Tensors]:
        """All states, `[batch, time, units]`, in the order in which the sequence is read, and the last ones."""
        # Time-major only in here: each step of the loop then reads one contiguous block. Turned before the product,
        # the sequence is a third as wide as after it.
        outputs, states = recur(
            self.cell.equations,
            self.cell.project(tf.transpose(sequence, (1, 0, 2))),
            states,
            self.cell.recurrent_weights(),
            mask=None if mask is None else tf.transpose(mask),
            dropout_mask=dropout_mask,
            options=options,
        )
        outputs = tf.reverse(outputs, (0,)) if options.reverse else outputs
        return tf.transpose(outputs, (1, 0, 2)), states

    def compute_mask(self, _: tf.Tensor, mask: Any = None) -> Any:
        """The mask goes on with the states of all steps; the last states have none."""
        mask = mask[0] if isinstance(mask, list) else mask
        outputs = mask if self.return_sequences else None
        return [outputs, *[None] * self.cell.states] if self.return_state else outputs

    def compute_output_shape(self, sequence_shape: tuple[int | None, ...], initial_state_shape: Any = None) -> Any:
        """`[batch, time, units]` or `[batch, units]`; with `return_state`, those of the last states too."""
        batch, time = sequence_shape[0], sequence_shape[1]
        last = (batch, self.cell.units)
        outputs = (batch, time, self.cell.units) if self.return_sequences else last
        return (outputs, *[last] * self.cell.states) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; those of the cell among them."""
        cell = self.cell.get_config()
        mine = (
            "return_sequences",
            "return_state",
            "go_backwards",
            "dropout",
            "variational_dropout",
            "recurrent_dropout",
            "compile_loops",
            "seed",
        )
        base = super().get_config()
        # name and dtype are the layer's own
        return {key: cell[key] for key in cell if key not in base} | base | {name: getattr(self, name) for name in mine}
