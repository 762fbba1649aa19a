"""A translator's state gradients against finite differences of its states."""

import numpy as np
import tensorflow as tf

from nmt.analysis.trained_run import last_token_gradients, measured_layers
from nmt.models.seq2seq import Seq2Seq

SOURCE, TARGET = tf.constant([[5, 6, 3, 0], [7, 8, 9, 3]]), tf.constant([[9, 3, 0], [5, 6, 3]])


def test_equal_finite_differences_of_the_first_decoder_state():
    """The state after the decoder's first step is moved as a whole, along its gradient."""
    model = Seq2Seq(
        vocabulary_size=20, units=6, num_layers=1, attention="dot", embedding_dim=5, layer_normalization=False, seed=1
    )
    layers = [layer for layer, _ in measured_layers(model).values()]
    gradients = last_token_gradients(model, layers)((SOURCE, TARGET))
    decoder, forward, backward = (by_state[0].numpy() for by_state in gradients)
    assert decoder.shape == (2, 3, 6)
    assert forward.shape == backward.shape == (2, 4, 6)
    for encoder in (forward, backward):
        np.testing.assert_array_equal(encoder[0, 3], 0)  # padding
        assert np.abs(encoder[0, :3]).min(0).max() > 0
    np.testing.assert_array_equal(decoder[0, 2], 0)  # after the end mark

    start, step = model.start(SOURCE), model.stepper()

    def loss(offset):
        """The loss of the second sentence's end mark, with `offset` added to the state after the first step."""
        state = start._replace(states=tuple(state[:, None] for state in start.states))
        tokens = tf.constant([[2], [2]])
        for t in range(3):
            vectors, _, state = step(tokens, state)
            tokens = TARGET[:, t : t + 1]
            if t == 0:
                state = state._replace(states=(state.states[0] + offset, *state.states[1:]))
        return tf.nn.sparse_softmax_cross_entropy_with_logits([3], model.logits(vectors[1]))[0]

    direction = decoder[1, 0] / np.linalg.norm(decoder[1, 0])
    high, low = (float(loss(sign * 1e-2 * direction)) for sign in (1, -1))
    # The offset comes after the attention of its own step, which has no influence on later tokens.
    np.testing.assert_allclose((high - low) / 2e-2, np.linalg.norm(decoder[1, 0]), rtol=2e-2)
