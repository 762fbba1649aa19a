import itertools
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from batching import Refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_service import Addresses, serving
from sockets import listening
from stand_in import save_stand_in
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from nmt.serving.client import PairScore, Translation, score_pairs, translate_lines
from nmt.utils.errors import UserError

both = pytest.mark.parametrize("rest", [False, True], ids=["grpc", "rest"])

STRANGE = ["", " ", "\t\u3000", "a\0b\0", "\x1b[0m\x7f", 'quo"te\\', "😀 日本 \u202e", "\ud800 half", "long " * 20_000]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_stand_in(folder)
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Addresses]:
    with serving(folder) as addresses:
        yield addresses


def address(addresses: Addresses, rest: bool) -> str:
    return addresses.rest if rest else addresses.grpc


def expected(text: str) -> Translation:
    sent = text.encode(errors="replace")
    return Translation(f"<{sent.decode()}>" if sent else "", len(sent))


@both
def test_answers_come_in_the_order_of_the_lines(service: Addresses, rest: bool) -> None:
    lines = [f"line {number} " + "x" * random.Random(number).randrange(50) for number in range(200)]
    answers = list(translate_lines(address(service, rest), lines, rest=rest, batch_size=7, in_flight=5))
    assert answers == [[expected(line)] for line in lines]


@both
def test_any_string_can_be_sent(service: Addresses, rest: bool) -> None:
    answers = list(translate_lines(address(service, rest), STRANGE, rest=rest, batch_size=4))
    assert answers == [[expected(line)] for line in STRANGE]


@both
def test_an_answer_of_more_than_four_megabytes_comes_through(service: Addresses, rest: bool) -> None:
    line = "x" * 200_000
    answers = list(translate_lines(address(service, rest), [line] * 32, rest=rest))
    assert answers == [[Translation(f"<{line}>", 200_000)]] * 32


@both
@settings(max_examples=25)
@given(st.lists(st.text(st.characters()), max_size=5))
def test_all_of_unicode_can_be_sent(service: Addresses, rest: bool, lines: list[str]) -> None:
    answers = list(translate_lines(address(service, rest), lines, rest=rest))
    assert answers == [[expected(line)] for line in lines]


@both
def test_missing_hypotheses_are_left_out(service: Addresses, rest: bool) -> None:
    answers = list(translate_lines(address(service, rest), ["ab", ""], rest=rest, n_best=True))
    assert answers == [[Translation("<ab>", 2), Translation("(ab)", -2)], [Translation("", 0), Translation("", 0)]]


@both
def test_pairs_are_scored(service: Addresses, rest: bool) -> None:
    pairs = [("a" * number, "b" * (number % 3)) for number in range(50)]
    scores = list(score_pairs(address(service, rest), pairs, rest=rest, batch_size=8))
    assert scores == [PairScore(-number, number % 3) for number in range(50)]


@both
def test_a_url_is_an_address_too(service: Addresses, rest: bool) -> None:
    server = f"http://{service.rest}/" if rest else f"dns:///{service.grpc}"
    assert list(translate_lines(server, ["a"], rest=rest)) == [[Translation("<a>", 1)]]


