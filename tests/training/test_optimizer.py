"""Moving averages of the weights, and gradients accumulated over batches."""

import numpy as np
import tensorflow as tf

from nmt.training.optimizer import averaged_weights
from tests.training.small_trainer import SOURCE, TARGET, small_trainer


def test_averages_soon_forget_the_first_weights():
    trainer = small_trainer(average_decay=0.999, learning_rate=0.01)
    weights = [[weight.numpy() for weight in trainer.trainable_weights]]
    averages = weights[0]
    for update in range(3):
        trainer.fit(tf.data.Dataset.from_tensors((SOURCE, TARGET)), verbose=0)
        weights.append([weight.numpy() for weight in trainer.trainable_weights])
        decay = update / (9 + update)
        averages = [decay * old + (1 - decay) * new for old, new in zip(averages, weights[-1], strict=True)]
    with averaged_weights(trainer.optimizer):
        for weight, average in zip(trainer.trainable_weights, averages, strict=True):
            np.testing.assert_allclose(weight.numpy(), average, rtol=1e-5, atol=1e-7)
    for weight, own in zip(trainer.trainable_weights, weights[-1], strict=True):
        np.testing.assert_array_equal(weight.numpy(), own)


def test_accumulated_batches_make_one_update():
    once, twice = small_trainer(), small_trainer(accumulate=2)
    once.fit(tf.data.Dataset.from_tensors((SOURCE, TARGET)), verbose=0)
    first = [weight.numpy() for weight in twice.trainable_weights]
    twice.fit(tf.data.Dataset.from_tensors((SOURCE, TARGET)), verbose=0)
    for weight, old in zip(twice.trainable_weights, first, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    twice.fit(tf.data.Dataset.from_tensors((SOURCE, TARGET)), verbose=0)
    for ours, theirs in zip(once.trainable_weights, twice.trainable_weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-3)
    assert int(once.optimizer.iterations) == int(twice.optimizer.iterations) == 1
