"""What the readers of `fuzz_readers.py` read without an error, for the fuzzing to begin with."""

import bz2
import gzip
import io
import json
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nmt.utils.digests import sealed

_TEXT = "Grüße\tHello\r\n日本\tJapan\n"


def _lines() -> list[bytes]:
    plain = [_TEXT.encode(code) for code in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le")]
    packed = [pack(_TEXT.encode()) for pack in (gzip.compress, bz2.compress, lzma.compress)]
    odd = [b"a\rb\r", b"PK\x03\x04", b"%PDF-", b"\xe4\n\xe4\n\xe4\n"]
    return [bytes([number % 4]) + content for number, content in enumerate([*plain, *packed, *odd])]


def _tables() -> list[bytes]:
    packed = gzip.compress(_TEXT.encode())
    return [_TEXT.encode(), b"en\tde\na\tb\n", b'"a ""b"""\t"c"\n', b"1\ta\tb\n2\tc\td\n" * 3, packed]


def _settings() -> list[bytes]:
    return [path.read_bytes() for path in (Path(__file__).parents[1] / "configs").glob("*.yaml")]


def _records() -> list[bytes]:
    files = {"a": {"size": 1, "sha256": "0"}}
    vocabulary = {"source": 300, "target": 300}
    records: list[Any] = [
        {"format": 2, "nmt": "0.1.0"},
        {"step": 1},
        {"settings": {}, "shapes": [[1, 2, 3]], "vocabulary": vocabulary, "files": files},
        {"chosen": {}},
        {"files": files},
    ]
    makers: list[Callable[[Any], Any]] = [dict, sealed]
    return [bytes([kind]) + json.dumps(make(each)).encode() for kind, each in enumerate(records) for make in makers]


def _checkpoints() -> list[bytes]:
    from nmt.runs.checkpoints import save_arrays

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "a.npz"
        save_arrays(path, {"weights/a": np.zeros(2, np.float32), "random/0": np.arange(2)}, {"step": 1})
        return [path.read_bytes()]


def _stores() -> list[bytes]:
    ids, offsets = io.BytesIO(), io.BytesIO()
    np.save(ids, np.array([5, 6, 3, 7, 3], np.uint16))
    np.save(offsets, np.array([0, 3, 5]))
    return [len(ids.getvalue()).to_bytes(2, "little") + ids.getvalue() + offsets.getvalue()]


def _tokenizers() -> list[bytes]:
    from nmt.text.tokenizer import train_tokenizer

    return [train_tokenizer(["a strange word"], 300), b""]


def _rest() -> list[bytes]:
    body = b'{"outputs": {"translations": [["a"], ["b"]], "scores": [[-1.0], [NaN]]}}'
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    single = b'HTTP/1.0 200 OK\r\n\r\n{"outputs": {"translation": ["a", "b"], "score": [-1, 1e999]}}'
    errors = [b'HTTP/1.1 404 Not Found\r\n\r\n{"error": "no model"}', b"HTTP/1.1 503\r\n\r\n"]
    return [whole, chunked, single, *errors]


def _grpc() -> list[bytes]:
    from tensorflow import make_tensor_proto
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    response = PredictResponse()
    outputs: dict[str, Any] = {"translations": [["a"], ["b"]], "scores": [[-1.0], [-2.0]]}
    for name, values in outputs.items():
        response.outputs[name].CopyFrom(make_tensor_proto(values))
    return [response.SerializeToString()]


def _lite() -> list[bytes]:
    numbers = {"max_tokens": 9, "max_length_factor": 1.5, "max_length_offset": 9, "min_length": 0}
    settings = {"format": 2, "placeholders": ["braces"], "sha256": {}, **numbers}
    digests = sealed({"files": {"settings.json": {"size": 1, "sha256": "0"}}})
    contents = [json.dumps(settings).encode(), json.dumps(digests).encode(), _tokenizers()[0]]
    return [bytes([kind]) + content for kind, content in enumerate(contents)]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "lines": _lines,
    "tables": _tables,
    "settings": _settings,
    "records": _records,
    "checkpoints": _checkpoints,
    "stores": _stores,
    "tokenizers": _tokenizers,
    "rest": _rest,
    "grpc": _grpc,
    "lite": _lite,
}
