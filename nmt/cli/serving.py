"""The commands that bring a model to its users: `nmt export`, `nmt client` and `nmt demo`."""

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.cli.options import CheckpointOption, DecodingOption, RunArgument, load_tensorflow
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)

app = typer.Typer()


@app.command()
def export(
    run: RunArgument,
    output: Annotated[Path, typer.Option("--to", help="The model's folder.", show_default=False)],
    format: Annotated[
        Literal["savedmodel", "litert"], typer.Option(help="For TensorFlow Serving, or for small devices.")
    ] = "savedmodel",
    n_best: Annotated[
        int | None, typer.Option(min=1, help="Translations that the signature nbest gives; all of the beam if absent.")
    ] = None,
    shortlist: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Score only this many target tokens for each source token: faster, not quite the same, and without "
            "decoding.limit_repetition.",
        ),
    ] = None,
    xla: Annotated[
        bool,
        typer.Option(
            "--xla",
            help="Have XLA compile the search of a sentence that comes alone: several times as fast once it is warm. "
            "TensorFlow Serving needs --xla_cpu_compilation_enabled=true.",
        ),
    ] = False,
    weights: Annotated[
        Literal["float32", "float16", "int8"], typer.Option(help="How LiteRT's weights are stored.")
    ] = "float32",
    checkpoint: CheckpointOption = None,
    overrides: DecodingOption = None,
) -> None:
    """Write a model that runs without this package: a SavedModel, the next version in its folder, or LiteRT's files."""
    if format == "litert" and (n_best or shortlist or xla):
        raise UserError(
            "--format litert: translates one sentence at a time; expected none of --n-best, --shortlist and --xla"
        )
    if format == "savedmodel" and weights != "float32":
        raise UserError(f"--weights {weights}: expected --format litert as well")
    load_tensorflow()
    if format == "litert":
        from nmt.serving.lite.export import export_lite

        export_lite(run, output, weights, checkpoint, overrides or [])
        _LOG.info("%s: encoder and decoder step, weights in %s", output, weights)
    else:
        from nmt.serving.saved_model import export_saved_model

        version = export_saved_model(run, output, checkpoint, overrides or [], n_best, shortlist, xla)
        _LOG.info("%s: a SavedModel, strings in, strings out", version)


@app.command()
def client(
    server: Annotated[
        str,
        typer.Argument(metavar="SERVER", help="Its address, as localhost:8500; https:// encrypts.", show_default=False),
    ],
    rest: Annotated[bool, typer.Option("--rest", help="REST instead of gRPC.")] = False,
    model: Annotated[str, typer.Option(help="The model's name at the server.")] = "translator",
    input: Annotated[Path | None, typer.Option(help="A text file, a sentence a line; stdin if absent.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write; stdout if absent.")] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="Plain lines, or JSON lines with scores.")] = "text",
    n_best: Annotated[bool, typer.Option("--n-best", help="All translations of a line; needs --format json.")] = False,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that a request may take.")] = 60.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Lines of a request.")] = 32,
    in_flight: Annotated[int, typer.Option(min=1, help="Requests at the same time.")] = 4,
) -> None:
    """Have TensorFlow Serving translate lines, in their order, as they come."""
    if n_best and format == "text":
        raise UserError("--n-best: expected --format json, which has room for more than one translation")
    from nmt.serving.client import translate_file

    translate_file(
        server,
        input,
        output,
        as_json=format == "json",
        rest=rest,
        model=model,
        timeout=timeout,
        batch_size=batch_size,
        n_best=n_best,
        in_flight=in_flight,
    )


@app.command()
def demo(
    run: RunArgument,
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 for other machines too.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 7860,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    checkpoint: CheckpointOption = None,
    overrides: DecodingOption = None,
) -> None:
    """Open a web page to translate, with the n best and what the decoder attended to."""
    load_tensorflow()
    from nmt.serving.demo import serve

    serve(run, checkpoint, overrides or [], host, port, open_browser)
