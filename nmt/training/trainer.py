"""The model together with what trains it: the loss and the optimizer, for `keras.Model.fit`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from nmt.config import TrainingSettings
from nmt.layers.cross_entropy import summed_losses
from nmt.models.token_model import TokenModel
from nmt.training.schedule import LearningRate

# How much of a step XLA compiles: nothing; each by itself, the loops over time, what is done to a chunk's logits, and
# the update of the weights, while large products are left to the library outside; or the whole.
Extent = Literal["none", "parts", "step"]


class Sums(NamedTuple):
    """Of a batch's real target tokens; the mean where they pass through the model twice."""

    objective: tf.Tensor  # what training lowers
    plain: tf.Tensor  # loss
    tokens: tf.Tensor  # how many


class Trainee(keras.Model):
    """Wraps a model with its loss, averaged over the real tokens of a batch.

    Args:
        model: what learns.
        schedule: of the learning rate.
        settings: of the training, of which those of the loss count.
    """

    def __init__(self, model: TokenModel, schedule: LearningRate, settings: TrainingSettings) -> None:
        super().__init__(name="trainee")
        self.model = model
        self.schedule = schedule
        self.smoothing = settings.label_smoothing
        self.consistency = settings.consistency
        self.extent: Extent = "none"
        self.plain_loss = keras.metrics.Mean(name="plain_loss")
        self.tokens = keras.metrics.Sum(name="tokens")
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Output vectors; see `TokenModel`. With a consistency, those of a second pass follow in training."""
        if training and self.consistency:
            inputs = {side: tf.concat([ids, ids], 0) for side, ids in inputs.items()}
        return self.model(inputs, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The objective of a batch, from its output vectors `y_pred` in training."""
        sums = self.sums(x, y_pred)
        tokens = tf.maximum(sums.tokens, 1.0)
        self.plain_loss.update_state(sums.plain / tokens, sample_weight=sums.tokens)
        self.tokens.update_state(sums.tokens)
        return sums.objective / tokens

    def sums(self, batch: dict[str, tf.Tensor], outputs: tf.Tensor) -> Sums:
        """The losses of a batch, from its output vectors in training."""
        targets = tf.reshape(batch["target"], (-1,))
        outputs = tf.reshape(outputs, (-1, outputs.shape[-1]))
        passes = 1
        if self.consistency:  # both of a token side by side
            passes, width = 2, outputs.shape[-1]
            outputs = tf.reshape(tf.transpose(tf.reshape(outputs, (passes, -1, width)), (1, 0, 2)), (-1, width))
            targets = tf.repeat(targets, passes)
        table = tf.cast(self.model.output_embedding.table, outputs.dtype)
        real = tf.cast(targets != 0, tf.float32)
        losses = summed_losses(
            outputs, table, targets, real, self.smoothing, self.consistency, jit_compile=self.extent == "parts"
        )
        return Sums(*(values / passes for values in (*losses, tf.reduce_sum(real))))

    def compile_extent(self, extent: Extent) -> None:
        """Has XLA compile so much of a step from now on."""
        self.extent = extent
        for layer in self.model.recurrent_layers():
            layer.compile_loops = extent == "parts"
        self._make_step()

    def _make_step(self) -> None:
        adam: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of half precision's loss scaling
        adam.jit_compile = self.extent == "parts"
        self.jit_compile = self.extent == "step"
        self.make_train_function(force=True)


