"""The commands that train on a model's translations: `nmt augment` makes them, `nmt distill` learns from them."""

import json
import logging
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.cli.options import CheckpointOption, DecodingOption, RunArgument, SettingsOption, load_tensorflow
from nmt.utils.terminal import printable

_LOG = logging.getLogger(__name__)

app = typer.Typer()


@app.command()
def augment(
    run: RunArgument,
    method: Annotated[
        Literal["back-translation", "self-training", "distillation"],
        typer.Option(help="What is translated: text of the target or source language, or the run's own."),
    ],
    output: Annotated[Path, typer.Option("--to", help="The folder to write.", show_default=False)],
    monolingual: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Text of the language the run translates from.", show_default=False),
    ] = None,
    closest: Annotated[
        bool, typer.Option("--closest", help="For distillation: of the beam, what is closest to the reference.")
    ] = False,
    n_best: Annotated[int, typer.Option(min=1, help="Translations of each line, at most the size of the beam.")] = 1,
    keep: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the pairs to keep, by score.")] = 1.0,
    tag: Annotated[str, typer.Option(help="A word to put before each source, as <BT>.")] = "",
    checkpoint: CheckpointOption = None,
    overrides: DecodingOption = None,
) -> None:
    """Make more training data: pairs one side of which a model has translated; print a report as JSON.

    For back-translation the run translates from the target language. The same command goes on where one was killed.
    """
    load_tensorflow()
    from nmt.augmentation.augment import augment

    report = augment(
        run,
        method,
        output,
        monolingual or [],
        closest=closest,
        n_best=n_best,
        keep=keep,
        tag=tag,
        checkpoint=checkpoint,
        overrides=overrides or [],
    )
    print(printable(json.dumps(report, indent=2, ensure_ascii=False), sys.stdout))
    corpus = shlex.quote(f"data.corpus={json.dumps(report['corpus'], ensure_ascii=False)}")
    _LOG.info("to train on these %s pairs and the run's own:", f"{report['pairs']:,}")
    _LOG.info("nmt train CONFIG --run NEW --set %s", corpus)


@app.command()
def distill(
    teachers: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="The run to learn from; of several, their ensemble.", show_default=False),
    ],
    student: Annotated[
        Path, typer.Option("--to", help="The run folder to train in; made if need be.", show_default=False)
    ],
    minutes: Annotated[
        float | None,
        typer.Option(min=0.5, max=1e6, help="How long to train after the run has translated; 30 if absent."),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(min=0.01, max=1e6, help="How often to go through the pairs, instead of --minutes.")
    ] = None,
    overrides: SettingsOption = None,
) -> None:
    """Train a small, fast model on a run's translations of its own training text.

    The same command goes on where one was stopped or killed.
    """
    load_tensorflow()
    from nmt.augmentation.distillation import distill

    folder = distill(teachers, student, minutes=minutes, epochs=epochs, overrides=overrides or [])
    _LOG.info("done; the weights are in %s", folder.best.parent)
