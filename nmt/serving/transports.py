"""The two protocols of TensorFlow Serving, gRPC and REST, behind one function that sends a request."""

import base64
import json
import math
import os
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path
from typing import Any

from nmt.utils.errors import UserError
from nmt.utils.silence import silenced

Inputs = Mapping[str, Sequence[bytes]]  # from the name of each input to its strings, UTF-8, `[batch]`
Outputs = Mapping[str, Any]  # from the name of each output to its values, nested lists
Predict = Callable[[str, Inputs, float], Outputs]  # signature, inputs, timeout in seconds -> outputs

# The gRPC codes that TensorFlow Serving translates to these HTTP statuses. A gateway answers 502 for a missing server.
_CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 504: "DEADLINE_EXCEEDED"}
_CODES |= {502: "UNAVAILABLE", 503: "UNAVAILABLE"}


# A batch of the longest lines needs some megabytes; a server that sends without end is cut off.
_LARGEST_ANSWER = 64 * 2**20
_LARGEST_MESSAGE = 2**16
_MOST_VALUES = 2**20  # of an output


class RequestError(Exception):
    """A failed request.

    Attributes:
        code: name of the gRPC status code, such as `UNAVAILABLE`.
        message: the server's or the transport's message.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


def predict_request(model: str, signature: str, inputs: Mapping[str, Sequence[bytes | str]]) -> Any:
    """Builds the protocol buffer of a request, as it is sent by gRPC and stored for warm-up.

    Args:
        model: name of the model on the server.
        signature: name of the signature.
        inputs: from the name of each input to its strings, `[batch]`.

    Returns:
        A `tensorflow.serving.PredictRequest`.

    Example:

    >>> request = predict_request("translator", "serving_default", {"text": ["one", "two"]})
    >>> request.model_spec.name, list(request.inputs["text"].string_val)
    ('translator', [b'one', b'two'])
    """
    from tensorflow import make_tensor_proto
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, texts in inputs.items():
        request.inputs[name].CopyFrom(make_tensor_proto(list(texts), shape=[len(texts)]))
    return request


@contextmanager
def grpc_transport(server: str, model: str) -> Iterator[Predict]:
    """Opens a gRPC channel; leaving the block cancels all open requests.

    Args:
        server: host and port, or another name that gRPC resolves; `https://` before it encrypts, and takes only a
            server whose certificate is signed by one of the machine's authorities, or of the file SSL_CERT_FILE.
        model: name of the model on the server.

    Yields:
        A thread-safe function that sends a request and returns its outputs, with strings as bytes. It raises
        `RequestError` if the request fails.

    Raises:
        UserError: if `server` is not a valid address.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC would log to stderr the errors that are raised anyway
    with silenced():
        import grpc
        from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    parsed = _parse_address(server)
    options = {
        "grpc.max_receive_message_length": _LARGEST_ANSWER,  # gRPC's default of 4 MB is too little for long texts
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 2000,
    }
    if parsed.scheme == "https":
        credentials = grpc.ssl_channel_credentials(_authorities())
        opened = grpc.secure_channel(parsed.netloc, credentials, tuple(options.items()))
    else:
        opened = grpc.insecure_channel(server, tuple(options.items()))
    with opened as channel:
        stub = PredictionServiceStub(channel)

        def predict(signature: str, inputs: Inputs, timeout: float) -> Outputs:
            try:
                response = stub.Predict(predict_request(model, signature, inputs), timeout=timeout)
            except grpc.RpcError as error:
                raise RequestError(error.code().name, error.details() or "") from None
            return values_of(response)

        yield predict


def values_of(response: Any) -> Outputs:
    """Reads the outputs of a `tensorflow.serving.PredictResponse` as nested lists.

    Raises:
        RequestError: if a tensor is malformed, or a few bytes stand for more values than an answer can have.
    """
    from tensorflow import make_ndarray

    try:
        for tensor in response.outputs.values():
            if math.prod(dimension.size for dimension in tensor.tensor_shape.dim) > _MOST_VALUES:
                raise ValueError
        return {name: make_ndarray(tensor).tolist() for name, tensor in response.outputs.items()}
    except Exception as error:  # of TensorFlow, which reads what a server made up
        raise RequestError("the answer has a malformed tensor", type(error).__name__) from None


