"""Answers from a SavedModel through TensorFlow's C API, the way TensorFlow Serving loads and runs one.

    python c_api.py SAVED_MODEL

Each line of stdin is a request: a JSON list of a signature's name and an object from the name of each input to a list
of strings, each in Base64, so that any bytes can go. Each line of stdout is its answer: from the name of each output to
nested lists, strings in Base64 again. It needs the packages tensorflow and tensorflow-text for their shared libraries,
and runs none of their Python.
"""

import base64
import ctypes
import importlib
import importlib.util
import json
import math
import sys
from collections.abc import Mapping, Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint8, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

FLOAT, INT32, STRING = 1, 3, 7  # TF_DataType
NUMBERS = {FLOAT: ctypes.c_float, INT32: ctypes.c_int32}

Strings = Sequence[bytes]


class Buffer(ctypes.Structure):
    """TF_Buffer."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


class Place(ctypes.Structure):
    """TF_Output: one output of an operation in a graph."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


class String(ctypes.Structure):
    """TF_TString; only its size matters here."""

    _fields_ = (("bytes", c_uint8 * 24),)


class SavedModel(NamedTuple):
    """A loaded model. It stays until the process ends."""

    library: ctypes.CDLL
    session: int
    graph: int
    signatures: Any  # of the MetaGraphDef: names to SignatureDefs


def open_library() -> ctypes.CDLL:
    """Opens TensorFlow and loads the operations of TensorFlow Text, as the server does.

    Returns:
        The library, with the types of the functions used here.

    Raises:
        RuntimeError: if TensorFlow refuses a library.
    """
    library = ctypes.CDLL(str(next(_package("tensorflow").glob("libtensorflow_cc.*"))), ctypes.RTLD_GLOBAL)
    pointers, tensors = POINTER(c_void_p), POINTER(Place)
    status, strings = c_void_p, POINTER(c_char_p)
    functions: dict[str, tuple[Any, ...]] = {  # the result, then the arguments
        "TF_NewStatus": (c_void_p,),
        "TF_DeleteStatus": (None, status),
        "TF_GetCode": (c_int, status),
        "TF_Message": (c_char_p, status),
        "TF_LoadLibrary": (c_void_p, c_char_p, status),
        "TF_NewGraph": (c_void_p,),
        "TF_NewSessionOptions": (c_void_p,),
        "TF_LoadSessionFromSavedModel": (
            *(c_void_p, c_void_p, POINTER(Buffer), c_char_p, strings, c_int, c_void_p, POINTER(Buffer), status),
        ),
        "TF_GraphOperationByName": (c_void_p, c_void_p, c_char_p),
        "TF_SessionRun": (
            *(None, c_void_p, POINTER(Buffer), tensors, pointers, c_int, tensors, pointers, c_int),
            *(pointers, c_int, POINTER(Buffer), status),
        ),
        "TF_AllocateTensor": (c_void_p, c_int, POINTER(c_int64), c_int, c_size_t),
        "TF_DeleteTensor": (None, c_void_p),
        "TF_TensorType": (c_int, c_void_p),
        "TF_NumDims": (c_int, c_void_p),
        "TF_Dim": (c_int64, c_void_p, c_int),
        "TF_TensorData": (c_void_p, c_void_p),
        "TF_StringInit": (None, POINTER(String)),
        "TF_StringCopy": (None, POINTER(String), c_char_p, c_size_t),
        "TF_StringGetDataPointer": (c_void_p, POINTER(String)),
        "TF_StringGetSize": (c_size_t, POINTER(String)),
        "TF_StringDealloc": (None, POINTER(String)),
    }
    for name, (result, *arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    for path in sorted((_package("tensorflow_text") / "python").glob("*/_*.so")):
        _checked(library, library.TF_LoadLibrary, str(path).encode())
    return library


def load(library: ctypes.CDLL, folder: Path) -> SavedModel:
    """Loads a SavedModel for serving; its variables and resources are ready then.

    Args:
        library: from `open_library`.
        folder: that holds `saved_model.pb`.

    Returns:
        The model, for `answer`.

    Raises:
        RuntimeError: if TensorFlow does not load it.
    """
    graph, meta_graph = library.TF_NewGraph(), Buffer()
    tags = (c_char_p * 1)(b"serve")
    session = _checked(
        library,
        library.TF_LoadSessionFromSavedModel,
        *(library.TF_NewSessionOptions(), None, str(folder).encode(), tags, 1, graph, byref(meta_graph)),
    )
    parsed = _protocol("meta_graph_pb2").MetaGraphDef.FromString(ctypes.string_at(meta_graph.data, meta_graph.length))
    return SavedModel(library, session, graph, parsed.signature_def)


def answer(model: SavedModel, signature: str, inputs: Mapping[str, Strings]) -> dict[str, Any]:
    """Runs a signature.

    Args:
        model: from `load`.
        signature: its name.
        inputs: from the name of each input to its strings, `[batch]`.

    Returns:
        From the name of each output to its values, as nested lists of bytes or numbers.

    Raises:
        RuntimeError: if TensorFlow cannot run it.
    """
    library, definition = model.library, model.signatures[signature]
    names = list(definition.outputs)
    fed = (Place * len(inputs))(*(_place(model, definition.inputs[name].name) for name in inputs))
    given = (c_void_p * len(inputs))(*(_tensor(library, strings) for strings in inputs.values()))
    wanted = (Place * len(names))(*(_place(model, definition.outputs[name].name) for name in names))
    results = (c_void_p * len(names))()
    _checked(
        library,
        library.TF_SessionRun,
        *(model.session, None, fed, given, len(fed), wanted, results, len(wanted), None, 0, None),
    )
    values = {name: _values(library, tensor) for name, tensor in zip(names, results, strict=True)}
    for tensor, strings in zip(given, inputs.values(), strict=True):
        for string in _array(library, tensor, String, len(strings)):
            library.TF_StringDealloc(byref(string))
    for tensor in (*given, *results):
        library.TF_DeleteTensor(tensor)
    return values


def _package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"expected an installed package {name}")
    return Path(found.submodule_search_locations[0])


