"""Serves an exported model by TensorFlow Serving's protocol, where the real server cannot run.

    python benchmarks/prediction_service.py MODEL_FOLDER --port 8500 --rest-port 8501

A stand-in for tests and benchmarks, not for use: one Python process that answers `Predict` and `GetModelMetadata` by
gRPC, and `:predict` and the model's status by REST. As far as it goes it does what the server's source says: it loads
the folder's highest version and runs its warm-up requests first, puts requests of one signature together by
deploy/batching.config, and refuses what the server refuses, in its words and with its status codes.
"""

import argparse
import base64
import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers its operations)
from batching import Batcher, Batching, Refusal, read_batching
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from nmt.serving.saved_model import DIGESTS
from nmt.utils.digests import check_files

BATCHING = Path(__file__).parents[1] / "deploy" / "batching.config"
MOST_CLIENTS = 256  # --grpc_max_threads in deploy/compose.yaml
HTTP_CODES = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429}
HTTP_CODES |= {"UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}
# Where a TensorProto holds the values; the server does not use the shorter `tensor_content`.
FIELDS = {tf.string: "string_val", tf.float32: "float_val", tf.int32: "int_val"}


class Addresses(NamedTuple):
    """Where a service listens."""

    grpc: str
    rest: str


@contextmanager
def serving(
    folder: Path,
    name: str = "translator",
    batching: Path | Batching = BATCHING,
    port: int = 0,
    rest_port: int = 0,
) -> Iterator[Addresses]:
    """Serves a model within this process.

    Args:
        folder: the model's folder, whose versions are the folders `1`, `2` and so on in it.
        name: the model's name.
        batching: how requests are put together, or a file that says so.
        port: for gRPC; any that is free if 0.
        rest_port: for REST; 0 for a free one.

    Yields:
        The addresses on this machine alone.
    """
    settings = batching if isinstance(batching, Batching) else read_batching(batching)
    with Model.loaded(folder, name, settings) as model:
        options = (("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0))
        server = grpc.server(ThreadPoolExecutor(MOST_CLIENTS), options=options)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(model), server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        rest = ThreadingHTTPServer(("127.0.0.1", rest_port), type("Handler", (Rest,), {"model": model}))
        thread = threading.Thread(target=rest.serve_forever, daemon=True)
        try:
            server.start()
            thread.start()
            yield Addresses(f"127.0.0.1:{port}", f"127.0.0.1:{rest.server_port}")
        finally:
            server.stop(grace=None).wait()
            rest.shutdown()
            rest.server_close()


class Model:
    """A loaded version of a model."""

    def __init__(self, folder: Path, name: str, batcher: Batcher, definitions: Any) -> None:
        self.name, self.version = name, int(folder.name)
        self.batcher, self.definitions = batcher, definitions

    @classmethod
    @contextmanager
    def loaded(cls, folder: Path, name: str, settings: Batching) -> Iterator["Model"]:
        """Loads the highest version and runs its warm-up requests, until the block is left."""
        versions = [path for path in folder.iterdir() if path.name.isdecimal()]
        if not versions:
            raise SystemExit(f"{folder}: has no versions")
        latest = max(versions, key=lambda path: int(path.name))
        check_files(latest, DIGESTS)
        saved = tf.saved_model.load(str(latest))
        meta_graph = saved_model_pb2.SavedModel.FromString((latest / "saved_model.pb").read_bytes()).meta_graphs[0]
        with Batcher(dict(saved.signatures), settings) as batcher:
            model = cls(latest, name, batcher, meta_graph.signature_def)
            warmup = latest / "assets.extra" / "tf_serving_warmup_requests"
            if warmup.exists():
                for record in tf.data.TFRecordDataset(str(warmup)).as_numpy_iterator():
                    request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
                    inputs = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
                    model.run(request.model_spec.signature_name, inputs)
            yield model

    def check(self, name: str, version: int | None) -> None:
        """Refuses requests for another model."""
        if name != self.name or version not in (None, self.version):
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refusal("NOT_FOUND", f"Servable not found for request: {wanted}")

    def signature(self, name: str) -> Any:
        """The definition of a signature."""
        if name not in self.definitions:
            raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        return self.definitions[name]

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answers a request, together with others."""
        expected = set(self.signature(signature).inputs)
        if given := set(inputs) ^ expected:
            extra, missing = (", ".join(sorted(given & names)) for names in (set(inputs), expected))
            said = f"input size does not match signature. Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
            raise Refusal("INVALID_ARGUMENT", said)
        for name, values in inputs.items():
            if values.dtype != object:  # what numpy makes of strings
                raise Refusal("INVALID_ARGUMENT", f"Expects {name} to be string but {values.dtype} is provided")
        return self.batcher.run(signature, inputs)


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The gRPC side."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs a signature."""
        try:
            self.model.check(*_asked_for(request.model_spec))
            name = request.model_spec.signature_name or "serving_default"
            outputs = self.model.run(name, {key: tf.make_ndarray(value) for key, value in request.inputs.items()})
        except Refusal as refusal:
            context.abort(getattr(grpc.StatusCode, refusal.code), refusal.said)
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.signature_name = self.model.name, name
        response.model_spec.version.value = self.model.version
        for key, values in outputs.items():
            response.outputs[key].CopyFrom(_tensor(values))
        return response

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Describes the signatures."""
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        try:
            self.model.check(*_asked_for(request.model_spec))
            if list(request.metadata_field) != ["signature_def"]:
                raise Refusal("INVALID_ARGUMENT", f"Metadata fields {list(request.metadata_field)} are not supported")
        except Refusal as refusal:
            context.abort(getattr(grpc.StatusCode, refusal.code), refusal.said)
        response.model_spec.name, response.model_spec.version.value = self.model.name, self.model.version
        definitions = get_model_metadata_pb2.SignatureDefMap(signature_def=self.model.definitions)
        response.metadata["signature_def"].Pack(definitions)
        return response


class Rest(BaseHTTPRequestHandler):
    """The REST side."""

    model: Model
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The model's status."""
        self._answer(r"/v1/models/([^/:]+)(?:/versions/(\d+))?", self._status)

    def do_POST(self) -> None:
        """Runs a signature."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict", lambda: self._predict(body))

    def _answer(self, pattern: str, answer: Callable[[], dict[str, Any]]) -> None:
        try:
            match = re.fullmatch(pattern, self.path)
            if not match:
                raise Refusal("INVALID_ARGUMENT", f"Malformed request: {self.command} {self.path}")
            self.model.check(match[1], int(match[2]) if match[2] else None)
            code, found = 200, answer()
        except Refusal as refusal:
            code, found = HTTP_CODES.get(refusal.code, 500), {"error": refusal.said}
        body = json.dumps(found, ensure_ascii=False, indent=4).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _status(self) -> dict[str, Any]:
        status = {"error_code": "OK", "error_message": ""}
        return {"model_version_status": [{"version": str(self.model.version), "state": "AVAILABLE", "status": status}]}

    def _predict(self, body: bytes) -> dict[str, Any]:
        try:
            request = json.loads(body)
            signature = request.get("signature_name", "serving_default")
            expected = list(self.model.signature(signature).inputs)
            by_row = "instances" in request
            given = request["instances" if by_row else "inputs"]
            if by_row:
                rows = [row if set(row) == set(expected) else {expected[0]: row} for row in given]
                given = {name: [row[name] for row in rows] for name in rows[0]}
            elif not isinstance(given, dict):
                given = {expected[0]: given}
            inputs = {name: np.array([_string(value) for value in values], object) for name, values in given.items()}
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise Refusal("INVALID_ARGUMENT", f"JSON Parse error: {error!r}") from None
        outputs = {name: _plain(values.tolist()) for name, values in self.model.run(signature, inputs).items()}
        if not by_row:
            return {"outputs": outputs}
        return {"predictions": [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]}

    def log_message(self, *_: Any) -> None:
        """Keeps silent."""


def _asked_for(spec: Any) -> tuple[str, int | None]:
    return spec.name, spec.version.value if spec.HasField("version") else None


def _string(value: Any) -> bytes:
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()


def _plain(values: Any) -> Any:
    if isinstance(values, list):
        return [_plain(value) for value in values]
    return values.decode("utf-8", "replace") if isinstance(values, bytes) else values


def _tensor(values: np.ndarray) -> Any:
    dtype = tf.string if values.dtype == object else tf.as_dtype(values.dtype)
    tensor = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    getattr(tensor, FIELDS[dtype]).extend(values.ravel().tolist())
    return tensor


def main() -> None:
    """Serves until it is ended by a signal; prints the addresses as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the model's folder, which holds its versions")
    parser.add_argument("--name", default="translator", help="of the model")
    parser.add_argument("--port", type=int, default=0, help="for gRPC; any that is free if 0")
    parser.add_argument("--rest-port", type=int, default=0, help="for REST; any that is free if 0")
    parser.add_argument("--batching", type=Path, default=BATCHING, help="a file as TensorFlow Serving reads it")
    options = parser.parse_args()
    # Not the handler of SIGINT, which a program that a shell started in the background ignores.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with serving(options.folder, options.name, options.batching, options.port, options.rest_port) as addresses:
        print(json.dumps(addresses._asdict()), flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
