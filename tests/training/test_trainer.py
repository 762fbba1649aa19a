"""The objective of a batch, and a training step against the same step by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tests.training.small_trainer import SOURCE, TARGET, small_trainer

BATCH = SOURCE, TARGET
PADDED = tuple(np.pad(ids, ((0, 3), (0, 4))) for ids in BATCH)


def test_padding_does_not_change_the_loss():
    trainer = small_trainer()
    losses = [trainer.compute_loss(y=batch[1], y_pred=trainer(batch)) for batch in (BATCH, PADDED)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


def test_without_dropout_both_passes_agree():
    """The objective is then that without consistency; padding changes nothing, and dropout makes it greater."""
    plain, consistent = small_trainer(), small_trainer(consistency=5.0)
    expected = plain.compute_loss(y=TARGET, y_pred=plain(BATCH, training=True))
    for source, target in (BATCH, PADDED):
        outputs = consistent((source, target), training=True)
        assert len(outputs) == 2 * len(target)
        np.testing.assert_allclose(consistent.compute_loss(y=target, y_pred=outputs), expected, rtol=1e-6)
    assert float(consistent.tokens.result()) == 2 * np.count_nonzero(TARGET)
    second = outputs + tf.concat([tf.zeros_like(outputs[:5]), tf.ones_like(outputs[5:])], 0)
    assert float(consistent.compute_loss(y=PADDED[1], y_pred=second)) > float(expected) + 0.01


@pytest.mark.parametrize("xla", ["none", "parts", "step"])
def test_a_training_step_equals_one_by_hand(xla):
    """Keras's fit, compiled by XLA, against the gradient, the clipping and Adam's first update written out."""
    trainer = small_trainer(clip_norm=0.5, learning_rate=0.01, xla=xla)
    before = [weight.numpy() for weight in trainer.trainable_weights]
    with tf.GradientTape() as tape:
        logits = trainer.model.logits(trainer(BATCH))
        log_probabilities = tf.nn.log_softmax(logits)
        distribution = 0.9 * tf.one_hot(TARGET, 20) + 0.1 / 20
        real = tf.cast(TARGET != 0, tf.float32)
        loss = -tf.reduce_sum(tf.reduce_sum(distribution * log_probabilities, -1) * real) / tf.reduce_sum(real)
    gradients = tape.gradient(loss, [weight.value for weight in trainer.trainable_weights])
    norm = tf.linalg.global_norm([tf.convert_to_tensor(g) for g in gradients])
    trainer.fit(tf.data.Dataset.from_tensors(BATCH), verbose=0)
    for weight, old, gradient in zip(trainer.trainable_weights, before, gradients, strict=True):
        clipped = tf.convert_to_tensor(gradient) * min(1.0, 0.5 / float(norm))
        expected = old - 0.01 * clipped / (tf.abs(clipped) + 1e-9)
        certain = np.abs(clipped) > 1e-6  # where rounding cannot turn the sign
        np.testing.assert_allclose(weight.numpy()[certain], expected.numpy()[certain], atol=2e-4)
        assert certain.any()


@pytest.mark.parametrize(("precision", "xla"), [("bfloat16", "parts"), ("float16", "step")])
def test_half_precision_trains(precision, xla):
    trainer = small_trainer(f"mixed_{precision}", precision=precision, learning_rate=0.01, xla=xla)
    history = trainer.fit(tf.data.Dataset.from_tensors(BATCH).repeat(30), epochs=2, steps_per_epoch=15, verbose=0)
    assert history.history["plain_loss"][1] < history.history["plain_loss"][0]
    assert all(weight.dtype == "float32" for weight in trainer.trainable_weights)