def _protocol(name: str) -> Any:
    """A module of TensorFlow's protocol buffers, without the import of TensorFlow that stands before it."""
    package = importlib.util.find_spec("tensorflow")
    if package and "tensorflow" not in sys.modules:
        sys.modules["tensorflow"] = importlib.util.module_from_spec(package)  # made, not run
    return importlib.import_module(f"tensorflow.core.protobuf.{name}")


def _checked(library: ctypes.CDLL, function: Any, *arguments: Any) -> Any:
    """Calls a function that reports by a status, its last argument."""
    status = library.TF_NewStatus()
    try:
        result = function(*arguments, status)
        if library.TF_GetCode(status):
            raise RuntimeError(library.TF_Message(status).decode("utf-8", "replace"))
    finally:
        library.TF_DeleteStatus(status)
    return result


def _place(model: SavedModel, name: str) -> Place:
    """Where a tensor such as `serving_default_text:0` is in the graph."""
    operation, _, index = name.partition(":")
    return Place(model.library.TF_GraphOperationByName(model.graph, operation.encode()), int(index))


def _tensor(library: ctypes.CDLL, strings: Strings) -> int:
    shape = (c_int64 * 1)(len(strings))
    tensor = library.TF_AllocateTensor(STRING, shape, 1, len(strings) * ctypes.sizeof(String))
    for place, string in zip(_array(library, tensor, String, len(strings)), strings, strict=True):
        library.TF_StringInit(byref(place))
        library.TF_StringCopy(byref(place), string, len(string))
    return tensor


def _values(library: ctypes.CDLL, tensor: int) -> Any:
    """The tensor's values as nested lists."""
    shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
    kind, count = library.TF_TensorType(tensor), math.prod(shape)
    values: list[Any]
    if kind == STRING:
        values = [
            ctypes.string_at(library.TF_StringGetDataPointer(byref(string)), library.TF_StringGetSize(byref(string)))
            for string in _array(library, tensor, String, count)
        ]
    else:
        values = list(_array(library, tensor, NUMBERS[kind], count))
    for size in reversed(shape[1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values


def _array(library: ctypes.CDLL, tensor: int, kind: Any, count: int) -> Any:
    """The memory of a tensor; none where the tensor is empty, for which TensorFlow may have no address."""
    address = library.TF_TensorData(tensor)
    return (kind * count).from_address(address) if count else ()


def _encoded(values: Any) -> Any:
    """The same lists with Base64 in place of bytes."""
    if isinstance(values, list):
        return [_encoded(value) for value in values]
    return base64.b64encode(values).decode() if isinstance(values, bytes) else values


def main() -> None:
    """Answers stdin's requests, line by line."""
    model = load(open_library(), Path(sys.argv[1]))
    for line in sys.stdin:
        signature, request = json.loads(line)
        inputs = {name: [base64.b64decode(text) for text in texts] for name, texts in request.items()}
        values = answer(model, signature, inputs)
        print(json.dumps({name: _encoded(value) for name, value in values.items()}), flush=True)


if __name__ == "__main__":
    main()
