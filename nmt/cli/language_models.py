"""The commands for language models: `nmt sample` and `nmt select`."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import CheckpointOption, RunArgument, load_tensorflow
from nmt.utils.errors import UserError
from nmt.utils.terminal import joined_lines, printable

_LOG = logging.getLogger(__name__)

app = typer.Typer()


@app.command()
def sample(
    run: RunArgument,
    count: Annotated[int, typer.Option(min=1, help="How many texts.")] = 5,
    temperature: Annotated[float, typer.Option(min=0.01, help="Below 1, likely tokens become likelier.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(min=1, help="Draw only from the k most likely tokens.")] = None,
    top_p: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Draw only from the likeliest tokens that make up this share."),
    ] = None,
    prompt: Annotated[str, typer.Option(help="How each text begins.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed draws the same texts.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens after which a text breaks off.")] = 100,
    checkpoint: CheckpointOption = None,
) -> None:
    """Draw texts from a language model, one a line."""
    load_tensorflow()
    from nmt.runs.language_models import sample_texts

    texts = sample_texts(
        run,
        count,
        seed,
        prompt=prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        checkpoint=checkpoint,
    )
    for text in texts:
        print(printable(joined_lines(text), sys.stdout), flush=True)


@app.command()
def select(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="The corpus to select from.", show_default=False)],
    in_domain: Annotated[Path, typer.Option(help="Run of a language model of the domain.", show_default=False)],
    general: Annotated[Path, typer.Option(help="Run of a language model of the corpus.", show_default=False)],
    keep: Annotated[
        float, typer.Option(min=0, help="Below 1 a share of the lines, else a number.", show_default=False)
    ],
    output: Annotated[list[Path], typer.Option(help="Where to write; once for each file.", show_default=False)],
    target: Annotated[
        Path | None, typer.Argument(metavar="FILE2", help="Its other side, line by line.", show_default=False)
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="Where to write the score of every line.")] = None,
) -> None:
    """Keep the lines that look most like a domain, by two language models (Moore and Lewis 2010)."""
    files = [source] if target is None else [source, target]
    if len(output) != len(files):
        raise UserError(f"--output: expected it {len(files)} times, as there are files, got {len(output)}")
    if keep > 1 and keep != int(keep):
        raise UserError(f"--keep: expected a share below 1 or a number of lines, got {keep}")
    load_tensorflow()
    from nmt.augmentation.selection import select

    number, lines = select(in_domain, general, files, output, keep, scores)
    _LOG.info("%s of %s lines are in %s", f"{number:,}", f"{lines:,}", " and ".join(map(str, output)))
