"""What reads bytes that others wrote, each as a function of bytes: for coverage-guided fuzzing by atheris.

    python benchmarks/fuzz_readers.py READER CORPUS [OPTION OF LIBFUZZER ...]

Each reader may raise the project's own errors, of one line. Anything else that it raises is a fault. `fuzz.py readers`
runs one after the other; tests/test_fuzz_corpora.py reads again what they have found, without atheris.
"""

import functools
import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    """Fuzzes one reader until libFuzzer's options say that it is enough."""
    import atheris

    name, *options = sys.argv[1:]
    # What a reader calls is imported by it, and looked into.
    libraries = ["numpy.lib", "zipfile", "gzip", "bz2", "lzma", "json", "yaml", "http", "urllib", "email"]
    with atheris.instrument_imports(include=["nmt", *libraries]):
        READERS[name](b"")
    atheris.Setup([sys.argv[0], *options], READERS[name])
    atheris.Fuzz()


def _allowed(reader: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Lets a reader raise the project's own errors, of one line of at most 500 characters."""

    @functools.wraps(reader)
    def read(content: bytes) -> None:
        from nmt.serving.transports import RequestError
        from nmt.utils.errors import UserError

        try:
            reader(content)
        except UserError as error:
            if len(str(error)) > 500 or len(str(error).splitlines()) != 1:
                raise ValueError(f"not one line of at most 500 characters: {error}") from error
        except RequestError:
            pass

    return read


@functools.cache
def _folder() -> Path:
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))


