"""The demo's page: its HTTP interface, and what a person sees of it in a browser.

`NMT_DEMO_RUN=RUN NMT_DEMO_SCREENSHOT=docs/demo.png pytest -k person` renews the screenshot of docs/production.md.
"""

import json
import os
import queue
import re
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from nmt.inference.translator import Hypothesis
from nmt.runs.translation import load_translator
from nmt.serving.demo import MAX_CHARACTERS, example_lines, make_app, make_page, serve
from nmt.utils.errors import UserError

pytest.importorskip("gradio", reason="gradio is not installed")
import uvicorn

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
needs_chromium = pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="chromium and chromedriver are not installed")
HOSTILE = (
    """<script>document.title="broken"</script> <img src=x onerror='document.title="broken"'> "&lt; ${1+1} {{x}}"""
)


class Echo:
    """A translator that returns a line as it is, then reversed; a line of more than 99 words has several parts."""

    def __init__(self) -> None:
        self.working = self.most_at_once = 0

    def hypotheses(self, lines: list[str]) -> Iterator[list[Hypothesis]]:
        self.working += 1
        self.most_at_once = max(self.most_at_once, self.working)
        time.sleep(0.05)
        for line in lines:
            words = line.split()
            source = [piece for i in range(0, len(words), 99) for piece in (*words[i : i + 99], "</s>")]
            target = [*words, "</s>"]
            attention = np.full((len(target), len(source)), 1 / max(len(source), 1), np.float32)
            turned = [*words[::-1], "</s>"]
            yield [
                Hypothesis(line, -0.25, -1.5, source, target, attention),
                Hypothesis(" ".join(words[::-1]), -0.5, -3.0, source, turned, attention),
            ][: 2 if words else 0]
        self.working -= 1


def test_examples_are_sentences_of_the_validation_split(trained_run: Path) -> None:
    lines = (trained_run / "data" / "validation.source.txt").read_text().splitlines()
    examples = example_lines(trained_run / "data")
    assert len(set(examples)) == 4
    assert set(examples) <= set(lines)


@pytest.fixture(scope="module")
def echo() -> Echo:
    return Echo()


@pytest.fixture(scope="module")
def echo_address(echo: Echo) -> Iterator[str]:
    """Where a page of `Echo` is served."""
    page = make_page(echo, "left \N{RIGHTWARDS ARROW} right", ["a first example"])  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(make_app(page), log_level="warning", timeout_graceful_shutdown=1))
        with stopped_at_the_end(server, lambda: server.run(sockets=[listener])):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextmanager
