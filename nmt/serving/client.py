"""A client for exported models on TensorFlow Serving, or on any server with its protocol, by gRPC or REST."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from nmt.documents.lines import translate_text_file
from nmt.serving.transports import Inputs, Outputs, Predict, RequestError, decode, grpc_transport, rest_transport
from nmt.utils.arguments import check_texts
from nmt.utils.errors import UserError
from nmt.utils.lines import read_ahead

# TensorFlow Serving rejects requests larger than its batches, which hold 32 texts in deploy/batching.config.
BATCH_SIZE = 32
IN_FLIGHT = 4
TIMEOUT = 60.0

Item = TypeVar("Item")

_MISSING = -1e8  # scores below mark hypotheses that the search did not find
_RETRY_DELAYS = (0.1, 2.0)  # seconds before the first retry, and at most before any


class Translation(NamedTuple):
    """A translation and its score, the log-probability normalised by length."""

    text: str
    score: float


class PairScore(NamedTuple):
    """The natural log-probability of a given translation, and its number of tokens."""

    log_probability: float
    tokens: int


@dataclass(frozen=True)
class _Endpoint:
    """A signature of a model on a server, and how to send requests to it."""

    server: str
    model: str
    signature: str
    outputs: Sequence[str]
    rest: bool
    timeout: float


def translate_lines(
    server: str,
    lines: Iterable[str],
    *,
    rest: bool = False,
    model: str = "translator",
    timeout: float = TIMEOUT,
    batch_size: int = BATCH_SIZE,
    n_best: bool = False,
    in_flight: int = IN_FLIGHT,
    is_ready: Callable[[], bool] | None = None,
) -> Iterator[list[Translation]]:
    """Translates a stream of lines on a server, reading at most `batch_size * in_flight` lines ahead.

    A request to a server that is unavailable is retried until its timeout, so a client may start before its server.

    Args:
        server: address of the server, such as `localhost:8500`; for REST, such as `localhost:8501`, or a URL.
        lines: the texts.
        rest: whether to send requests by REST instead of gRPC. REST does not load TensorFlow, gRPC does.
        model: name of the model on the server.
        timeout: seconds that a request may take, retries included.
        batch_size: number of lines in a request.
        n_best: whether to return all hypotheses that the model was exported with, instead of the best only.
        in_flight: maximum number of concurrent requests.
        is_ready: function that says whether the next line can be read without waiting. When it cannot, all lines read
            so far are translated and yielded first; None if each line is there.

    Yields:
        The translations of each line, in the order of the lines, the best first.

    Raises:
        UserError: if a request fails; the message names the server and the cause.

    Example:

    >>> for translations in translate_lines("localhost:8500", ["Restart the device."]):  # doctest: +SKIP
    ...     print(translations[0].text)
    Starten Sie das Gerät neu.
    """
    texts = check_texts(lines, "lines", str)
    signature, outputs = (
        ("nbest", ("translations", "scores")) if n_best else ("serving_default", ("translation", "score"))
    )
    endpoint = _Endpoint(server, model, signature, outputs, rest, timeout)
    requests = ({"text": [_encode(line) for line in batch]} for batch in _batches(texts, batch_size, is_ready))
    for text, score in _predict_rows(endpoint, requests, in_flight, is_ready):
        yield _translations(endpoint, *((text, score) if n_best else ([text], [score])))


def translate_file(
    server: str,
    source: str | Path | None,
    output: str | Path | None,
    *,
    as_json: bool = False,
    rest: bool = False,
    model: str = "translator",
    timeout: float = TIMEOUT,
    batch_size: int = BATCH_SIZE,
    n_best: bool = False,
    in_flight: int = IN_FLIGHT,
) -> None:
    """Translates a text file on a server, line by line.

    Args:
        server: address of the server; see `translate_lines`, as for the arguments from `rest` on.
        source: a text file; None for standard input, whose lines are answered once no more are ready.
        output: the file to write, which appears once it is complete; None for standard output.
        as_json: whether to write JSON lines with scores; see `nmt.documents.lines.translate_text_file`.
        rest: whether to send requests by REST instead of gRPC.
        model: name of the model on the server.
        timeout: seconds that a request may take, retries included.
        batch_size: number of lines in a request.
        n_best: whether to write all hypotheses that the model was exported with, in JSON.
        in_flight: maximum number of concurrent requests.

    Raises:
        UserError: if a request fails, or a file cannot be read or written.

    Example:

    >>> translate_file("localhost:8500", "test.en", "test.de")  # doctest: +SKIP
    """

    def translate(lines: Iterable[str], is_ready: Callable[[], bool] | None) -> Iterator[list[Translation]]:
        return translate_lines(
            server,
            lines,
            rest=rest,
            model=model,
            timeout=timeout,
            batch_size=batch_size,
            n_best=n_best,
            in_flight=in_flight,
            is_ready=is_ready,
        )

    translate_text_file(translate, source, output, as_json=as_json)


def score_pairs(
    server: str,
    pairs: Iterable[tuple[str, str]],
    *,
    rest: bool = False,
    model: str = "translator",
    timeout: float = TIMEOUT,
    batch_size: int = BATCH_SIZE,
    in_flight: int = IN_FLIGHT,
) -> Iterator[PairScore]:
    """Scores a stream of given translations on a server.

    Args:
        server: address of the server; see `translate_lines`.
        pairs: pairs of a source and its translation.
        rest: whether to send requests by REST instead of gRPC.
        model: name of the model on the server.
        timeout: seconds that a request may take, retries included.
        batch_size: number of pairs in a request.
        in_flight: maximum number of concurrent requests.

    Yields:
        For each pair, log P(translation | source) and the translation's number of tokens.

    Raises:
        UserError: if a request fails; the message names the server and the cause.

    Example:

    >>> next(score_pairs("localhost:8500", [("On", "An")]))  # doctest: +SKIP
    PairScore(log_probability=-0.93, tokens=2)
    """
    endpoint = _Endpoint(server, model, "score", ("log_probability", "tokens"), rest, timeout)
    requests = (
        {side: [_encode(pair[index]) for pair in batch] for index, side in enumerate(("source", "target"))}
        for batch in _batches(pairs, batch_size)
    )
    for log_probability, tokens in _predict_rows(endpoint, requests, in_flight):
        if not _is_finite(log_probability) or not isinstance(tokens, int):
            raise UserError(
                f"{endpoint.server}: expected a log-probability and a number of tokens, got {log_probability!r} and "
                f"{tokens!r}"
            )
        yield PairScore(log_probability, tokens)


def _predict_rows(
    endpoint: _Endpoint, requests: Iterable[Inputs], in_flight: int, is_ready: Callable[[], bool] | None = None
) -> Iterator[tuple[Any, ...]]:
    """Sends requests concurrently; yields the endpoint's outputs row by row, in the order of the requests."""
    stopped = threading.Event()
    pool = ThreadPoolExecutor(in_flight)
    sent: deque[tuple[int, Future[Outputs]]] = deque()

    def oldest_rows() -> Iterator[tuple[Any, ...]]:
        size, future = sent.popleft()
        return _rows(endpoint, size, future.result())

    try:
        with (rest_transport if endpoint.rest else grpc_transport)(endpoint.server, endpoint.model) as predict:
            for inputs in requests:
                size = len(next(iter(inputs.values())))
                sent.append((size, pool.submit(_predict_with_retries, predict, endpoint, inputs, stopped)))
                while len(sent) == in_flight or (sent and is_ready is not None and not is_ready()):
                    yield from oldest_rows()
            while sent:
                yield from oldest_rows()
    except RequestError as error:
        raise UserError(f"{endpoint.server}: {_describe(error, endpoint)}") from None
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _rows(endpoint: _Endpoint, size: int, outputs: Outputs) -> Iterator[tuple[Any, ...]]:
    """Returns the rows of one response, after checking that it has the expected outputs."""
    columns = [outputs.get(name) for name in endpoint.outputs]
    if not all(isinstance(column, list) and len(column) == size for column in columns):
        raise UserError(
            f"{endpoint.server}: expected {' and '.join(endpoint.outputs)} of {size} texts from signature "
            f"`{endpoint.signature}` of model `{endpoint.model}`, got {', '.join(outputs) or 'nothing'}; "
            "was the model exported by this package?"
        )
    return zip(*columns, strict=True)


