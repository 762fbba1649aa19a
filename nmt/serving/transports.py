"""The ways to a server: gRPC and REST, with the same questions, answers and errors."""

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from nmt.utils.errors import UserError
from nmt.utils.silence import silenced

Strings = Mapping[str, Sequence[bytes]]  # from each input's name to its texts
Ask = Callable[[str, Strings, float], Mapping[str, Any]]  # signature, inputs, seconds; to each output's values

# How TensorFlow Serving's REST says the same errors. What a gateway before it adds, 502, means the server is away.
_CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 504: "DEADLINE_EXCEEDED"}
_CODES |= {502: "UNAVAILABLE", 503: "UNAVAILABLE"}


class Refused(Exception):
    """An error of the server or the way to it: its code, as gRPC names it, and what was said."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(code, said)
        self.code, self.said = code, said


def predict_request(model: str, signature: str, inputs: Mapping[str, Sequence[bytes | str]]) -> Any:
    """A request as it goes by gRPC, and as warm-up requests are stored.

    Args:
        model: the model's name.
        signature: the signature's name.
        inputs: from the name of each input to its strings, `[batch]`.

    Returns:
        A `tensorflow.serving.PredictRequest`.
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
def by_grpc(server: str, model: str) -> Iterator[Ask]:
    """Opens the way by gRPC, unencrypted; when the block is left, requests under way end at once.

    Args:
        server: host and port, or another name that gRPC resolves.
        model: the model's name on the server.

    Yields:
        A function that asks, from any thread. Of outputs it returns nested lists, their strings as bytes.

    Raises:
        UserError: if the address cannot be one.
        Refused: from the function, whatever goes wrong.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it would write to stderr what is raised besides
    with silenced():
        import grpc
        from tensorflow import make_ndarray
        from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    _split(server)
    options = {
        "grpc.max_receive_message_length": -1,  # translations of long texts may be longer than the 4 MB of old
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 2000,
    }
    with grpc.insecure_channel(server, tuple(options.items())) as channel:
        stub = PredictionServiceStub(channel)

        def ask(signature: str, inputs: Strings, seconds: float) -> Mapping[str, Any]:
            try:
                answer = stub.Predict(predict_request(model, signature, inputs), timeout=seconds)
            except grpc.RpcError as error:
                raise Refused(error.code().name, error.details() or "") from None
            return {name: make_ndarray(tensor).tolist() for name, tensor in answer.outputs.items()}

        yield ask


@contextmanager
def by_rest(server: str, model: str) -> Iterator[Ask]:
    """Opens the way by REST, without loading TensorFlow; all else is as of `by_grpc`, but that strings are `str`.

    Args:
        server: host and port, or a URL of http or https.
        model: the model's name on the server.
    """
    address = server if "://" in server else f"http://{server}"
    if _split(address).scheme not in ("http", "https") or not _split(address).hostname:
        raise UserError(f"{server}: expected an address such as localhost:8501, or a URL of http or https")
    url = f"{address.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}:predict"

    def ask(signature: str, inputs: Strings, seconds: float) -> Mapping[str, Any]:
        # In Base64 any bytes can go, NUL among them.
        columns = {name: [{"b64": base64.b64encode(text).decode()} for text in texts] for name, texts in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=seconds) as response:
                outputs = json.loads(to_text(response.read()))["outputs"]
        except urllib.error.HTTPError as error:
            raise Refused(_CODES.get(error.code, f"HTTP status {error.code}"), _said(error.read())) from None
        except OSError as error:  # URLError is one, and wraps another
            reason = getattr(error, "reason", error)
            code = "DEADLINE_EXCEEDED" if isinstance(reason, TimeoutError) else "UNAVAILABLE"
            raise Refused(code, getattr(reason, "strerror", None) or str(reason)) from None
        except (HTTPException, ValueError, TypeError, KeyError) as error:
            raise Refused("this is not TensorFlow Serving's REST", type(error).__name__) from None
        return outputs if isinstance(outputs, dict) else {"a single output": outputs}

    yield ask


def _said(body: bytes) -> str:
    """The message in an error's body."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, TypeError, KeyError):
        return to_text(body)


def _split(address: str) -> urllib.parse.SplitResult:
    try:
        split = urllib.parse.urlsplit(address if "://" in address else f"//{address}")
        _ = split.port  # only read, it is checked
        if not address.strip():
            raise ValueError("it is empty")
    except ValueError as error:
        raise UserError(f"{address}: expected an address such as localhost:8500 ({error})") from None
    return split


def to_text(value: bytes | str) -> str:
    """Text from UTF-8; what is none becomes U+FFFD."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
