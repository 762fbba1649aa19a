"""The command that makes more training data: `nmt augment`."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.cli.options import CheckpointOption, DecodingOption, RunArgument, load_tensorflow, say

app = typer.Typer()


@app.command()
def augment(
    run: RunArgument,
    method: Annotated[
        Literal["back-translation", "self-training", "distillation"],
        typer.Option(help="What is translated: text of the target or source language, or the run's own."),
    ],
    to: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    monolingual: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Text of the language the run translates from.", show_default=False),
    ] = None,
    closest: Annotated[
        bool, typer.Option("--closest", help="For distillation: of the beam, what is closest to the reference.")
    ] = False,
    keep: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the pairs to keep, by score.")] = 1.0,
    tag: Annotated[str, typer.Option(help="A word to put before each source, as <BT>.")] = "",
    checkpoint: CheckpointOption = None,
    settings: DecodingOption = None,
) -> None:
    """Make more training data: pairs of which a model has translated one side; print a report as JSON.

    For back-translation the run translates from the target language. The same command goes on where one was killed.
    """
    load_tensorflow()
    from nmt.augmentation.augment import augment

    report = augment(
        run,
        method,
        to,
        monolingual or [],
        closest=closest,
        keep=keep,
        tag=tag,
        checkpoint=checkpoint,
        overrides=settings or [],
    )
    print(json.dumps(report, indent=2, ensure_ascii=False))
    corpus = shlex.quote(f"data.corpus={json.dumps(report['corpus'], ensure_ascii=False)}")
    say(f"to train on these {report['pairs']:,} pairs and the run's own:")
    say(f"nmt train CONFIG --run NEW --set {corpus}")
