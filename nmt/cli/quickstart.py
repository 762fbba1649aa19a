"""The command `nmt quickstart`: a first translator, without a checkout, a corpus or a setting of one's own."""

import sys
from pathlib import Path
from shutil import which
from typing import Annotated

import typer

from nmt.cli.options import SettingsOption, load_tensorflow

CORPUS = "ui_strings"

app = typer.Typer()


@app.command()
def quickstart(
    run: Annotated[Path, typer.Option("--run", help="The run folder; made if need be.")] = Path("runs/quickstart"),
    source: Annotated[str, typer.Option(help="The source language.")] = "en",
    target: Annotated[str, typer.Option(help="The target language.")] = "de",
    minutes: Annotated[float, typer.Option(min=0.5, max=1e6, help="How long to train.")] = 8,
    overrides: SettingsOption = None,
) -> None:
    """Train a small translator of software strings on the built-in corpus, and evaluate it.

    It takes the minutes given and a few more. The corpus is downloaded once, by pip. All settings are chosen as `nmt
    train` does. The same command goes on where it was stopped.
    """
    load_tensorflow()
    from nmt.evaluation.report import print_evaluation
    from nmt.runs.translation import evaluate_run
    from nmt.training.own_text import train_on_text

    train_on_text([CORPUS], run, source=source, target=target, minutes=minutes, overrides=overrides or [])
    print_evaluation(evaluate_run(run, "test", examples=10), False)
    script = Path(sys.argv[0])
    program = script if script.name == "nmt" and not which("nmt") else "nmt"  # an environment need not be active
    sys.stdout.write(
        f'\nTranslate a sentence of your own:\n\n    echo "Restart the device." | {program} translate {run}\n'
    )
