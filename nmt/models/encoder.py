"""The encoder: embedded source tokens to the sequence that attention reads."""

from typing import Any

import keras
import tensorflow as tf

from nmt.layers.cells import make_recurrent
from nmt.layers.seeds import derive_seed


@keras.saving.register_keras_serializable("nmt")
class Encoder(keras.layers.Layer):
    """Stacked bidirectional recurrent layers, with residual connections from the second layer on.

    Layer 1 reads the embedded tokens, each further layer the sum of what the one below read and gave:

        h_1 = BiRNN_1(x),    h_l = h_(l-1) + BiRNN_l(h_(l-1))

    Args:
        units: int, width of the recurrent states in each direction.
        num_layers: int, number of bidirectional layers.
        cell: str, a key of `nmt.layers.cells.CELLS`: `"gru"`, `"lstm"`, `"rnn"`, `"min_gru"` or `"ssru"`.
        dropout: float, share of the inputs dropped from the second layer on.
        recurrent_dropout: float, share of the state hidden from the recurrent products (Gal and Ghahramani 2016).
        variational_dropout: bool, whether one dropout mask serves all steps of a sentence.
        layer_normalization: bool, whether each gate's pre-activation is normalised (Ba et al. 2016).
        longest_memory: int or None, steps over which the gates begin to retain the state (Tallec and Ollivier 2018).
        seed: int or None, from which initial weights and dropout are drawn.
        **kwargs: arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        sequence: float `[batch, time, features]`, the embedded tokens.
        mask: boolean `[batch, time]`, True where a token is real; by default the mask that `sequence` carries.
        training: bool, whether dropout is applied.

    Returns:
        The outputs of the top layer, `[batch, time, 2 * units]`, and its last state, forward and backward side by
        side, `[batch, 2 * units]`.

    Example:

    >>> outputs, state = Encoder(units=8, num_layers=2)(tf.ones((2, 5, 4)))
    >>> tuple(outputs.shape), tuple(state.shape)
    ((2, 5, 16), (2, 16))

    Reference:
        [Bahdanau et al. 2015](https://arxiv.org/abs/1409.0473), section 3.2;
        [Wu et al. 2016](https://arxiv.org/abs/1609.08144), section 3.1, for the residual connections.
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 1,
        cell: str = "gru",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational_dropout: bool = False,
        layer_normalization: bool = False,
        longest_memory: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.num_layers = num_layers
        self.cell = cell
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.variational_dropout = variational_dropout
        self.layer_normalization = layer_normalization
        self.longest_memory = longest_memory
        self.seed = seed
        self.supports_masking = True

        def direction(index: int, name: str, **more: Any) -> keras.layers.Layer:
            return make_recurrent(
                cell,
                units,
                return_sequences=True,
                return_state=True,
                dropout=dropout if index else 0.0,
                recurrent_dropout=recurrent_dropout,
                variational_dropout=variational_dropout,
                layer_normalization=layer_normalization,
                longest_memory=longest_memory,
                seed=derive_seed(seed, index, name),
                dtype=self.dtype_policy,
                name=name,
                **more,
            )

        self.recurrent = [
            keras.layers.Bidirectional(
                direction(index, cell),
                backward_layer=direction(index, f"backward_{cell}", go_backwards=True),
                dtype=self.dtype_policy,
                name=f"layer_{index}",
            )
            for index in range(num_layers)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights of all layers."""
        for index, layer in enumerate(self.recurrent):
            layer.build((*input_shape[:-1], 2 * self.units) if index else input_shape)

    def call(
        self, sequence: tf.Tensor, mask: tf.Tensor | None = None, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes a batch; see the class."""
        outputs = sequence
        last: list[tf.Tensor] = []
        for index, layer in enumerate(self.recurrent):
            new, *last = layer(outputs, mask=mask, training=training)
            outputs = outputs + new if index else new
        # A cell may carry several states in each direction; the first is the one that it gives out.
        forward, backward = last[0], last[len(last) // 2]
        return outputs, tf.concat([forward, backward], -1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask goes on with the outputs; the last state has none."""
        return mask, None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = (
            "units", "num_layers", "cell", "dropout", "recurrent_dropout", "variational_dropout",
            "layer_normalization", "longest_memory", "seed",
        )  # fmt: skip
        return super().get_config() | {name: getattr(self, name) for name in names}