@contextmanager
def rest_transport(server: str, model: str) -> Iterator[Predict]:
    """Connects by REST, without loading TensorFlow.

    Args:
        server: host and port, or an http or https URL.
        model: name of the model on the server.

    Yields:
        A thread-safe function that sends a request and returns its outputs, with strings as `str`. It raises
        `RequestError` if the request fails.

    Raises:
        UserError: if `server` is not a valid address.
    """
    address = server if "://" in server else f"http://{server}"
    if _parse_address(address).scheme not in ("http", "https") or not _parse_address(address).hostname:
        raise UserError(f"{server}: expected an address such as localhost:8501, or an http or https URL")
    url = f"{address.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}:predict"

    def predict(signature: str, inputs: Inputs, timeout: float) -> Outputs:
        # Base64 carries any bytes, NUL included, which JSON strings do not.
        columns = {name: [{"b64": base64.b64encode(text).decode()} for text in texts] for name, texts in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        deadline = _Deadline(timeout)
        try:
            with deadline, deadline.opener.open(request, timeout=timeout) as response:
                content = response.read(_LARGEST_ANSWER + 1)
                if response.length and len(content) <= _LARGEST_ANSWER:  # `read` of a size accepts less
                    raise IncompleteRead(content, response.length)
            if len(content) > _LARGEST_ANSWER:
                raise RequestError("the answer is too large", f"more than {_LARGEST_ANSWER // 2**20} MiB")
            outputs = json.loads(decode(content))["outputs"]
        except urllib.error.HTTPError as error:
            raise RequestError(_CODES.get(error.code, f"HTTP status {error.code}"), _message(error)) from None
        except OSError as error:  # a URLError wraps another OSError as its reason
            reason = getattr(error, "reason", error)
            late = deadline.is_over.is_set() or isinstance(reason, TimeoutError)
            code = "DEADLINE_EXCEEDED" if late else "UNAVAILABLE"
            raise RequestError(code, getattr(reason, "strerror", None) or str(reason)) from None
        except (HTTPException, ValueError, TypeError, KeyError, RecursionError) as error:
            if deadline.is_over.is_set():
                raise RequestError("DEADLINE_EXCEEDED", "the answer is not complete") from None
            raise RequestError("this is not TensorFlow Serving's REST", type(error).__name__) from None
        return outputs if isinstance(outputs, dict) else {"a single output": outputs}

    yield predict


def _authorities() -> bytes | None:
    """Returns the certificates of SSL_CERT_FILE, which Python reads by itself and gRPC does not; None without it."""
    path = os.environ.get("SSL_CERT_FILE")
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: SSL_CERT_FILE names it, but it cannot be read: {error.strerror}") from None


class _Deadline:
    """Closes the connections of a request when its time is over.

    A timeout of sockets is for each single read, so that a server that sends a byte now and then would never exceed it.

    Args:
        timeout: float, seconds from now.

    Attributes:
        opener: opens URLs by connections that end with the deadline.
        is_over: set when the time is over.
    """

    def __init__(self, timeout: float) -> None:
        self.is_over = threading.Event()
        self._connections: list[socket.socket] = []
        self._timer = threading.Timer(timeout, self._close)
        self._timer.daemon = True
        deadline = self

        class Http(urllib.request.HTTPHandler):
            def http_open(self, request: urllib.request.Request) -> HTTPResponse:
                return self.do_open(deadline._guarded(HTTPConnection), request)

        class Https(urllib.request.HTTPSHandler):
            def https_open(self, request: urllib.request.Request) -> HTTPResponse:
                return self.do_open(deadline._guarded(HTTPSConnection), request)

        self.opener = urllib.request.build_opener(Http, Https)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for connection in self._connections:
            connection.close()

    def _guarded(self, kind: type[HTTPConnection]) -> Any:
        """Returns a kind of connection that `_close` ends."""
        deadline = self

        class Guarded(kind):  # type: ignore[valid-type, misc]
            def connect(self) -> None:
                create: Callable[..., socket.socket] = self._create_connection  # type: ignore[has-type]

                def connected(*arguments: Any) -> socket.socket:
                    made: socket.socket = create(*arguments)
                    deadline._connections.append(made.dup())  # TLS takes the other one over
                    return made

                self._create_connection = connected
                super().connect()

        return Guarded

    def _close(self) -> None:
        self.is_over.set()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _message(error: urllib.error.HTTPError) -> str:
    """Returns the message in the body of an HTTP error, or the whole body if it is not TensorFlow Serving's JSON."""
    try:
        body = error.read(_LARGEST_MESSAGE)
    except (OSError, HTTPException):
        return ""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return decode(body)


def _parse_address(address: str) -> urllib.parse.SplitResult:
    try:
        parsed = urllib.parse.urlsplit(address if "://" in address else f"//{address}")
        _ = parsed.port  # reading the port validates it
        if not address.strip():
            raise ValueError("it is empty")
    except ValueError as error:
        raise UserError(f"{address}: expected an address such as localhost:8500 ({error})") from None
    return parsed


def decode(value: bytes | str) -> str:
    r"""Decodes UTF-8, with U+FFFD in place of invalid bytes; a string stays as it is.

    Example:

    >>> decode(b"caf\xc3\xa9"), decode("café")
    ('café', 'café')
    """
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
