"""A web page to try a model by hand: a text box, the n-best translations, and the attention of each.

The page is built with gradio, which no other module imports. Nothing leaves the machine: there is no telemetry, no
link to share, and no font or script from another host.
"""

import itertools
import logging
import socket
import threading
import webbrowser
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from nmt.config import load_saved_config
from nmt.data.token_store import read_sentences
from nmt.inference.translator import Hypothesis, Translator
from nmt.runs.folder import load_run_config
from nmt.runs.translation import load_translator
from nmt.serving.heat_map_page import (
    HEAT_MAP_SCRIPT,
    HEAT_MAP_STYLE,
    TRANSLATIONS_SCRIPT,
    TRANSLATIONS_STYLE,
    heat_map_table,
    translations_table,
)
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)

N_BEST = 5
MAX_CHARACTERS = 5000  # in one request, so that others do not wait long for it
EXAMPLES = 4
PAGE_STYLE = """
main { width: 100%; max-width: 80rem; margin: auto; }
#source textarea, #target textarea { min-height: 4.5rem; }
"""


def serve(
    run: str | Path,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
    host: str = "127.0.0.1",
    port: int = 7860,
    open_browser: bool = False,
) -> None:
    """Serves the page of a run's model until the process is interrupted.

    The address is logged once the page can be opened.

    Args:
        run: the run folder.
        checkpoint: name of the checkpoint: `best`, `last`, `averaged` or another. None for the averaged one if it
            exists, otherwise the best.
        overrides: changed settings of the search, such as `decoding.beam_size=1`.
        host: the address to listen on; `0.0.0.0` admits other machines.
        port: the port to listen on; 0 for any free port.
        open_browser: whether to open the page in a browser.

    Raises:
        UserError: if gradio is not installed, the port is taken, or the run, the checkpoint or a setting is invalid.

    Example:

    >>> serve("runs/quickstart", port=7860)  # doctest: +SKIP
    """
    _check_gradio()
    import uvicorn

    run = Path(run)
    folder, config = load_run_config(run, "translation")
    beam_size = load_saved_config(folder.config, overrides).decoding.beam_size
    with _listen(host, port) as listener:  # before loading the model, which takes seconds
        translator = load_translator(run, checkpoint, overrides, min(N_BEST, beam_size), attention=True)
        translator.trace()
        list(translator.hypotheses(["."]))  # loads what the graph needs, so that the first request is fast
        title = f"{config.data.source_language} \N{RIGHTWARDS ARROW} {config.data.target_language}"
        page = make_page(translator, title, example_lines(folder.data))
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/"
        _LOG.info("the page is at %s", address)
        if open_browser:  # in a thread, because some browsers return only when they are closed
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        # An open page keeps a stream open. Uvicorn would log a traceback when the shutdown cuts it.
        settings = uvicorn.Config(make_app(page), log_level="critical", timeout_graceful_shutdown=1)
        uvicorn.Server(settings).run(sockets=[listener])