def _file(name: str, content: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@_allowed
def read_lines_of_text(content: bytes) -> None:
    """Lines of a file of any encoding and compression; the first byte chooses its name."""
    from nmt.utils.lines import read_lines, read_text_lines

    suffix = ("txt", "gz", "bz2", "xz")[content[0] % 4] if content else "txt"
    path = _file(f"lines.{suffix}", content[1:])
    for line in read_lines(path):
        assert b"\n" not in line
    list(read_text_lines(path))


@_allowed
def read_table(content: bytes) -> None:
    """Rows of a table."""
    from nmt.config import DataSettings
    from nmt.data.readers import read_split

    corpus: Any = {"kind": "tsv", "train": [_file("pairs.tsv", content)]}
    rows = read_split(DataSettings(source_language="en", target_language="de", corpus=corpus), "train")
    for pair in rows or ():
        assert b"\t" not in pair.source + pair.target


@_allowed
def read_settings(content: bytes) -> None:
    """A configuration, given by hand and of a run."""
    from nmt.config import load_config, load_saved_config

    path = _file("config.yaml", content)
    try:
        load_config(path)
    finally:
        load_saved_config(path)


@_allowed
def read_records(content: bytes) -> None:
    """The records of a run in JSON; the first byte chooses which."""
    from nmt.data.preparation import check_complete
    from nmt.runs.folder import RunFolder, check_format, run_id
    from nmt.runs.metrics import read_metrics
    from nmt.runs.verification import verify_run
    from nmt.utils.digests import check_files

    run = RunFolder(_folder() / "run")
    shutil.rmtree(run.path, ignore_errors=True)
    places = (run.format, run.metrics, run.data / "report.json", run.tuning, run.path / "digests.json")
    place = places[content[0] % len(places)] if content else run.format
    _file("run/run.json", b'{"format": 2, "nmt": "0.1.0"}')
    _file(place.relative_to(_folder()).as_posix(), content[1:])
    for file in verify_run(run.path):
        assert file.path
    for read in (
        lambda: check_format(run), lambda: run_id(run), lambda: read_metrics(run), lambda: check_complete(run.data),
        lambda: check_files(run.path, "digests.json"),
    ):  # fmt: skip
        _allowed(lambda _, read=read: read())(b"")


@_allowed
def read_checkpoint(content: bytes) -> None:
    """The arrays of a checkpoint."""
    from nmt.runs.checkpoints import load_arrays

    load_arrays(_file("best.npz", content))


@_allowed
def read_store(content: bytes) -> None:
    """The ids and offsets of a token store; the first two bytes say where the one ends and the other begins."""
    from nmt.data.token_store import TokenizedCorpus, check_ids

    place = 2 + int.from_bytes(content[:2], "little")
    for side in ("source", "target"):
        _file(f"store/train.{side}.ids.npy", content[2:place])
        _file(f"store/train.{side}.offsets.npy", content[place:])
    check_ids(_folder() / "store", "train", "source", 300)
    corpus = TokenizedCorpus.open(_folder() / "store", "train")
    if len(corpus) and corpus.source_lengths.max() < 10_000:
        import numpy as np

        corpus.gather(np.arange(min(len(corpus), 9)), corpus.source_lengths.max(), corpus.target_lengths.max())


@_allowed
def read_tokenizer(content: bytes) -> None:
    """A model of SentencePiece: for the graph, and for LiteRT's translator."""
    from nmt.serving.lite.translator import _load_tokenizer
    from nmt.text.tokenizer import _load

    try:
        processor = _load(content, "tokenizer")
        processor.decode(processor.encode("a strange word"))
    finally:
        _load_tokenizer(_file("source.model", content)).encode("a strange word")


class _Socket:
    """What `http.client` reads an answer from."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self.content)


class _Opener:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def open(self, request: Any, timeout: float) -> Any:
        """Reads an answer as `urllib` does."""
        import http.client
        import urllib.error

        response = http.client.HTTPResponse(_Socket(self.content), method="POST")
        try:
            response.begin()
        except OSError as error:
            raise urllib.error.URLError(error) from None
        if not 200 <= response.status < 300:
            raise urllib.error.HTTPError(request.full_url, response.status, response.reason, response.headers, response)
        return response


@_allowed
def read_rest_answer(content: bytes) -> None:
    """An answer by REST, from its status line on."""
    import nmt.serving.transports

    transports = nmt.serving.transports

    class Deadline(transports._Deadline):
        def __init__(self, timeout: float) -> None:
            super().__init__(timeout)
            self.opener = _Opener(content)

        def __enter__(self) -> None:
            pass

    genuine, transports._Deadline = transports._Deadline, Deadline
    try:
        with transports.rest_transport("localhost:1", "translator") as predict:
            _read_outputs(predict("nbest", {"text": [b"a", b"b"]}, 5.0))
    finally:
        transports._Deadline = genuine


@_allowed
def read_grpc_answer(content: bytes) -> None:
    """An answer by gRPC, from its protocol buffer on."""
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.predict_pb2 import PredictResponse

    from nmt.serving.transports import values_of

    try:
        response = PredictResponse.FromString(content)
    except DecodeError:  # gRPC makes an error of it
        return
    _read_outputs(values_of(response))


def _read_outputs(outputs: Any) -> None:
    from nmt.serving.client import _Endpoint, _rows, _translations

    for signature, names in (("nbest", ("translations", "scores")), ("serving_default", ("translation", "score"))):
        endpoint = _Endpoint("localhost", "translator", signature, names, True, 5.0)

        def read(_: bytes, endpoint: Any = endpoint, signature: str = signature) -> None:
            for text, score in _rows(endpoint, 2, outputs):
                _translations(endpoint, *((text, score) if signature == "nbest" else ([text], [score])))

        _allowed(read)(b"")


@_allowed
def read_lite_export(content: bytes) -> None:
    """The files of a LiteRT export that are read before its models are loaded; the first byte chooses which."""
    import json

    import nmt.serving.lite.translator
    from nmt.utils.digests import check_files

    lite = nmt.serving.lite.translator
    names = (lite.SETTINGS, lite.DIGESTS, lite.SOURCE_TOKENIZER)
    settings = {
        "format": lite.FORMAT,
        "max_tokens": 9,
        "max_length_factor": 1.5,
        "max_length_offset": 9,
        "min_length": 0,
    }
    _file(f"lite/{lite.SETTINGS}", json.dumps(settings | {"placeholders": [], "sha256": {}}).encode())
    for name in names[1:]:
        (_folder() / "lite" / name).unlink(missing_ok=True)
    path = _file(f"lite/{names[content[0] % len(names)] if content else lite.SETTINGS}", content[1:])
    checks = (
        lambda: check_files(path.parent, lite.DIGESTS, wholly=True),
        lambda: lite._check_files(path.parent, lite._read_settings(path.parent)["sha256"]),
        lambda: lite._load_tokenizer(path.parent / lite.SOURCE_TOKENIZER),
    )
    for check in checks:
        _allowed(lambda _, check=check: check())(b"")


READERS: dict[str, Callable[[bytes], None]] = {
    "lines": read_lines_of_text,
    "tables": read_table,
    "settings": read_settings,
    "records": read_records,
    "checkpoints": read_checkpoint,
    "stores": read_store,
    "tokenizers": read_tokenizer,
    "rest": read_rest_answer,
    "grpc": read_grpc_answer,
    "lite": read_lite_export,
}


if __name__ == "__main__":
    main()
