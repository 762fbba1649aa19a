"""Training on several replicas: the same step as on one device, each replica with its rows of the batch."""

from typing import Any

import tensorflow as tf

from nmt.models.token_model import TokenModel
from nmt.training.schedule import LearningRate
from nmt.training.trainer import Trainer


class DistributedTrainer(Trainer):
    """A `Trainer` that makes the same step on many replicas as on one, each of them with its rows of the batch.

    The loss is the mean over the real tokens of the whole batch: Keras's own step would take the mean of the replicas'
    means. The gradients are summed before they are clipped: Keras's own step would clip those of each replica. The
    trainer is made outside the strategy's scope, so that `fit` counts and reports as on one device; the model is made
    within.

    Args:
        model: the `TokenModel` to train.
        schedule: the learning rate of the optimizer that `compile` gets.
        strategy: the strategy of the replicas.
        label_smoothing: float, share of the target probability spread over the vocabulary (Szegedy et al. 2016).
        consistency: float, the weight of R-Drop; 0 passes each batch once.
    """

    train_function: Any

    def __init__(
        self,
        model: TokenModel,
        schedule: LearningRate,
        strategy: tf.distribute.Strategy,
        label_smoothing: float = 0.0,
        consistency: float = 0.0,
    ) -> None:
        super().__init__(model, schedule, label_smoothing, consistency)
        self.strategy = strategy
        self.static_shapes = isinstance(strategy, tf.distribute.TPUStrategy)

    def make_train_function(self, force: bool = False) -> None:
        """Makes the function from an iterator of batches to metrics that `fit` calls for each step."""
        if self.train_function is not None and not force:
            return

        def step(batch: Any) -> dict[str, tf.Tensor]:
            sums = self.strategy.run(self._replica_step, args=(batch,))
            objective, plain, tokens, sentences = tf.unstack(self.strategy.experimental_local_results(sums)[0])
            self._loss_tracker.update_state(objective / tf.maximum(tokens, 1.0), sample_weight=sentences)
            self.plain_loss.update_state(plain / tf.maximum(tokens, 1.0), sample_weight=tokens)
            self.tokens.update_state(tokens)
            return self.get_metrics_result()

        if self.static_shapes:  # a batch has them only outside a function
            traced = tf.function(step, autograph=False)
            self.train_function = lambda iterator: traced(next(iterator))
        else:
            self.train_function = tf.function(
                lambda iterator: step(next(iterator)), reduce_retracing=True, autograph=False
            )

    def _make_step(self) -> None:
        """XLA compiles nothing that passes between replicas, except on TPUs, where `run` compiles all."""
        self.differentiate = self._differentiate
        if not self.static_shapes:
            self.differentiate = tf.function(
                self._differentiate, reduce_retracing=True, jit_compile=self.extent == "step", autograph=False
            )
        self.make_train_function(force=True)

    def _replica_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """One replica's part of a step; returns the sums over the whole batch that the metrics need."""
        context = tf.distribute.get_replica_context()
        real = tf.reduce_sum(tf.cast(batch[1] != 0, tf.float32))
        tokens = context.all_reduce(tf.distribute.ReduceOp.SUM, real)
        sums, gradients = self.differentiate(batch, tokens)
        sums, *gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, [sums, *gradients])
        self.optimizer.apply(gradients, self.trainable_variables)
        return sums

    def _differentiate(
        self, batch: tuple[tf.Tensor, tf.Tensor], tokens: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The part of a step that needs no other replica.

        Args:
            batch: source and target ids, the rows of one replica.
            tokens: float scalar, the number of real target tokens of the whole batch.

        Returns:
            Float `[4]`, the sums over these rows of the objective, the plain loss, the tokens and the sentences; and
            the gradients of this replica's share of the mean loss.
        """
        with tf.GradientTape() as tape:
            sums = self.loss_sums(batch[1], self(batch, training=True))
            loss = self.optimizer.scale_loss(sums.objective / tf.maximum(tokens, 1.0))
        gradients = tape.gradient(loss, self.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        sentences = tf.reduce_sum(tf.cast(tf.reduce_any(batch[1] != 0, 1), tf.float32))
        return tf.stack([*sums, sentences]), gradients