def make_page(translator: Translator, title: str, examples: Sequence[str] = ()) -> Any:
    """Builds the page.

    Its HTTP interface has one public endpoint, `/translate`, from a text to the hypotheses of each of its lines, each
    with `text`, `score` and `log_probability`. The model serves one request at a time.

    Args:
        translator: translator whose hypotheses include their attention.
        title: heading of the page, such as `en → de`.
        examples: sentences that can be chosen with a click.

    Returns:
        A `gradio.Blocks` for `make_app`.

    Raises:
        UserError: if gradio is not installed.
    """
    _check_gradio()
    import gradio as gr

    answer_numbers = itertools.count()

    def hypotheses_of(text: str) -> tuple[list[str], list[list[Hypothesis]]]:
        if len(text) > MAX_CHARACTERS:
            raise gr.Error(f"Expected at most {MAX_CHARACTERS:,} characters, got {len(text):,}.", print_exception=False)
        lines = text.splitlines()
        return lines, list(translator.hypotheses(lines))

    def answer(text: str) -> tuple[str, str, str, list[list[Hypothesis]]]:
        lines, translations = hypotheses_of(text)
        best = "\n".join(hypotheses[0].text if hypotheses else "" for hypotheses in translations)
        shown = next((hypotheses[0] for hypotheses in translations if hypotheses), None)
        # With a unique name the browser renders every answer, even one that equals the last.
        table = translations_table(lines, translations, f"answer-{next(answer_numbers)}")
        return best, table, _heat_map(shown), translations

    def choose(translations: list[list[Hypothesis]], chosen: gr.SelectData) -> str:
        line, rank = chosen.index
        return _heat_map(translations[line][rank])

    def translate(text: str) -> list[list[dict[str, str | float]]]:
        """Translates each line of a text: its hypotheses, the best first."""
        return [
            [{"text": h.text, "score": h.score, "log_probability": h.log_probability} for h in hypotheses]
            for hypotheses in hypotheses_of(text)[1]
        ]

    with gr.Blocks(title=title, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(f"<h1>{escape(title)}</h1>", css_template="h1 { font-size: 1.6rem; font-weight: 600; margin: 0; }")
        with gr.Row(equal_height=True):
            source = gr.Textbox(
                label="Text",
                placeholder="Enter translates, Shift+Enter begins a new line; each line is translated by itself.",
                max_lines=12,
                elem_id="source",
            )
            target = gr.Textbox(
                label="Translation", interactive=False, max_lines=12, buttons=["copy"], elem_id="target"
            )
        with gr.Row():
            button = gr.Button("Translate", variant="primary", scale=0, min_width=160, elem_id="translate")
            clicked = gr.Examples([[line] for line in examples], source, cache_examples=False) if examples else None
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                table = gr.HTML(
                    elem_id="translations",
                    css_template=TRANSLATIONS_STYLE,
                    js_on_load=TRANSLATIONS_SCRIPT,
                    apply_default_css=False,
                )
            with gr.Column(scale=3, min_width=320):
                heat_map = gr.HTML(
                    elem_id="heat-map", css_template=HEAT_MAP_STYLE, js_on_load=HEAT_MAP_SCRIPT, apply_default_css=False
                )
        translations = gr.State([])
        one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model"}
        on_submit: dict[str, Any] = {
            "fn": answer,
            "inputs": source,
            "outputs": [target, table, heat_map, translations],
            "show_progress": "minimal",
            "api_visibility": "private",
        }
        gr.on([button.click, source.submit], **on_submit, **one_at_a_time)
        if clicked:
            clicked.load_input_event.then(**on_submit, **one_at_a_time)
        table.select(
            choose, translations, heat_map, show_progress="hidden", trigger_mode="always_last", api_visibility="private"
        )
        gr.api(translate, api_name="translate", **one_at_a_time)
    return page.queue(api_open=False)  # no request bypasses the queue


def make_app(page: Any) -> Any:
    """Mounts the page in a FastAPI application, which any ASGI server can run.

    Args:
        page: what `make_page` returned.

    Returns:
        A `fastapi.FastAPI`.
    """
    import gradio as gr
    from fastapi import FastAPI

    return gr.mount_gradio_app(
        FastAPI(),
        page,
        path="/",
        theme=gr.themes.Default(  # its default fonts would be loaded from another host
            primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        css=PAGE_STYLE,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=1,  # the page needs no uploads
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
    )


def example_lines(data: str | Path) -> list[str]:
    """Picks a few sentences of medium length from the validation split of a prepared corpus.

    Args:
        data: the folder of the prepared corpus.

    Returns:
        At most `EXAMPLES` source sentences.

    Raises:
        UserError: if the split does not exist.
    """
    lines = list(itertools.islice(read_sentences(Path(data), "validation", "source"), 1000))
    fitting = [line for line in lines if 30 <= len(line) <= 60] or lines
    return [fitting[index * len(fitting) // EXAMPLES] for index in range(min(EXAMPLES, len(fitting)))]


def _heat_map(hypothesis: Hypothesis | None) -> str:
    if hypothesis is None or hypothesis.attention is None:
        return ""
    return heat_map_table(hypothesis.attention, hypothesis.source_pieces, hypothesis.target_pieces)


def _listen(host: str, port: int) -> socket.socket:
    """Opens the listening socket, so that browsers wait while the server starts instead of being refused."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {host}, port {port}: {error}") from None


def _check_gradio() -> None:
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise UserError("gradio is not installed: pip install 'gru-nmt[demo]'") from None
