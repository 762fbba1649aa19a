"""The client through TLS, which a proxy in front of the server ends."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prediction_service import serving
from sockets import listening
from stand_in import save_stand_in

from tests.processes import Forked, start_command

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
both = pytest.mark.parametrize("rest", [False, True], ids=["grpc", "rest"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", made]
    subprocess.run([*new, *subject], check=True, capture_output=True)
    return made, key


@contextmanager
def encrypted(server: str, certificate: tuple[Path, Path]) -> Iterator[str]:
    """A proxy that decrypts what it gets and passes it on."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    host, port = server.rsplit(":", 1)

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def answer(connection: socket.socket) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(connection, server_side=True) as inside,
            socket.create_connection((host, int(port))) as outside,
        ):
            threading.Thread(target=copy, args=(outside, inside), daemon=True).start()
            copy(inside, outside)

    with listening(answer) as own_port:
        yield f"https://localhost:{own_port}"


def client(folder: Path, server: str, rest: bool, timeout: int, **variables: str) -> Forked:
    (folder / "lines").write_text("a\n")
    arguments = ["client", server, "--timeout", timeout, "--input", folder / "lines", *(["--rest"] if rest else [])]
    process = start_command(folder, *arguments, environment={"PATH": "/usr/bin:/bin", **variables})
    process.wait()
    return process


@both
def test_a_known_certificate_is_taken_and_an_unknown_one_refused(
    tmp_path: Path, certificate: tuple[Path, Path], rest: bool
) -> None:
    save_stand_in(tmp_path)
    with serving(tmp_path) as service, encrypted(service.rest if rest else service.grpc, certificate) as server:
        known = client(tmp_path, server, rest, 30, SSL_CERT_FILE=str(certificate[0]))
        assert known.stdout == "<a>\n", known.stderr
        unknown = client(tmp_path, server, rest, 3)
    assert unknown.returncode == 2
    assert unknown.stdout == ""
    assert len(unknown.stderr.splitlines()) == 1
