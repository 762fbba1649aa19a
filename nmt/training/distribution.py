"""Training on several devices, by tf.distribute: the devices, the workers, their chief, and the loss of a worker."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import tensorflow as tf

from nmt.config import Config, TrainingSettings
from nmt.data.batches import Position, Share, random_batches, training_batches
from nmt.data.shapes import Shape
from nmt.utils.errors import UserError

# What TensorFlow raises in the other workers when one has died, was started again, or cannot be reached.
_LOST_WORKER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
_ENOUGH_GPUS = 2**16


class Distribution:
    """The devices, and the processes (workers), that train together.

    Args:
        strategy: the strategy of the devices; None for one device.

    Attributes:
        strategy: the strategy, or None.
        workers: int, the number of processes.
        chief: bool, whether this process is the one that writes, validates and logs.

    Example:

    >>> distribution = Distribution()
    >>> distribution.workers, distribution.chief
    (1, True)
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self.strategy: Any = strategy
        self.workers, self.chief = 1, True
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            cluster = strategy.cluster_resolver.cluster_spec().as_dict()
            own = strategy.cluster_resolver.task_type, strategy.cluster_resolver.task_id
            self.workers = sum(map(len, cluster.values()))
            self.chief = own == ("chief" if "chief" in cluster else "worker", 0)
            self._summed = tf.function(self._sum_over_replicas, autograph=False)

    def scope(self) -> AbstractContextManager[Any]:
        """Returns a context in which variables are made on all devices."""
        return self.strategy.scope() if self.strategy else nullcontext()

    def batches(self, folder: str | Path, config: Config, shapes: Sequence[Shape], position: Position) -> Any:
        """Returns the dataset of `training_batches` for `fit`, which gives each replica its rows of every batch."""
        return self._distributed(lambda *share: training_batches(folder, config, shapes, position, *share))

    def random_batches(self, shapes: Sequence[Shape], vocabulary_size: int) -> Any:
        """Returns the dataset of `random_batches` for `fit`, which gives each replica its rows of every batch."""
        return self._distributed(lambda *share: random_batches(shapes, vocabulary_size, *share))

    def _distributed(self, make: Callable[..., tf.data.Dataset]) -> Any:
        if self.strategy is None:
            return make()

        def make_share(context: tf.distribute.InputContext) -> tf.data.Dataset:
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            return make(Share(context.input_pipeline_id * replicas, replicas, context.num_replicas_in_sync))

        return self.strategy.distribute_datasets_from_function(make_share)

    def run_on_chief(self, work: Callable[[], Sequence[float]], count: int) -> list[float]:
        """Runs a function on the chief while the other workers wait, and returns its results to all of them.

        Args:
            work: the function.
            count: int, the number of its results.

        Returns:
            The results, on every worker.

        Raises:
            UserError: on the other workers, if the function raises an error; the chief raises that error.
        """
        if self.workers == 1:
            return list(work())
        results: Sequence[float] = [0.0] * count
        failure: Exception | None = None
        if self.chief:
            try:
                results = work()
            except Exception as error:  # raised once the other workers know: they would wait for ever
                failure = error
        failed, *results = self._sum([float(failure is not None), *results])
        if failure is not None:
            raise failure
        if failed:
            raise UserError("the chief (the first worker) has ended with an error; see what it logged")
        return results

    def check_agreement(self, number: float, message: str) -> None:
        """Makes sure that all workers have the same number.

        Args:
            number: float, this worker's number.
            message: the message of the error.

        Raises:
            UserError: on all workers, if the numbers differ.
        """
        (of_chief,) = self.run_on_chief(lambda: [number], 1)
        if self.workers > 1 and self._sum([float(number != of_chief)])[0]:
            raise UserError(message)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """While the block runs, the loss of another worker becomes an error that says what to do.

        Raises:
            UserError: within seconds, in place of TensorFlow's error.
        """
        try:
            yield
        except _LOST_WORKER_ERRORS as error:
            if self.workers == 1:
                raise
            raise UserError(
                "a worker was lost; start the same command again on all workers, and training goes on from the last "
                "checkpoint"
            ) from error

    @contextmanager
    def log_on_chief(self) -> Iterator[None]:
        """While the block runs, the other workers, which do what the chief does, log warnings and errors only."""
        logger = logging.getLogger("nmt")
        before = logger.level
        if not self.chief:
            logger.setLevel(max(before, logging.WARNING))
        try:
            yield
        finally:
            logger.setLevel(before)

    def _sum(self, numbers: Sequence[float]) -> list[float]:
        """Sums numbers over all workers; each waits here for the others."""
        sums = self._summed(tf.constant(numbers, tf.float64))
        return [float(one) for one in self.strategy.experimental_local_results(sums)[0].numpy()]

    def _sum_over_replicas(self, numbers: tf.Tensor) -> Any:
        replicas = self.strategy.num_replicas_in_sync // self.workers  # of each worker

        def sum_first_replicas(numbers: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = tf.cast(context.replica_id_in_sync_group % replicas == 0, numbers.dtype)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, numbers * first)

        return self.strategy.run(sum_first_replicas, args=(numbers,))