class DistributedTrainee(Trainee):
    """A `Trainee` that makes the same step on many replicas as on one, each of them with its rows of the batch.

    The loss is the mean over the real tokens of the whole batch: Keras's own step would take the mean of the replicas'
    means. The gradients are summed before they are clipped: Keras's own would clip those of each replica. It is made
    outside the strategy's scope, so that `fit` counts and reports as on one device; `model` is made within.

    Args:
        model: what learns.
        schedule: of the learning rate.
        settings: of the training, of which those of the loss count.
        strategy: of the replicas.
    """

    train_function: Any

    def __init__(
        self,
        model: TokenModel,
        schedule: LearningRate,
        settings: TrainingSettings,
        strategy: tf.distribute.Strategy,
    ) -> None:
        super().__init__(model, schedule, settings)
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

        if self.static_shapes:  # which a batch has outside a function only
            traced = tf.function(step, autograph=False)
            self.train_function = lambda iterator: traced(next(iterator))
        else:
            self.train_function = tf.function(
                lambda iterator: step(next(iterator)), reduce_retracing=True, autograph=False
            )

    def _make_step(self) -> None:
        """XLA never compiles what passes between replicas, but on TPUs, where `run` has everything compiled."""
        self.differentiate = self._differentiate
        if not self.static_shapes:
            self.differentiate = tf.function(
                self._differentiate, reduce_retracing=True, jit_compile=self.extent == "step", autograph=False
            )
        self.make_train_function(force=True)

    def _replica_step(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """A replica's part of a step; returns the sums over the whole batch of which metrics are made."""
        context = tf.distribute.get_replica_context()
        real = tf.reduce_sum(tf.cast(batch["target"] != 0, tf.float32))
        tokens = context.all_reduce(tf.distribute.ReduceOp.SUM, real)
        sums, gradients = self.differentiate(batch, tokens)
        sums, *gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, [sums, *gradients])
        self.optimizer.apply(gradients, self.trainable_variables)
        return sums

    def _differentiate(self, batch: dict[str, tf.Tensor], tokens: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The part of a step that needs no other replica.

        Args:
            batch: a replica's rows.
            tokens: real ones of the whole batch.

        Returns:
            Sums over these rows: of the objective and the plain losses, of tokens and of sentences. And the gradients
            of this replica's share of the mean loss.
        """
        with tf.GradientTape() as tape:
            sums = self.sums(batch, self(batch, training=True))
            loss = self.optimizer.scale_loss(sums.objective / tf.maximum(tokens, 1.0))
        gradients = tape.gradient(loss, self.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        sentences = tf.reduce_sum(tf.cast(tf.reduce_any(batch["target"] != 0, 1), tf.float32))
        return tf.stack([*sums, sentences]), gradients


@keras.saving.register_keras_serializable("nmt")
class Adam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015) that leaves the weights as they are at the end of `fit`.

    Keras would put their moving averages in their place, and training could not go on from there. The averages' decay
    grows with the updates t, min(ema_momentum, t / (9 + t)), lest they hang on to the weights of the beginning.

    With `jit_compile`, XLA compiles the update by itself: its many passes over the weights become one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.jit_compile = False
        self._compiled = tf.function(super().apply, jit_compile=True, autograph=False)

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        """Makes an update; see `keras.Optimizer`."""
        if not self.jit_compile:
            return super().apply(grads, trainable_variables)
        assert self.built  # with the same variables: they are not passed on, lest TensorFlow takes them for numbers
        return self._compiled([tf.convert_to_tensor(gradient) for gradient in grads])

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        if not self.use_ema:
            return
        update = tf.cast(self.iterations, tf.float32)
        decay = tf.minimum(self.ema_momentum, update / (9 + update))  # the averages begin as zeros
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            average.assign(decay * average + (1 - decay) * variable)

    def finalize_variable_values(self, var_list: Any) -> None:
        """Does nothing; see the class."""


@keras.saving.register_keras_serializable("nmt")
class ReplicaAdam(Adam):
    """`Adam` for gradients that are the same on all replicas: each updates its own copy of the variables.

    Keras's own would sum the gradients once more, and only after they were clipped.
    """

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def _backend_increment_gradient_accumulators(self, grads: Any, acc_grads: Any) -> None:
        for gradient, accumulator in zip(grads, acc_grads, strict=True):
            accumulator.assign(accumulator + gradient)


@contextmanager
def averaged_weights(trainee: Trainee) -> Iterator[None]:
    """Within, the model has the moving averages of its weights, if it keeps them; afterwards its own again."""
    optimizer: Any = getattr(
        trainee.optimizer, "inner_optimizer", trainee.optimizer
    )  # of half precision's loss scaling
    if not optimizer.use_ema:
        yield
        return
    weights = optimizer._trainable_variables
    own = [weight.numpy() for weight in weights]
    for weight, average in zip(weights, optimizer._model_variables_moving_average, strict=True):
        weight.assign(average)
    try:
        yield
    finally:
        for weight, value in zip(weights, own, strict=True):
            weight.assign(value)


def make_trainee(
    model: TokenModel, settings: TrainingSettings, strategy: tf.distribute.Strategy | None = None
) -> Trainee:
    """Compiles `model` with Adam, its schedule, clipping, averaging and accumulation, ready for `fit`.

    Args:
        model: what learns, made within the strategy's scope.
        settings: of the training.
        strategy: of the replicas; None is one device.
    """
    with strategy.scope() if strategy else nullcontext():
        schedule = LearningRate(settings)
        optimizer: Any = (ReplicaAdam if strategy else Adam)(
            schedule,
            beta_2=0.98,  # as Vaswani et al. 2017, section 5.3: forgets the large gradients of the first steps sooner
            epsilon=1e-9,
            global_clipnorm=settings.clip_norm,
            use_ema=settings.average_decay > 0,
            ema_momentum=settings.average_decay or 0.99,
            gradient_accumulation_steps=settings.accumulate if settings.accumulate > 1 else None,
        )
        if settings.precision == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(model.trainable_variables)
    if strategy is None:
        trainee = Trainee(model, schedule, settings)
    else:
        trainee = DistributedTrainee(model, schedule, settings, strategy)
    trainee.compile(optimizer=optimizer, jit_compile=False)
    trainee.compile_extent("none" if settings.xla == "auto" else settings.xla)
    return trainee
