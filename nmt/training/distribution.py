"""Training on more than one device, by tf.distribute: who takes part, who leads, and what becomes of a lost worker."""

import json
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

# What TensorFlow raises in the others when a process of the cluster has died, restarted, or cannot be reached.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
_ENOUGH_GPUS = 2**16


class Distribution:
    """The devices, and the processes, that train together.

    Args:
        strategy: None is one device.
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
        """Within, variables are made on all devices."""
        return self.strategy.scope() if self.strategy else nullcontext()

    def batches(self, folder: Path, config: Config, shapes: Sequence[Shape], position: Position) -> Any:
        """What `fit` is given: `training_batches`, or a distributed dataset of which each replica gets its rows."""
        return self._distributed(lambda *share: training_batches(folder, config, shapes, position, *share))

    def random_batches(self, shapes: Sequence[Shape], vocabulary: int) -> Any:
        """Likewise `random_batches`."""
        return self._distributed(lambda *share: random_batches(shapes, vocabulary, *share))

    def _distributed(self, make: Callable[..., tf.data.Dataset]) -> Any:
        if self.strategy is None:
            return make()

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            return make(Share(context.input_pipeline_id * replicas, replicas, context.num_replicas_in_sync))

        return self.strategy.distribute_datasets_from_function(of_worker)

    def by_chief(self, work: Callable[[], Sequence[float]], count: int) -> list[float]:
        """Has the chief do some work while the others wait, and gives its results to all.

        Args:
            work: what the chief calls.
            count: of the numbers that it returns.

        Raises:
            UserError: on the others, if the work fails; on the chief, whatever it raised.
        """
        if self.workers == 1:
            return list(work())
        results: Sequence[float] = [0.0] * count
        failure: Exception | None = None
        if self.chief:
            try:
                results = work()
            except Exception as error:  # told to the others, who would wait for ever, before it is raised
                failure = error
        failed, *results = self._sum([float(failure is not None), *results])
        if failure is not None:
            raise failure
        if failed:
            raise UserError("the chief (the first worker) has ended with an error; see what it says")
        return results

    def check_agreement(self, number: float, otherwise: str) -> None:
        """Makes sure that all workers hold the same number.

        Raises:
            UserError: on all of them, with the message `otherwise`.
        """
        (of_chief,) = self.by_chief(lambda: [number], 1)
        if self.workers > 1 and self._sum([float(number != of_chief)])[0]:
            raise UserError(otherwise)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within, a worker that dies is told as such by those that are left: within seconds, they wait for no one.

        Raises:
            UserError: in place of TensorFlow's error.
        """
        try:
            yield
        except _LOST as error:
            if self.workers == 1:
                raise
            raise UserError(
                "a worker was lost; start the same command again on all workers, and training goes on from the last "
                "checkpoint"
            ) from error

    def _sum(self, numbers: Sequence[float]) -> list[float]:
        """The sums of numbers over all workers; each waits here for the others."""
        sums = self._summed(tf.constant(numbers, tf.float64))
        return [float(one) for one in self.strategy.experimental_local_results(sums)[0].numpy()]

    def _sum_over_replicas(self, numbers: tf.Tensor) -> Any:
        of_worker = self.strategy.num_replicas_in_sync // self.workers

        def of_replica(numbers: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            once = tf.cast(context.replica_id_in_sync_group % of_worker == 0, numbers.dtype)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, numbers * once)

        return self.strategy.run(of_replica, args=(numbers,))


def make_distribution(settings: TrainingSettings) -> Distribution:
    """Brings together the devices that `training.strategy` names.

    With `multi_worker` this waits until all workers are there, and has to come before TensorFlow computes anything.

    Args:
        settings: of the training.

    Raises:
        UserError: if there is no such device, or the cluster is not described or not as it should be.
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
    """All GPUs of this machine, or all of TensorFlow's CPUs, of which there may be more than one for tests."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return [device.name for device in tf.config.list_logical_devices(kind)]


def find_cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    """The workers that train together: those of TF_CONFIG, else the tasks of a Slurm step.

    Under Slurm each worker takes the GPUs that Slurm lets it see.

    Raises:
        UserError: if neither is there, or it is not as it should be.
    """
    if "TF_CONFIG" in os.environ:
        _check_tf_config(os.environ["TF_CONFIG"])
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_PROCID" in os.environ:
        return _slurm_cluster()
    raise UserError(
        "training.strategy multi_worker: neither TF_CONFIG is set nor Slurm's environment, from which to know the "
        "other workers"
    )


def _check_tf_config(text: str) -> None:
    """Raises UserError unless `text` names workers, and one of them as this process."""
    example = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        tree = json.loads(text)
        cluster, task = tree["cluster"], tree["task"]
        kind, index = task["type"], int(task["index"])
        addresses = [address for of_kind in cluster.values() for address in of_kind]
        sound = all(isinstance(address, str) and ":" in address for address in addresses)
    except ValueError as error:
        raise UserError(f"TF_CONFIG: expected {example}: {error}") from None
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"TF_CONFIG: expected {example}, got {text}") from None
    if not sound or any(isinstance(of_kind, str) for of_kind in cluster.values()):
        raise UserError(f"TF_CONFIG: expected an address as host:port for each worker, got {cluster}")
    if unknown := [name for name in (*cluster, kind) if name not in ("chief", "worker")]:
        raise UserError(f"TF_CONFIG: expected only tasks of type chief or worker, got {unknown[0]}")
    if not 0 <= index < len(cluster.get(kind, ())):
        raise UserError(f"TF_CONFIG: the cluster has no {kind} {index}: it has {len(cluster.get(kind, ()))}")


def _slurm_cluster() -> tf.distribute.cluster_resolver.ClusterResolver:
    try:
        # TensorFlow's way of dealing GPUs to tasks cannot do without any, so it is given enough, and none is taken.
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