def make_distribution(settings: TrainingSettings) -> Distribution:
    """Finds the devices that `training.strategy` names.

    With `multi_worker`, this waits until all workers are there, and has to be called before TensorFlow computes
    anything.

    Args:
        settings: the training settings; only `strategy` matters.

    Returns:
        The devices, and the other workers.

    Raises:
        UserError: if there is no such device, or the environment does not describe the cluster.

    Example:

    >>> make_distribution(TrainingSettings(strategy="one_device")).workers
    1
    """
    match settings.strategy:
        case "mirrored":
            return Distribution(tf.distribute.MirroredStrategy(_local_devices()))
        case "multi_worker":
            resolver = find_cluster()
            try:
                return Distribution(tf.distribute.MultiWorkerMirroredStrategy(resolver))
            except (tf.errors.OpError, RuntimeError) as error:
                raise UserError(
                    f"this worker cannot join the others of its cluster: {_first_sentence(error)}"
                ) from error
        case "tpu":
            return Distribution(_tpu_strategy())
        case _:
            return Distribution()


def _local_devices() -> list[str]:
    """All GPUs of this machine; without any, all of TensorFlow's CPUs: tests make several logical ones."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return [device.name for device in tf.config.list_logical_devices(kind)]


def find_cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    """Finds the workers that train together: those of TF_CONFIG, else the tasks of a Slurm step.

    Under Slurm, each worker uses the GPUs that Slurm lets it see.

    Returns:
        The cluster, and this process's place in it.

    Raises:
        UserError: if neither is set, or it does not describe a cluster with this process.
    """
    if "TF_CONFIG" in os.environ:
        _check_tf_config(os.environ["TF_CONFIG"])
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_PROCID" in os.environ:
        return _slurm_cluster()
    raise UserError(
        "training.strategy multi_worker: expected TF_CONFIG or Slurm's environment, which name the other workers; "
        "neither is set"
    )


def _check_tf_config(text: str) -> None:
    """Raises UserError unless `text` names the workers and the one that this process is."""
    example = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        tree = json.loads(text)
        cluster, task = tree["cluster"], tree["task"]
        kind, index = task["type"], int(task["index"])
        addresses = [address for some in cluster.values() for address in some]
        sound = all(isinstance(address, str) and ":" in address for address in addresses)
    except ValueError as error:
        raise UserError(f"TF_CONFIG: expected {example}: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"TF_CONFIG: expected {example}, got {text}") from None
    if not sound or any(isinstance(some, str) for some in cluster.values()):
        raise UserError(f"TF_CONFIG: expected an address as host:port for each worker, got {cluster}")
    if unknown := [name for name in (*cluster, kind) if name not in ("chief", "worker")]:
        raise UserError(f"TF_CONFIG: expected only tasks of type chief or worker, got {unknown[0]}")
    if not 0 <= index < len(cluster.get(kind, ())):
        raise UserError(f"TF_CONFIG: the cluster has no {kind} {index}: it has {len(cluster.get(kind, ()))}")


def _slurm_cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    try:
        # TensorFlow fails to divide no GPUs among the tasks: with more than enough it divides, and takes none of them.
        slurm = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=_ENOUGH_GPUS, gpus_per_task=1, auto_set_gpu=False
        )
        cluster = slurm.cluster_spec()
    except (RuntimeError, ValueError) as error:
        raise UserError(f"training.strategy multi_worker: {_first_sentence(error)}; start it by srun") from error
    address = cluster.task_address(slurm.task_type, slurm.task_id)
    node = os.environ.get("SLURMD_NODENAME")
    if node is not None and address.rpartition(":")[0] != node:
        # TensorFlow sorts hosts by their names, Slurm by their numbers.
        raise UserError(f"Slurm runs task {slurm.task_id} on {node}, TensorFlow takes it for {address}; set TF_CONFIG")
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        cluster,
        task_type=slurm.task_type,
        task_id=slurm.task_id,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer=slurm.rpc_layer,
    )


def _tpu_strategy() -> tf.distribute.Strategy:
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(name)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, RuntimeError, ValueError, ImportError, OSError) as error:
        raise UserError(f"training.strategy tpu: there is no TPU `{name}`: {_first_sentence(error)}") from error


def _first_sentence(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].partition(". ")[0]