def stopped_at_the_end(server: uvicorn.Server, run: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    server.should_exit = True
    thread.join(timeout=10)
    assert not thread.is_alive()


def ask(address: str, text: str) -> tuple[str, Any]:
    """Calls `/translate` as any HTTP client can: the event that ends the answer, and its data."""
    request = urllib.request.Request(
        f"{address}gradio_api/call/translate",
        json.dumps({"data": [text]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{address}gradio_api/call/translate/{event}", timeout=30) as response:
        *_, name, data = [line.partition(": ")[2] for line in response.read().decode().splitlines() if line]
    return name, json.loads(data)


def test_http_interface_gives_the_hypotheses_of_each_line(echo_address: str) -> None:
    name, (answer,) = ask(echo_address, "a b\n\n c <b>")
    assert name == "complete"
    assert [[h["text"] for h in line] for line in answer] == [["a b", "b a"], [], [" c <b>", "<b> c"]]
    assert answer[0][0] == {"text": "a b", "score": -0.25, "log_probability": -1.5}
    assert ask(echo_address, "") == ("complete", [[]])


def test_too_long_a_text_is_refused_in_a_sentence(echo_address: str, capfd: pytest.CaptureFixture) -> None:
    name, said = ask(echo_address, "a" * (MAX_CHARACTERS + 1))
    assert name == "error"
    assert f"{MAX_CHARACTERS + 1:,}" in json.dumps(said)
    assert "Traceback" not in json.dumps(said) + "".join(capfd.readouterr())


def ask_as_the_page(address: str, session: int) -> None:
    """Translates as each event of the page does: its button, and its examples."""
    with urllib.request.urlopen(f"{address}config", timeout=30) as response:
        events = [event["id"] for event in json.load(response)["dependencies"] if len(event["outputs"]) == 4]
    assert len(events) == 2
    for event in events:
        request = urllib.request.Request(
            f"{address}gradio_api/queue/join",
            json.dumps({"data": ["a"], "fn_index": event, "session_hash": f"{session}-{event}"}).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=30).close()
    for event in events:
        with urllib.request.urlopen(
            f"{address}gradio_api/queue/data?session_hash={session}-{event}", timeout=30
        ) as told:
            assert b"process_completed" in told.read()


def test_the_model_works_for_one_at_a_time(echo: Echo, echo_address: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        page = [pool.submit(ask_as_the_page, echo_address, session) for session in range(3)]
        answers = list(pool.map(lambda text: ask(echo_address, text)[1][0], "abcde"))
    assert [answer[0][0]["text"] for answer in answers] == list("abcde")
    assert [future.result() for future in page] == [None] * 3
    assert echo.most_at_once == 1
    past_the_queue = urllib.request.Request(
        f"{echo_address}gradio_api/run/translate", b'{"data": ["a"]}', {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(past_the_queue, timeout=30)


def test_no_file_is_taken(echo_address: str) -> None:
    upload = urllib.request.Request(
        f"{echo_address}gradio_api/upload",
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc\r\n--x--\r\n',
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(upload, timeout=30)


def test_nothing_is_sent_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[Any] = []
    connect = socket.socket.connect
    monkeypatch.setattr(
        socket.socket, "connect", lambda self, address: (reached.append(address), connect(self, address))[1]
    )
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: reached.append((host,)) or [])
    make_app(make_page(Echo(), "a", ["b"]))  # type: ignore[arg-type]
    for thread in threading.enumerate():  # gradio would report in one of its own
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(timeout=1)
    assert [address for address in reached if address[0] != "127.0.0.1"] == []


def test_without_gradio_one_line_says_how_to_get_it(trained_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=r"gradio.*pip install"):
        serve(trained_run)


def test_a_taken_port_raises_before_the_model_is_loaded(trained_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.serving.demo.load_translator", None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1, port {port}"):
            serve(trained_run, port=port)
    with pytest.raises(UserError, match="port 99999"):
        serve(trained_run, port=99999)


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest) -> Path:
    return Path(os.environ.get("NMT_DEMO_RUN") or request.getfixturevalue("trained_run"))


@pytest.fixture(scope="module")
def run_address(run: Path) -> Iterator[str]:
    """Where `serve` serves a real run."""
    started: queue.Queue[tuple[uvicorn.Server, int]] = queue.Queue()

    class Known(uvicorn.Server):
        def run(self, sockets: list[socket.socket] | None = None) -> None:
            started.put((self, sockets[0].getsockname()[1]))
            super().run(sockets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn, "Server", Known)
        thread = threading.Thread(target=serve, args=(run,), kwargs={"port": 0}, daemon=True)
        thread.start()
        server, port = started.get(timeout=60)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_the_page_of_a_run_translates_as_its_translator(run: Path, run_address: str) -> None:
    text = example_lines(run / "data")[0]
    n_best = len(ask(run_address, text)[1][0][0])
    (expected,) = load_translator(run, n_best=n_best).hypotheses([text])
    assert ask(run_address, text)[1][0][0] == [
        {
            "text": h.text,
            "score": pytest.approx(h.score, abs=1e-4),
            "log_probability": pytest.approx(h.log_probability, abs=1e-4),
        }
        for h in expected
    ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "window-size=1200,1044",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.implicitly_wait(20)
    yield driver
    driver.quit()


def by(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def texts(driver: Any, selector: str) -> list[str]:
    """Of all elements at once: one may be replaced while others are read."""
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
    return driver.execute_script(script, selector)


def wait_until(driver: Any, condition: Callable[[], Any]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20).until(lambda _: condition())


@needs_chromium
def test_a_person_translates_and_points_at_the_heat_map(
    run: Path, run_address: str, browser: Any, tmp_path: Path
) -> None:
    from selenium.webdriver import ActionChains, Keys

    text = example_lines(run / "data")[1]
    n_best = len(ask(run_address, text)[1][0][0])
    (expected,) = load_translator(run, n_best=n_best, attention=True).hypotheses([text])
    browser.get(f"{run_address}?__theme=light")
    by(browser, "#source textarea").send_keys(text)
    by(browser, "#translate").click()
    by(browser, "#translations input")
    assert texts(browser, "#translations label") == [h.text for h in expected]
    assert by(browser, "#target textarea").get_attribute("value") == expected[0].text
    assert texts(browser, "#heat-map thead th") == expected[0].source_pieces
    assert texts(browser, "#heat-map tbody th") == expected[0].target_pieces

    # Another translation has its own heat map; another answer begins with the first translation again.
    by(browser, "#translations tr:nth-of-type(2) input").click()
    wait_until(browser, lambda: texts(browser, "#heat-map tbody th") == expected[1].target_pieces)
    by(browser, "#translate").click()
    wait_until(browser, lambda: texts(browser, "#heat-map tbody th") == expected[0].target_pieces)
    wait_until(browser, lambda: by(browser, "#translations input").is_selected())

    row = len(expected[0].target_pieces) // 2
    column = int(expected[0].attention[row].argmax())
    headings = [expected[0].source_pieces[column], expected[0].target_pieces[row]]
    cells = browser.find_elements("css selector", "#heat-map tbody td")
    ActionChains(browser).move_to_element(cells[row * len(expected[0].source_pieces) + column]).perform()
    weight = f"{expected[0].attention[row, column]:.2f}"
    assert by(browser, "#heat-map output").text == f"{' → '.join(headings)}: {weight}"
    assert texts(browser, "#heat-map th.pointed") == headings

    picture = Path(os.environ.get("NMT_DEMO_SCREENSHOT") or tmp_path / "demo.png")
    assert browser.save_screenshot(str(picture))
    assert picture.stat().st_size > 20_000  # an empty page is smaller

    # By keyboard.
    by(browser, "#heat-map td[tabindex='0']").send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    assert texts(browser, "#heat-map th.pointed") == [expected[0].source_pieces[1], expected[0].target_pieces[0]]
    assert len(browser.find_elements("css selector", "#heat-map td[tabindex='0']")) == 1

    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")] == []
    assert hosts_asked(browser) == {urlsplit(run_address).netloc}


def hosts_asked(driver: Any) -> set[str]:
    """The hosts that got a request since this was last asked."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [
        urlsplit(message["params"]["request"]["url"])
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return {url.netloc for url in urls if url.scheme in ("http", "https", "ws", "wss")}


@needs_chromium
def test_a_hostile_sentence_is_only_shown(echo_address: str, browser: Any) -> None:
    from selenium.webdriver import Keys

    browser.get(echo_address)
    by(browser, "#source textarea").send_keys(HOSTILE, Keys.SHIFT, Keys.ENTER, Keys.NULL, "b", Keys.ENTER)
    by(browser, "#translations input")
    assert by(browser, "#translations tbody th").text == by(browser, "#translations label").text == HOSTILE
    assert texts(browser, "#heat-map thead th") == [*HOSTILE.split(), "</s>"]
    assert browser.title == "left \N{RIGHTWARDS ARROW} right"
    script = "return document.querySelectorAll('#translations :is(script, img), #heat-map :is(script, img)').length"
    assert browser.execute_script(script) == 0


@needs_chromium
def test_examples_long_and_empty_texts(echo_address: str, browser: Any) -> None:
    from selenium.webdriver import Keys

    browser.get(echo_address)
    by(browser, ".gallery-item").click()
    by(browser, "#translations input")
    assert by(browser, "#target textarea").get_attribute("value") == "a first example"

    box = by(browser, "#source textarea")
    browser.execute_script("arguments[0].value = 'a '.repeat(150); arguments[0].dispatchEvent(new Event('input'))", box)
    by(browser, "#translate").click()
    assert "was translated in 2 parts" in by(browser, "#translations p[role=status]").text

    box.send_keys(Keys.CONTROL + "a", Keys.DELETE)
    by(browser, "#translate").click()
    wait_until(browser, lambda: by(browser, "#target textarea").get_attribute("value") == "")
    assert by(browser, "#translations").text == by(browser, "#heat-map").text == ""


@needs_chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_legible_on_every_shade(theme: str, echo_address: str, browser: Any) -> None:
    browser.get(f"{echo_address}?__theme={theme}")
    by(browser, "#source textarea").send_keys("a b\n")
    cells = "#heat-map td:not(.faint, thead td)"
    by(browser, cells)
    colours = browser.execute_script(
        """
        const shown = (e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor];
        const cell = document.querySelector(arguments[0]), shades = [];
        for (let weight = 0; weight <= 100; weight += 10) {
          cell.style.setProperty("--weight", weight + "%");
          shades.push(shown(cell));
        }
        const heading = document.querySelector("#heat-map thead th");
        heading.classList.add("pointed");
        return [...shades, shown(heading)];
        """,
        cells,
    )
    assert len({background for _, background in colours}) == len(colours)  # every shade is another
    assert min(contrast(*pair) for pair in colours) >= 4.5


def contrast(*colours: str) -> float:
    """The contrast of two CSS colours, as WCAG defines it."""
    luminances = []
    for colour in colours:
        scale = 1 if colour.startswith("color(srgb") else 255
        channels = [float(value) / scale for value in re.findall(r"(?<![a-z])[\d.]+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminances.append(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)