def test_rest_does_not_load_tensorflow(service: Addresses) -> None:
    program = (
        "import sys; from nmt.serving.client import translate_lines; "
        "print(next(translate_lines(sys.argv[1], ['a'], rest=True))[0].text, 'tensorflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program, service.rest], capture_output=True, text=True, check=True)
    assert result.stdout == "<a> False\n"


class Scripted(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers as a test says; `answer` gets the number of texts, and returns outputs or raises a refusal."""

    def __init__(self, answer: Callable[[int], dict[str, list]]) -> None:
        self.answer = answer

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            outputs = self.answer(len(request.inputs["text"].string_val))
        except Refusal as refusal:
            context.abort(getattr(grpc.StatusCode, refusal.code), refusal.said)
        response = predict_pb2.PredictResponse()
        for name, values in outputs.items():
            tensor = response.outputs[name]
            tensor.dtype = 7 if isinstance(values[0], bytes) else 1
            tensor.tensor_shape.dim.add(size=len(values))
            (tensor.string_val if tensor.dtype == 7 else tensor.float_val).extend(values)
        return response


CODES = {"NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429, "INVALID_ARGUMENT": 400, "UNAVAILABLE": 503, "INTERNAL": 500}


@contextmanager
def scripted(answer: Callable[[int], dict[str, list]], rest: bool, port: int = 0) -> Iterator[str]:
    if not rest:
        server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Scripted(answer), server)
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()
        return

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                outputs = answer(len(request["inputs"]["text"]))
                code, body = 200, {"outputs": {name: [plain(v) for v in values] for name, values in outputs.items()}}
            except Refusal as refusal:
                code, body = CODES[refusal.code], {"error": refusal.said}
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    def plain(value: Any) -> Any:
        return value.decode() if isinstance(value, bytes) else value

    http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def fine(size: int) -> dict[str, list]:
    return {"translation": [b"fine"] * size, "score": [0.0] * size}


@both
def test_requests_in_flight_and_lines_read_ahead_are_bounded(rest: bool) -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def slow(size: int) -> dict[str, list]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return fine(size)

    read = []
    lines = (read.append(number) or f"line {number}" for number in range(120))
    with scripted(slow, rest) as server:
        answers = translate_lines(server, lines, rest=rest, batch_size=4, in_flight=3)
        ahead = [len(read) - number for number, _ in enumerate(answers)]
    assert len(ahead) == 120
    assert max(ahead) == 4 * 3
    assert most == 3


@both
def test_one_line_at_a_time_is_answered_before_the_next_is_read(service: Addresses, rest: bool) -> None:
    asked: list[str] = []

    def lines() -> Iterator[str]:
        for line in "abc":
            asked.append(line)
            yield line

    answers = translate_lines(address(service, rest), lines(), rest=rest, batch_size=1, in_flight=1)
    assert [(next(answers)[0].text, len(asked)) for _ in range(3)] == [("<a>", 1), ("<b>", 2), ("<c>", 3)]


@both
def test_a_server_that_starts_late_is_waited_for(rest: bool) -> None:
    port = free_port()
    answers: list = []
    client = threading.Thread(
        target=lambda: answers.extend(translate_lines(f"127.0.0.1:{port}", ["a", "b"], rest=rest, timeout=30))
    )
    client.start()
    time.sleep(0.6)
    assert not answers
    with scripted(fine, rest, port):
        client.join(20)
    assert answers == [[Translation("fine", 0.0)]] * 2


@both
def test_requests_to_a_busy_server_are_retried(rest: bool) -> None:
    refusals = iter([Refusal("UNAVAILABLE", "The batch scheduling queue is full")] * 2)

    def busy(size: int) -> dict[str, list]:
        for refusal in refusals:
            raise refusal
        return fine(size)

    with scripted(busy, rest) as server:
        assert list(translate_lines(server, ["a"], rest=rest)) == [[Translation("fine", 0.0)]]


@both
def test_a_missing_server_is_named(rest: bool) -> None:
    server = f"127.0.0.1:{free_port()}"
    with pytest.raises(UserError) as raised:
        list(translate_lines(server, ["a"], rest=rest, timeout=0.7))
    assert str(raised.value).startswith(f"{server}: the server is unavailable (tried for 0.7 s): ")
    assert "Connection refused" in str(raised.value)


@both
def test_a_server_that_does_not_answer_in_time_raises(rest: bool) -> None:
    over = threading.Event()

    def late(size: int) -> dict[str, list]:
        over.wait(20)
        return fine(size)

    with scripted(late, rest) as server:
        with pytest.raises(UserError, match=rf"{server}: no answer within 0\.5 s$"):
            list(translate_lines(server, ["a"] * 100, rest=rest, timeout=0.5))
        over.set()


@both
def test_an_unknown_model_is_named(service: Addresses, rest: bool) -> None:
    server = address(service, rest)
    with pytest.raises(UserError) as raised:
        list(translate_lines(server, ["a"], rest=rest, model="other/one"))
    assert str(raised.value).startswith(f"{server}: no model `other/one`: Servable not found")


@both
def test_an_unknown_signature_is_named(service: Addresses, rest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import prediction_service

    monkeypatch.setattr(prediction_service.Model, "signature", refuse_signature)
    with pytest.raises(UserError, match=r'`score` of model `translator` rejects the request: .*key "score" not found'):
        list(score_pairs(address(service, rest), [("a", "b")], rest=rest))


def refuse_signature(_: Any, name: str) -> Any:
    raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')


@both
def test_a_request_that_is_too_large_is_explained(service: Addresses, rest: bool) -> None:
    with pytest.raises(UserError, match="Task size 40 is larger than maximum input batch size 32"):
        list(translate_lines(address(service, rest), ["a"] * 40, rest=rest, batch_size=40))


@both
@pytest.mark.parametrize(
    ("code", "said", "explained"),
    [
        ("RESOURCE_EXHAUSTED", "OOM", "the server's resources are exhausted, send fewer requests at a time: OOM"),
        (
            "RESOURCE_EXHAUSTED",
            "",
            "the server's resources are exhausted, send fewer requests at a time: the server gave no reason",
        ),
        ("INTERNAL", "several\n\n  lines " + "and more " * 100, "several lines and more and more"),
    ],
)
def test_the_servers_message_is_shortened_to_one_line(rest: bool, code: str, said: str, explained: str) -> None:
    def refuse(_: int) -> dict[str, list]:
        raise Refusal(code, said)

    with scripted(refuse, rest) as server, pytest.raises(UserError) as raised:
        list(translate_lines(server, ["a"], rest=rest))
    message = str(raised.value)
    assert message.startswith(f"{server}: ")
    assert explained in message
    assert "\n" not in message
    assert len(message) < 400


@both
@pytest.mark.parametrize("outputs", [{"translation": [b"one"], "score": [1.0]}, {"probabilities": [1.0, 2.0]}])
def test_a_model_that_is_no_translator_raises(rest: bool, outputs: dict[str, list]) -> None:
    with (
        scripted(lambda _: outputs, rest) as server,
        pytest.raises(UserError, match="was the model exported by this package"),
    ):
        list(translate_lines(server, ["a", "b"], rest=rest))


def test_a_server_with_another_protocol_raises(service: Addresses) -> None:
    with pytest.raises(UserError, match=f"{service.grpc}: this is not TensorFlow Serving's REST"):
        list(translate_lines(service.grpc, ["a"], rest=True, timeout=2))
    with pytest.raises(UserError, match=f"{service.rest}: "):
        list(translate_lines(service.rest, ["a"], timeout=1))


@both
@pytest.mark.parametrize("server", ["", "localhost:port", "localhost:99999", "http://[::1"])
def test_an_invalid_address_raises(rest: bool, server: str) -> None:
    with pytest.raises(UserError, match="expected an address such as localhost:850"):
        list(translate_lines(server, ["a"], rest=rest, timeout=1))


@both
def test_an_error_while_lines_are_read_comes_through(service: Addresses, rest: bool) -> None:
    def lines() -> Iterator[str]:
        yield "a"
        raise UserError("file:2: is not UTF-8")

    with pytest.raises(UserError, match="file:2: is not UTF-8"):
        list(translate_lines(address(service, rest), lines(), rest=rest, batch_size=1))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


ANSWER = b'{"outputs": {"translation": ["fine"], "score": [0.0]}}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def drip(pieces: Iterator[bytes]) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)

    return send


def whole(content: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(content)


def stream(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b"[" * 2**20)


def body(content: bytes) -> Callable[[socket.socket], None]:
    return whole(HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content)


HOSTILE: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "drips its body": (drip(HEAD + b"\r\n" if n == 0 else b" " for n in itertools.count()), "no answer within 1 s"),
    "drips its head": (drip(bytes([byte]) for byte in itertools.cycle(HEAD)), "no answer within 1 s"),
    "drips headers": (drip(HEAD if n == 0 else b"X-%d: y\r\n" % n for n in itertools.count()), "no answer within 1 s"),
    "streams without end": (stream, "the answer is too large: more than 64 MiB|no answer within 1 s"),
    "says nothing": (lambda _: time.sleep(3), "no answer within 1 s"),
    "hangs up": (lambda _: None, "unavailable|not TensorFlow Serving's REST"),
    "hangs up in its body": (whole(HEAD + b"Content-Length: 999\r\n\r\n" + ANSWER), "not TensorFlow Serving's REST"),
    "is no HTTP": (whole(b"\x00\x01\x02\r\n\r\n"), "not TensorFlow Serving's REST"),
    "sends no JSON": (body(b"<html>"), "not TensorFlow Serving's REST"),
    "sends nested JSON": (body(b"[" * 100_000), "not TensorFlow Serving's REST"),
    "sends a list": (body(b"[1]"), "not TensorFlow Serving's REST"),
    "sends other outputs": (body(b'{"outputs": {"x": [1]}}'), "was the model exported by this package"),
    "sends numbers for texts": (body(ANSWER.replace(b'"fine"', b"7")), "expected translations and their scores"),
    "sends texts for scores": (body(ANSWER.replace(b"0.0", b'"x"')), "expected translations and their scores"),
    "sends null for scores": (body(ANSWER.replace(b"0.0", b"null")), "expected translations and their scores"),
    "sends NaN": (body(ANSWER.replace(b"0.0", b"NaN")), "its scores are NaN or infinite"),
    "sends infinity": (body(ANSWER.replace(b"0.0", b"1e999")), "its scores are NaN or infinite"),
    "sends too many rows": (body(b'{"outputs": {"translation": ["a", "b"], "score": [0, 0]}}'), "expected translation"),
    "redirects for ever": (whole(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"), "HTTP status 302"),
    "refuses at length": (
        whole(b"HTTP/1.1 500 Oh\r\n\r\n" + b'{"error": "\\u001b[2J' + b"no " * 100_000 + b'"}'),
        "HTTP status 500",
    ),
}


@contextmanager
def hostile(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(2**16)
            behave(connection)

    with listening(answer) as port:
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_server_is_one_line_in_time(kind: str) -> None:
    behave, message = HOSTILE[kind]
    with hostile(behave) as server, pytest.raises(UserError, match=message) as raised:
        list(translate_lines(server, ["a"], rest=True, timeout=1))
    assert str(raised.value).startswith(f"{server}: ")
    assert len(str(raised.value)) <= 500


@pytest.mark.parametrize("options", [["--rest"], []], ids=["rest", "grpc"])
def test_a_program_that_writes_a_line_and_waits_gets_its_answer(service: Addresses, options: list[str]) -> None:
    command = [sys.executable, "-m", "nmt", "client", address(service, bool(options)), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for line in (b"one", b"two", b"three"):
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"<" + line + b">\n"
        process.stdin.close()
