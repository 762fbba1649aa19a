"""A step on two replicas is the step on one device."""

import json
from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf

from nmt.config import TrainingSettings
from nmt.layers.dropout import dropout
from nmt.models.seq2seq import Seq2Seq
from nmt.training.distribution import make_distribution
from nmt.training.make_trainer import make_trainer
from tests.training.two_devices import run_on_two_devices


def print_masks_and_trainings() -> None:
    strategy = make_distribution(TrainingSettings(strategy="mirrored")).strategy

    def masks(compiled):
        draw = tf.function(
            lambda seeds: tf.cast(dropout(tf.ones((64,)), 0.5, seeds) > 0, tf.int32),
            jit_compile=compiled,
            autograph=False,
        )
        with strategy.scope():
            shared = keras.random.SeedGenerator(7)
        alone = keras.random.SeedGenerator(7)
        of_both = tf.function(lambda: strategy.run(lambda: draw(shared)), autograph=False)
        return [
            [mask.numpy().tolist() for mask in (*strategy.experimental_local_results(of_both()), draw(alone))]
            for _ in range(2)
        ]

    generator = tf.random.Generator.from_seed(1)
    rows = [generator.uniform((5, 5), 4, 20, tf.int32) for _ in range(8)]
    rows = [tf.pad(batch, ((0, 1), (0, 0))) for batch in rows]  # to be even

    def trained(strategy, xla):
        with strategy.scope() if strategy else nullcontext():
            model = Seq2Seq(20, units=8, num_layers=1, attention="dot", layer_normalization=False, seed=1)
        settings = TrainingSettings(
            learning_rate=1e-3,
            warmup_steps=0,
            clip_norm=0.1,
            average_decay=0.9,
            accumulate=2,
            precision="float16",
            xla=xla,
        )
        trainer = make_trainer(model, settings, strategy)
        trainer.optimizer.dynamic_scale.assign(1e38)  # so much that some steps are left out
        batches = tf.data.Dataset.from_tensor_slices((rows, rows))
        if strategy:
            halves = batches.map(lambda *batch: tuple(tf.reshape(ids, (2, 3, 5)) for ids in batch)).unbatch()
            batches = strategy.distribute_datasets_from_function(lambda _: halves)
        metrics = trainer.fit(batches, steps_per_epoch=8, shuffle=False, verbose=0).history
        variables = [*model.trainable_variables, *trainer.optimizer.variables]
        return [variable.numpy().tolist() for variable in variables], {
            name: float(one) for name, (one,) in metrics.items()
        }

    print(json.dumps([masks(compiled=False), masks(compiled=True)]))
    print(json.dumps([trained(None, "none"), trained(strategy, "step")]))


def test_replicas_draw_different_masks_and_share_all_else(tmp_path):
    """Dropout, XLA, accumulation and loss scaling on two devices, against one device in the same process."""
    lines = run_on_two_devices(tmp_path, print_masks_and_trainings).splitlines()
    masks, ((ours, metrics), (theirs, other_metrics)) = map(json.loads, lines)
    for kind in masks:
        drawn = []
        for first, second, alone in kind:
            assert first == alone
            assert 10 < sum(first) < 54
            drawn += [tuple(first), tuple(second)]
        assert len(set(drawn)) == 4
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-5)
    (scale,) = (one for one in ours if isinstance(one, float) and one > 1e30)
    assert 1e35 < scale < 1e38
    assert other_metrics == pytest.approx(metrics, rel=1e-5)
    assert metrics["tokens"] == 8 * 25
