"""What cells share whose gates do not read the state: their step is h' = a h + b, and a sequence needs no loop."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import tensorflow as tf

from nmt.layers.gated import GatedCell, GatedRecurrent
from nmt.layers.recurrence import Options, Step, Tensors


class AffineEquations(ABC):
    """One step, and all steps at once, of such a cell; a subclass is a frozen dataclass of plain values."""

    @property
    def saved_widths(self) -> list[int]:
        """None: what the loop's gradient would need, the scan's does not."""
        return []

    @abstractmethod
    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """a and b, `[..., units]` each, from the input products."""

    @abstractmethod
    def scan(
        self, projected: tf.Tensor, initial: tf.Tensor, mask: tf.Tensor | None, jit_compile: bool = False
    ) -> tf.Tensor:
        """All states.

        Args:
            projected: input products, `[time, batch, width]`.
            initial: the state before the first step, `[batch, units]`.
            mask: True where a step is real, `[time, batch]`; a padded step leaves the state as it was.
            jit_compile: whether XLA compiles it by itself.

        Returns:
            `[time, batch, units]`.
        """

    def advance(self, projected: tf.Tensor, states: Tensors, weights: Tensors, dropout_mask: tf.Tensor | None) -> Step:
        """See `Equations.advance`."""
        a, b = self.coefficients(projected)
        return Step((a * states[0] + b,))


class AffineCell(GatedCell):
    """A cell with `AffineEquations`."""

    reads_state: ClassVar[bool] = False

    @property
    @abstractmethod
    def equations(self) -> AffineEquations:
        """One step."""


class AffineRecurrent(GatedRecurrent):
    """Such a cell over a sequence: by a parallel scan, in a number of rounds that grows like log(time).

    There is no `recurrent_dropout`, as no product reads the state. Otherwise see `Recurrent`.
    """

    cell: AffineCell

    def __init__(self, units: int, recurrent_dropout: float = 0.0, **kwargs: Any) -> None:
        if recurrent_dropout:
            message = f"expected no `recurrent_dropout`, as no product reads the state, got {recurrent_dropout!r}"
            raise ValueError(f"{type(self).__name__}: {message}")
        super().__init__(units, **kwargs)

    def run(
        self,
        sequence: tf.Tensor,
        states: Tensors,
        mask: tf.Tensor | None,
        dropout_mask: tf.Tensor | None,
        options: Options,
    ) -> tuple[tf.Tensor, Tensors]:
        """See `Recurrent.run`."""
        cell, mask = self.cell, None if mask is None else tf.transpose(mask)
        projected = tf.cast(cell.project(tf.transpose(sequence, (1, 0, 2))), cell.state_dtype)
        if options.reverse:
            projected, mask = (None if x is None else tf.reverse(x, (0,)) for x in (projected, mask))
        jit_compile = options.jit_compile and not tf.executing_eagerly()
        outputs = cell.equations.scan(projected, states[0], mask, jit_compile)
        # A sequence without steps leaves the state as it was.
        last = tf.concat([states[0][None], outputs], 0)[-1]
        return tf.transpose(outputs, (1, 0, 2)), (last,)