def _translations(endpoint: _Endpoint, texts: Any, scores: Any) -> list[Translation]:
    """Returns the hypotheses of a text that the search found, the best first; raises an error if it found none."""
    lists = isinstance(texts, list) and isinstance(scores, list) and len(texts) == len(scores)
    hypotheses = list(zip(texts, scores, strict=True)) if lists else []
    if not lists or not all(
        isinstance(text, str | bytes) and isinstance(score, int | float) for text, score in hypotheses
    ):
        raise UserError(f"{endpoint.server}: expected translations and their scores, got {texts!r} and {scores!r}")
    found = [
        Translation(decode(text), float(score)) for text, score in hypotheses if _is_finite(score) and score > _MISSING
    ]
    if not found:
        raise UserError(
            f"{endpoint.server}: model `{endpoint.model}` found no translation: its scores are NaN or infinite"
        )
    return found


def _is_finite(value: Any) -> bool:
    """Returns whether a value is a finite number; an integer of JSON may be too large for a float."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _predict_with_retries(predict: Predict, endpoint: _Endpoint, inputs: Inputs, stopped: threading.Event) -> Outputs:
    """Sends a request, and again while the server is unavailable, until the timeout or until `stopped` is set."""
    deadline = time.monotonic() + endpoint.timeout
    delay, longest_delay = _RETRY_DELAYS
    while True:
        try:
            return predict(endpoint.signature, inputs, max(deadline - time.monotonic(), 0.001))
        except RequestError as error:
            if error.code != "UNAVAILABLE" or time.monotonic() + delay > deadline or stopped.wait(delay):
                raise
        delay = min(2 * delay, longest_delay)


def _describe(error: RequestError, endpoint: _Endpoint) -> str:
    """Describes the error of a request in one short line."""
    message = " ".join(error.message.split())
    message = message[:300] + "..." if len(message) > 300 else message or "the server gave no reason"
    match error.code:
        case "UNAVAILABLE":
            return f"the server is unavailable (tried for {endpoint.timeout:g} s): {message}"
        case "DEADLINE_EXCEEDED":
            return f"no answer within {endpoint.timeout:g} s"
        case "NOT_FOUND":
            return f"no model `{endpoint.model}`: {message}"
        case "INVALID_ARGUMENT" | "FAILED_PRECONDITION":
            return f"signature `{endpoint.signature}` of model `{endpoint.model}` rejects the request: {message}"
        case "RESOURCE_EXHAUSTED":
            return f"the server's resources are exhausted, send fewer requests at a time: {message}"
        case code:
            return f"{code}: {message}"


def _batches(items: Iterable[Item], size: int, is_ready: Callable[[], bool] | None = None) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := read_ahead(remaining, size, is_ready):
        yield batch


def _encode(text: str) -> bytes:
    """Encodes in UTF-8; an unpaired surrogate, which UTF-8 cannot represent, becomes a question mark."""
    return text.encode("utf-8", errors="replace")
