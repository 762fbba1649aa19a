"""A translator's gradients, against moving its states by hand."""

import numpy as np
import tensorflow as tf

from nmt.analysis.trained_run import last_token_gradients, measured_layers
from nmt.config import ModelSettings
from nmt.models.seq2seq import make_model


def test_equal_finite_differences_of_the_first_decoder_state():
    """The state after the decoder's first step is moved as a whole, along its gradient."""
    model = make_model(ModelSettings(units=6, embedding=5, dropout=0.0, encoder_layers=1), 20, 20, seed=1)
    batch = tf.constant([[5, 6, 3, 0], [7, 8, 9, 3]]), tf.constant([[9, 3, 0], [5, 6, 3]])
    layers = [layer for layer, _ in measured_layers(model).values()]
    decoder, forward, backward = (of_layer[0].numpy() for of_layer in last_token_gradients(model, layers)(batch))
    assert decoder.shape == (2, 3, 6)
    assert forward.shape == backward.shape == (2, 4, 6)
    for side in (forward, backward):
        np.testing.assert_array_equal(side[0, 3], 0)  # padding
        assert np.abs(side[0, :3]).min(0).max() > 0
    np.testing.assert_array_equal(decoder[0, 2], 0)  # after the end mark

    memory, states = model.begin(batch[0])
    step = model.decoder.stepper()

    def loss(moved):
        """Of the second sentence's end mark, after moving the state that follows its first step."""
        now, seen = [state[:, None] for state in states], tf.constant([[2], [2]])
        for t in range(3):
            outputs, _, now = step(seen, memory, tuple(now))
            seen = batch[1][:, t : t + 1]
            if t == 0:
                now = [now[0] + moved, *now[1:]]
        return tf.nn.sparse_softmax_cross_entropy_with_logits([3], model.logits(outputs[1]))[0]

    direction = decoder[1, 0] / np.linalg.norm(decoder[1, 0])
    high, low = (float(loss(sign * 1e-2 * direction)) for sign in (1, -1))
    # The state moved by hand is not seen by the attention of its own step, which tells nothing of later tokens.
    np.testing.assert_allclose((high - low) / 2e-2, np.linalg.norm(decoder[1, 0]), rtol=2e-2)
