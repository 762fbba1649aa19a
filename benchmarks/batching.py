"""Puts concurrent requests together into batches as TensorFlow Serving does, for `prediction_service.py`."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow.core.protobuf import error_codes_pb2

Arrays = Mapping[str, np.ndarray]


class Batching(NamedTuple):
    """What `--batching_parameters_file` holds, and the server's defaults."""

    max_batch_size: int = 1000  # rows of a batch, and of a request
    batch_timeout_micros: int = 0  # that a request may wait for others while a thread is free
    max_enqueued_batches: int = 10  # of one signature; more are refused
    num_batch_threads: int = os.cpu_count() or 1


class Refusal(Exception):
    """A request that is refused: the status code's name, and the server's words."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(code, said)
        self.code, self.said = code, said


def read_batching(path: Path) -> Batching:
    """Reads a batching configuration, strictly, as the protocol buffer that the server takes it for.

    Args:
        path: a text-format `tensorflow.serving.BatchingParameters`, which the package tensorflow-serving-api lacks.

    Returns:
        The settings; the server's defaults stand for those that are absent.

    Raises:
        google.protobuf.text_format.ParseError: if the file has an unknown field or is no text format.
    """
    wrappers = wrappers_pb2.DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(
        name="batching_parameters.proto", package="stand_in", syntax="proto3", dependency=[wrappers.name]
    )
    parameters = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(Batching._fields, 1):
        parameters.field.add(name=name, number=number, label=1, type=11, type_name=".google.protobuf.Int64Value")
    parameters.field.add(name="allowed_batch_sizes", number=6, label=3, type=3)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.serialized_pb)
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("stand_in.BatchingParameters"))()
    text_format.Parse(path.read_text(encoding="utf-8"), message)
    return Batching(**{name: getattr(message, name).value for name in Batching._fields if message.HasField(name)})


class _Task(NamedTuple):
    inputs: Arrays
    size: int
    arrived: float
    outputs: "Future[dict[str, np.ndarray]]"


class Batcher:
    """Runs requests of the same signature together, in a few threads that all signatures share.

    A batch starts when a thread is free and either the batch is full or its first request has waited long enough. The
    signature whose turn was due first goes first.

    Args:
        signatures: functions from named tensors to named tensors.
        settings: see `Batching`.
    """

    def __init__(self, signatures: Mapping[str, Callable[..., Mapping[str, Any]]], settings: Batching) -> None:
        self.signatures, self.settings = signatures, settings
        self.queues: dict[str, deque[_Task]] = {name: deque() for name in signatures}
        self.changed = threading.Condition()
        self.closed = False
        self.threads = [threading.Thread(target=self._work) for _ in range(settings.num_batch_threads)]

    def __enter__(self) -> "Batcher":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join()

    def run(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Answers a request.

        Args:
            signature: its name.
            inputs: arrays `[batch, ...]`.

        Returns:
            The outputs, `[batch, ...]`.

        Raises:
            Refusal: if the request is too large, too many wait, or TensorFlow fails.
        """
        if not all(values.ndim for values in inputs.values()):
            raise Refusal("INVALID_ARGUMENT", "Batching Run() input tensors must have at least one dimension")
        sizes = {len(values) for values in inputs.values()}
        if len(sizes) != 1:
            raise Refusal("INVALID_ARGUMENT", "Batching Run() input tensors must have equal 0th-dimension size")
        largest = self.settings.max_batch_size
        task = _Task(inputs, sizes.pop(), time.monotonic(), Future())
        if task.size > largest:
            said = f"Task size {task.size} is larger than maximum input batch size {largest}"
            raise Refusal("INVALID_ARGUMENT", said)
        with self.changed:
            queue = self.queues[signature]
            if sum(other.size for other in queue) + task.size > largest * self.settings.max_enqueued_batches:
                raise Refusal("UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full")
            queue.append(task)
            self.changed.notify()
        return task.outputs.result()

    def _work(self) -> None:
        while taken := self._next_batch():
            signature, tasks = taken
            try:
                names = tasks[0].inputs
                joined = {name: tf.constant(np.concatenate([task.inputs[name] for task in tasks])) for name in names}
                outputs = {name: tensor.numpy() for name, tensor in self.signatures[signature](**joined).items()}
            except Exception as error:  # whatever it is, somebody waits for an answer
                code = error.error_code if isinstance(error, tf.errors.OpError) else error_codes_pb2.INTERNAL
                for task in tasks:
                    task.outputs.set_exception(Refusal(error_codes_pb2.Code.Name(code), str(error)))
                continue
            start = 0
            for task in tasks:
                end = start + task.size
                task.outputs.set_result({name: values[start:end] for name, values in outputs.items()})
                start = end

    def _next_batch(self) -> tuple[str, list[_Task]] | None:
        """Waits for the next batch; None when all is over."""
        with self.changed:
            while not self.closed:
                due, signature = min((self._due(queue), name) for name, queue in self.queues.items())
                if due <= time.monotonic():
                    return signature, self._take(self.queues[signature])
                self.changed.wait(min(due - time.monotonic(), threading.TIMEOUT_MAX))
            return None

    def _due(self, queue: deque[_Task]) -> float:
        """The time from which a queue's first batch may run."""
        if not queue:
            return float("inf")
        full = sum(task.size for task in queue) >= self.settings.max_batch_size
        return queue[0].arrived + (0 if full else self.settings.batch_timeout_micros / 1e6)

    def _take(self, queue: deque[_Task]) -> list[_Task]:
        tasks = [queue.popleft()]
        size = tasks[0].size
        while queue and size + queue[0].size <= self.settings.max_batch_size:
            tasks.append(queue.popleft())
            size += tasks[-1].size
        return tasks
