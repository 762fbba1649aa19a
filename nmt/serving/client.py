"""Asks a server for translations: TensorFlow Serving, or whatever speaks its protocol, by gRPC or REST."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from nmt.serving.transports import Ask, Refused, Strings, by_grpc, by_rest, to_text
from nmt.utils.errors import UserError

# TensorFlow Serving refuses requests of more texts than its batches have, 32 in deploy/batching.config.
BATCH_SIZE = 32
IN_FLIGHT = 4
TIMEOUT = 60.0

Item = TypeVar("Item")

_MISSING = -1e8  # a lower score stands where there are fewer hypotheses than asked for
_PAUSES = (0.1, 2.0)  # seconds before a server that is not there yet is asked again: the first, and the longest


class Answer(NamedTuple):
    """A translation."""

    text: str
    score: float


class PairScore(NamedTuple):
    """What a model says of a given translation."""

    log_probability: float
    tokens: int


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
) -> Iterator[list[Answer]]:
    """Has a server translate lines, as a stream: it reads no further ahead than what is in flight.

    A server that is not there yet is asked again and again until a request's time is over, so that client and server
    can be started together.

    Args:
        server: its address, as `localhost:8500`; for REST `localhost:8501` or a URL.
        lines: the texts.
        rest: whether to ask by REST. It does not load TensorFlow, which gRPC's messages do.
        model: the model's name on the server.
        timeout: seconds that a request may take, waiting for the server included.
        batch_size: lines of a request.
        n_best: whether to ask for all hypotheses that the model was exported to give, in place of the best.
        in_flight: requests that are under way at the same time. With one, each answer comes before the next line is
            read, for a batch size of one.

    Yields:
        The hypotheses of each line, the best first, in the order of the lines.

    Raises:
        UserError: naming the server, and what went wrong.
    """
    signature, names = (
        ("nbest", ("translations", "scores")) if n_best else ("serving_default", ("translation", "score"))
    )
    requests = ({"text": [_bytes(line) for line in batch]} for batch in _batches(lines, batch_size))
    for text, score in _answers(server, model, signature, names, requests, rest, timeout, in_flight):
        found = zip(text, score, strict=True) if n_best else [(text, score)]
        yield [Answer(to_text(translation), value) for translation, value in found if value > _MISSING]


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
    """Has a server score given translations, as a stream.

    Args:
        server: see `translate_lines`, as for the other arguments and the errors.
        pairs: source and target.
        rest: see there.
        model: see there.
        timeout: see there.
        batch_size: pairs of a request.
        in_flight: see there.

    Yields:
        For each pair, log P(target | source) and the number of tokens scored.
    """
    requests = (
        {side: [_bytes(pair[index]) for pair in batch] for index, side in enumerate(("source", "target"))}
        for batch in _batches(pairs, batch_size)
    )
    names = ("log_probability", "tokens")
    for log_probability, tokens in _answers(server, model, "score", names, requests, rest, timeout, in_flight):
        yield PairScore(log_probability, tokens)


def _answers(
    server: str,
    model: str,
    signature: str,
    names: Sequence[str],
    requests: Iterable[Strings],
    rest: bool,
    timeout: float,
    in_flight: int,
) -> Iterator[tuple[Any, ...]]:
    """The named outputs of each row of all requests."""
    stopped = threading.Event()
    pool = ThreadPoolExecutor(in_flight)
    waiting: deque[tuple[int, Future[Mapping[str, Any]]]] = deque()

    def rows() -> Iterator[tuple[Any, ...]]:
        size, future = waiting.popleft()
        outputs = future.result()
        columns = [outputs.get(name) for name in names]
        if not all(isinstance(column, list) and len(column) == size for column in columns):
            raise UserError(
                f"{server}: expected {' and '.join(names)} of {size} texts from signature `{signature}` of model "
                f"`{model}`, got {', '.join(outputs) or 'nothing'}; is it a model of `nmt export`?"
            )
        yield from zip(*columns, strict=True)

    try:
        with (by_rest if rest else by_grpc)(server, model) as ask:
            for inputs in requests:
                size = len(next(iter(inputs.values())))
                waiting.append((size, pool.submit(_patiently, ask, signature, inputs, timeout, stopped)))
                if len(waiting) == in_flight:
                    yield from rows()
            while waiting:
                yield from rows()
    except Refused as refused:
        raise UserError(f"{server}: {_explanation(refused, model, signature, timeout)}") from None
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _patiently(
    ask: Ask, signature: str, inputs: Strings, timeout: float, stopped: threading.Event
) -> Mapping[str, Any]:
    """Asks until the server is there, the time is over, or nobody waits any more."""
    end = time.monotonic() + timeout
    pause, longest = _PAUSES
    while True:
        try:
            return ask(signature, inputs, max(end - time.monotonic(), 0.001))
        except Refused as refused:
            if refused.code != "UNAVAILABLE" or time.monotonic() + pause > end or stopped.wait(pause):
                raise
        pause = min(2 * pause, longest)


def _explanation(refused: Refused, model: str, signature: str, timeout: float) -> str:
    said = " ".join(refused.said.split())
    said = said[:300] + "..." if len(said) > 300 else said or "no reason was given"
    match refused.code:
        case "UNAVAILABLE":
            return f"the server is unavailable (tried for {timeout:g} s): {said}"
        case "DEADLINE_EXCEEDED":
            return f"no answer within {timeout:g} s"
        case "NOT_FOUND":
            return f"no model `{model}`: {said}"
        case "INVALID_ARGUMENT" | "FAILED_PRECONDITION":
            return f"signature `{signature}` of model `{model}` refuses the request: {said}"
        case "RESOURCE_EXHAUSTED":
            return f"the server's resources are exhausted, ask for less at the same time: {said}"
        case code:
            return f"{code}: {said}"


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _bytes(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which no UTF-8 has, becomes a question mark."""
    return text.encode("utf-8", errors="replace")
