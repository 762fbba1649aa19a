"""The loss and its gradient against automatic differentiation of the definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.config import ModelSettings, TrainingSettings
from nmt.layers.cross_entropy import summed_losses
from nmt.models.seq2seq import make_model
from nmt.training.trainer import averaged_weights, make_trainee


def random_rows(tokens):
    """Output vectors, a table, and targets."""
    generator = np.random.default_rng(0)
    outputs, table = (tf.constant(generator.normal(size=(rows, 5))) for rows in (tokens, 11))
    return outputs, table, tf.constant(generator.integers(0, 11, tokens), tf.int32)


def check_against(definition, outputs, table, compute):
    """What `compute` gives, and the gradients of its first value, tripled, against those of the definition."""
    results = []
    for function in (definition, compute):
        with tf.GradientTape() as tape:
            tape.watch([outputs, table])
            values = function()
            loss = 3 * values[0]
        results.append([*values, *tape.gradient(loss, [outputs, table])])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("chunk", [3, 7, 512])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_loss_and_gradient_equal_the_definition(smoothing, chunk, jit_compile):
    outputs, table, targets = random_rows(7)
    weights = tf.constant([1.0, 1, 0, 1, 0.5, 1, 0], tf.float64)

    def definition():
        log_probabilities = tf.nn.log_softmax(outputs @ tf.transpose(table))
        distribution = (1 - smoothing) * tf.one_hot(targets, 11, dtype=tf.float64) + smoothing / 11
        smoothed = -tf.reduce_sum(tf.reduce_sum(distribution * log_probabilities, -1) * weights)
        return smoothed, -tf.reduce_sum(tf.gather(log_probabilities, targets, batch_dims=1) * weights)

    check_against(
        definition,
        outputs,
        table,
        lambda: summed_losses(outputs, table, targets, weights, smoothing, 0.0, chunk, jit_compile),
    )


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("chunk", [2, 6, 512])
def test_consistency_and_its_gradient_equal_the_definition(chunk, jit_compile):
    """The sum over both passes of R-Drop (Liang et al. 2021)."""
    outputs, table, targets = random_rows(10)
    targets, weights = tf.repeat(targets[::2], 2), tf.repeat(tf.constant([1.0, 0, 1, 0.5, 1], tf.float64), 2)

    def definition():
        logs = tf.nn.log_softmax(outputs @ tf.transpose(table))
        plain = -tf.reduce_sum(tf.gather(logs, targets, batch_dims=1) * weights)
        p, q = logs[::2], logs[1::2]
        divergence = tf.reduce_sum(tf.exp(p) * (p - q), -1) + tf.reduce_sum(tf.exp(q) * (q - p), -1)
        return plain + 4.0 / 2 * tf.reduce_sum(divergence * weights[::2]), plain

    check_against(
        definition,
        outputs,
        table,
        lambda: summed_losses(outputs, table, targets, weights, 0.0, 4.0, chunk, jit_compile),
    )


def test_the_number_of_tokens_need_not_be_known_beforehand():
    arguments = tf.ones((7, 5)), tf.ones((11, 5)), tf.zeros((7,), tf.int32), tf.ones((7,))
    specs = [tf.TensorSpec((None, *argument.shape[1:]), argument.dtype) for argument in arguments]
    specs[1] = tf.TensorSpec((11, 5))
    traced = tf.function(lambda *values: summed_losses(*values, smoothing=0.1, chunk=4), input_signature=specs)
    np.testing.assert_allclose(traced(*arguments), summed_losses(*arguments, smoothing=0.1, chunk=4), rtol=1e-6)


def test_huge_logits_do_not_overflow():
    losses = summed_losses(
        tf.constant([[1000.0]]), tf.constant([[1.0], [-1.0]]), tf.constant([0]), tf.constant([1.0]), 0.0
    )
    assert float(losses.plain) == 0.0


BATCH = {"source": np.array([[5, 6, 3], [7, 3, 0]], np.int32), "target": np.array([[8, 9, 3], [4, 3, 0]], np.int32)}


def small_trainee(**training):
    model = make_model(ModelSettings(units=8, embedding=8, dropout=0.0), 20, 20, seed=1)
    return make_trainee(model, TrainingSettings(warmup_steps=0, schedule="constant", **training))


def test_padding_does_not_change_the_loss():
    trainee = small_trainee()
    padded = {side: np.pad(ids, ((0, 3), (0, 4))) for side, ids in BATCH.items()}
    losses = [trainee.compute_loss(x=batch, y_pred=trainee(batch)) for batch in (BATCH, padded)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


def test_without_dropout_both_passes_agree():
    """The objective is then that without consistency; padding changes nothing, and dropout makes it greater."""
    plain, consistent = small_trainee(), small_trainee(consistency=5.0)
    padded = {side: np.pad(ids, ((0, 3), (0, 4))) for side, ids in BATCH.items()}
    expected = plain.compute_loss(x=BATCH, y_pred=plain(BATCH, training=True))
    for batch in (BATCH, padded):
        outputs = consistent(batch, training=True)
        assert len(outputs) == 2 * len(batch["target"])
        np.testing.assert_allclose(consistent.compute_loss(x=batch, y_pred=outputs), expected, rtol=1e-6)
    assert float(consistent.tokens.result()) == 2 * np.count_nonzero(BATCH["target"])
    second = outputs + tf.concat([tf.zeros_like(outputs[:5]), tf.ones_like(outputs[5:])], 0)
    assert float(consistent.compute_loss(x=padded, y_pred=second)) > float(expected) + 0.01


def test_averages_soon_forget_the_first_weights():
    trainee = small_trainee(average_decay=0.999, learning_rate=0.01)
    weights = [[weight.numpy() for weight in trainee.trainable_weights]]
    averages = weights[0]
    for update in range(3):
        trainee.fit(tf.data.Dataset.from_tensors(BATCH), verbose=0)
        weights.append([weight.numpy() for weight in trainee.trainable_weights])
        decay = update / (9 + update)
        averages = [decay * old + (1 - decay) * new for old, new in zip(averages, weights[-1], strict=True)]
    with averaged_weights(trainee):
        for weight, average in zip(trainee.trainable_weights, averages, strict=True):
            np.testing.assert_allclose(weight.numpy(), average, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("xla", ["none", "parts", "step"])
def test_a_training_step_equals_one_by_hand(xla):
    """Keras's fit, compiled by XLA, against the gradient, the clipping and Adam's first update written out."""
    trainee = small_trainee(clip_norm=0.5, learning_rate=0.01, xla=xla)
    before = [weight.numpy() for weight in trainee.trainable_weights]
    with tf.GradientTape() as tape:
        logits = trainee.model.logits(trainee(BATCH))
        log_probabilities = tf.nn.log_softmax(logits)
        distribution = 0.9 * tf.one_hot(BATCH["target"], 20) + 0.1 / 20
        real = tf.cast(BATCH["target"] != 0, tf.float32)
        loss = -tf.reduce_sum(tf.reduce_sum(distribution * log_probabilities, -1) * real) / tf.reduce_sum(real)
    gradients = tape.gradient(loss, [weight.value for weight in trainee.trainable_weights])
    norm = tf.linalg.global_norm([tf.convert_to_tensor(g) for g in gradients])
    trainee.fit(tf.data.Dataset.from_tensors(BATCH), verbose=0)
    for weight, old, gradient in zip(trainee.trainable_weights, before, gradients, strict=True):
        clipped = tf.convert_to_tensor(gradient) * min(1.0, 0.5 / float(norm))
        expected = old - 0.01 * clipped / (tf.abs(clipped) + 1e-9)
        certain = np.abs(clipped) > 1e-6  # where rounding cannot turn the sign
        np.testing.assert_allclose(weight.numpy()[certain], expected.numpy()[certain], atol=2e-4)
        assert certain.any()


def test_accumulated_batches_make_one_update():
    once, twice = small_trainee(), small_trainee(accumulate=2)
    once.fit(tf.data.Dataset.from_tensors(BATCH), verbose=0)
    first = [weight.numpy() for weight in twice.trainable_weights]
    twice.fit(tf.data.Dataset.from_tensors(BATCH), verbose=0)
    for weight, old in zip(twice.trainable_weights, first, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    twice.fit(tf.data.Dataset.from_tensors(BATCH), verbose=0)
    for ours, theirs in zip(once.trainable_weights, twice.trainable_weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-3)
    assert int(once.optimizer.iterations) == int(twice.optimizer.iterations) == 1


@pytest.mark.parametrize("xla", ["parts", "step"])
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains(precision, xla):
    keras.config.set_dtype_policy(precision)
    try:
        trainee = small_trainee(learning_rate=0.01, xla=xla)
        history = trainee.fit(tf.data.Dataset.from_tensors(BATCH).repeat(30), epochs=2, steps_per_epoch=15, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert history.history["plain_loss"][1] < history.history["plain_loss"][0]
    assert all(weight.dtype == "float32" for weight in trainee.trainable_weights)
