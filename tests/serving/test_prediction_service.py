"""The stand-in for TensorFlow Serving, against which the client and the load test run."""

import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import batching
import grpc
import numpy as np
import pytest
import serving_load
from batching import Batcher, Batching, Refusal
from prediction_service import Addresses, serving
from stand_in import save_stand_in
from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

from nmt.serving.warmup import write_warmup


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_stand_in(folder)
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Addresses]:
    with serving(folder) as addresses:
        yield addresses


def test_metadata_describes_the_signatures(service: Addresses) -> None:
    with grpc.insecure_channel(service.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "translator"
        response = stub.GetModelMetadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        assert {"serving_default", "nbest", "score"} <= set(signatures.signature_def)
        assert sorted(signatures.signature_def["score"].inputs) == ["source", "target"]
        assert response.model_spec.version.value == 1


def test_concurrent_requests_share_batches_and_get_their_own_rows() -> None:
    started, go_on, sizes = threading.Event(), threading.Event(), []

    def double(x: Any) -> dict[str, Any]:
        sizes.append(len(x))
        started.set()
        go_on.wait(10)
        return {"y": x * 2}

    settings = Batching(max_batch_size=8, batch_timeout_micros=0, max_enqueued_batches=4, num_batch_threads=1)
    with Batcher({"double": double}, settings) as batcher, ThreadPoolExecutor(20) as pool:

        def ask(first: int, size: int) -> np.ndarray:
            return batcher.run("double", {"x": np.arange(first, first + size)})["y"]

        results = {0: pool.submit(ask, 0, 1)}
        assert started.wait(10)
        results |= {first: pool.submit(ask, first, 3) for first in range(10, 60, 10)}
        while sum(task.size for task in batcher.queues["double"]) < 15:
            time.sleep(0.01)
        go_on.set()
        found = {first: result.result().tolist() for first, result in results.items()}
    assert sizes == [1, 6, 6, 3]  # three requests of three would be more than eight
    assert found == {0: [0]} | {f: [2 * f, 2 * f + 2, 2 * f + 4] for f in range(10, 60, 10)}


def test_a_full_queue_refuses() -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait(x: Any) -> dict[str, Any]:
        started.set()
        go_on.wait(10)
        return {"y": x}

    settings = Batching(max_batch_size=2, max_enqueued_batches=1, num_batch_threads=1)
    with Batcher({"wait": wait}, settings) as batcher, ThreadPoolExecutor(2) as pool:
        pool.submit(batcher.run, "wait", {"x": np.zeros(1)})
        assert started.wait(10)
        pool.submit(batcher.run, "wait", {"x": np.zeros(2)})
        while not batcher.queues["wait"]:
            time.sleep(0.01)
        with pytest.raises(Refusal, match=r"UNAVAILABLE.*is full"):
            batcher.run("wait", {"x": np.zeros(1)})
        go_on.set()


def test_a_batch_that_is_not_full_waits_until_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now, sizes = 0.0, []
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: now))

    def same(x: Any) -> dict[str, Any]:
        sizes.append(len(x))
        return {"y": x + 0}

    settings = Batching(max_batch_size=4, batch_timeout_micros=300_000, num_batch_threads=1)
    with Batcher({"same": same}, settings) as batcher, ThreadPoolExecutor(4) as pool:
        alone = pool.submit(batcher.run, "same", {"x": np.zeros(1)})
        while not batcher.queues["same"]:
            time.sleep(0.01)
        assert not alone.done()
        now = 0.3
        with batcher.changed:
            batcher.changed.notify()
        alone.result(10)
        list(pool.map(lambda _: batcher.run("same", {"x": np.zeros(1)}), range(4)))  # while the clock stands still
    assert sizes == [1, 4]


def test_an_error_in_a_batch_reaches_all_who_wait_and_the_service_goes_on() -> None:
    def fail(x: Any) -> dict[str, Any]:
        if not np.any(x):
            raise ValueError("no")
        return {"y": x + 0}

    with Batcher({"fail": fail}, Batching(num_batch_threads=1)) as batcher:
        with pytest.raises(Refusal, match=r"INTERNAL.*no"):
            batcher.run("fail", {"x": np.zeros(1)})
        assert batcher.run("fail", {"x": np.ones(1)})["y"].tolist() == [1]


def test_the_load_test_counts_answers_errors_and_what_is_wrong(folder: Path, service: Addresses) -> None:
    sentences = [b"one", b"two"]
    expected = serving_load.answers_alone(folder, [*sentences, *serving_load.STRANGE])
    assert expected[b"one"] == (b"<one>", 3.0)

    def measure(expected: dict, address: str = service.grpc) -> dict[str, Any]:
        return serving_load.load(address, os.getpid(), sentences, expected, clients=4, seconds=0.5)

    fine = measure(expected)
    assert fine["requests"] > 10
    assert fine["errors"] == fine["wrong_answers"] == 0
    wrong = measure(expected | {b"two": expected[b"one"]})
    assert 0 < wrong["wrong_answers"] < wrong["requests"]
    assert wrong["wrong_answers_shown"][0]["text"] == "b'two'"
    slightly_off = measure(expected | {b"two": expected[b"two"]._replace(score=3.01)})
    assert slightly_off["wrong_answers"] > 0


def test_the_highest_version_is_served_and_its_warm_up_requests_are_run(tmp_path: Path) -> None:
    save_stand_in(tmp_path)
    (tmp_path / "1").rename(tmp_path / "9")
    save_stand_in(tmp_path)
    (tmp_path / "1").rename(tmp_path / "10")
    (tmp_path / ".nmt-host-1-0123.part").mkdir()
    write_warmup(tmp_path / "10", ["a text"], "translator")
    with serving(tmp_path) as addresses, urllib.request.urlopen(f"http://{addresses.rest}/v1/models/translator") as got:
        assert json.load(got)["model_version_status"][0]["version"] == "10"
    write_warmup(tmp_path / "10", ["a text"], "translator", batch_sizes=[33])
    with pytest.raises(Refusal, match="Task size 33 is larger"), serving(tmp_path):
        pass
