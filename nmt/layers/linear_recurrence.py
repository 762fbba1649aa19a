"""What cells share whose gates do not depend on the state: a step is h' = a h + b, and a sequence needs no loop."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import tensorflow as tf

from nmt.layers.recurrence import LoopOptions, StepResult, Tensors
from nmt.layers.recurrent import Recurrent, RecurrentCell
from nmt.layers.seeds import Initializer


class LinearEquations(ABC):
    """One step, and all steps at once, of such a cell; a subclass is a frozen dataclass of plain values.

    Example:

    >>> from nmt.layers.ssru import SSRUEquations
    >>> projected, state = tf.zeros((3, 1, 2)), tf.ones((1, 1))
    >>> SSRUEquations().scan(projected, state, None).numpy().ravel().tolist()
    [0.5, 0.25, 0.125]
    >>> SSRUEquations().step(projected[0], (state,), (), None).states[0].numpy().tolist()
    [[0.5]]
    """

    @property
    def residual_widths(self) -> list[int]:
        """None: the gradient of the scan needs no residuals of single steps."""
        return []

    @abstractmethod
    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The coefficients a and b of h' = a h + b.

        Args:
            projected: input products, `[..., width]`.

        Returns:
            a and b, `[..., units]` each.
        """

    @abstractmethod
    def scan(
        self, projected: tf.Tensor, initial: tf.Tensor, mask: tf.Tensor | None, jit_compile: bool = False
    ) -> tf.Tensor:
        """The states of all steps.

        Args:
            projected: input products, `[time, batch, width]`.
            initial: the state before the first step, `[batch, units]`.
            mask: boolean `[time, batch]`, True where a step is real; a padded step leaves the state as it was.
            jit_compile: bool, whether XLA compiles it by itself.

        Returns:
            The state after each step, `[time, batch, units]`.
        """

    def step(
        self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None
    ) -> StepResult:
        """See `Equations.step`."""
        a, b = self.coefficients(projected)
        return StepResult((a * states[0] + b,))


class LinearCell(RecurrentCell):
    """Base class of the cells with `LinearEquations`; for the arguments see `RecurrentCell`.

    Example:

    >>> from nmt.layers.ssru import SSRUCell
    >>> isinstance(SSRUCell(3), LinearCell), SSRUCell(3).recurrent_weights()
    (True, ())
    """

    reads_state: ClassVar[bool] = False

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
            units,
            layer_normalization,
            kernel_initializer,
            bias_initializer=bias_initializer,
            longest_memory=longest_memory,
            seed=seed,
            **kwargs,
        )

    @property
    @abstractmethod
    def equations(self) -> LinearEquations:
        """The equations of one step."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["recurrent_initializer"]  # no weights multiply the state
        return config


class LinearRecurrent(Recurrent):
    """Base class of the layers of such cells: by a parallel scan, in a number of rounds that grows like log(time).

    There is no `recurrent_dropout`, as no product reads the state. For the other arguments see `Recurrent`.

    Raises:
        ValueError: with `recurrent_dropout`.

    Example:

    >>> from nmt.layers.ssru import SSRU
    >>> layer = SSRU(4, return_sequences=True)
    >>> isinstance(layer, LinearRecurrent), tuple(layer(tf.ones((2, 1000, 5))).shape)
    (True, (2, 1000, 4))
    """

    cell: LinearCell

    def __init__(self, cell: LinearCell, recurrent_dropout: float = 0.0, **kwargs: Any) -> None:
        if recurrent_dropout:
            message = f"expected no `recurrent_dropout`, as no product reads the state, got {recurrent_dropout!r}"
            raise ValueError(f"{type(self).__name__}: {message}")
        super().__init__(cell, **kwargs)

    def run(
        self,
        sequence: tf.Tensor,
        states: Tensors,
        mask: tf.Tensor | None,
        dropout_mask: tf.Tensor | None,
        options: LoopOptions,
    ) -> tuple[tf.Tensor, Tensors]:
        """The states of all steps, by the scan; see `Recurrent.run`."""
        cell, mask = self.cell, None if mask is None else tf.transpose(mask)
        projected = tf.cast(cell.project(tf.transpose(sequence, (1, 0, 2))), cell.state_dtype)
        if options.reverse:
            projected, mask = (None if x is None else tf.reverse(x, (0,)) for x in (projected, mask))
        jit_compile = options.jit_compile and not tf.executing_eagerly()
        outputs = cell.equations.scan(projected, states[0], mask, jit_compile)
        # A sequence without steps leaves the state as it was.
        last = tf.concat([states[0][None], outputs], 0)[-1]
        return tf.transpose(outputs, (1, 0, 2)), (last,)
