"""The command `nmt quickstart`: a first translator, without a checkout, a corpus or a setting of one's own."""

import sys
from pathlib import Path
from shutil import which
from typing import Annotated

import typer

from nmt.cli.options import SettingsOption, load_tensorflow
from nmt.config import load_config

SETTINGS = Path(__file__).parent.parent / "config" / "quickstart.yaml"

app = typer.Typer()


@app.command()
def quickstart(
    run: Annotated[Path, typer.Option("--run", help="The run folder; made if need be.")] = Path("runs/quickstart"),
    overrides: SettingsOption = None,
) -> None:
    """Train a small English-to-German translator of software strings on the built-in corpus, and evaluate it.

    It takes about 10 minutes on 2 cores. The corpus is downloaded once, by pip. The same command goes on where it was
    stopped.
    """
    config = load_config(SETTINGS, overrides or [])
    load_tensorflow()
    from nmt.evaluation.report import print_evaluation
    from nmt.runs.translation import evaluate_run
    from nmt.training.train import train

    train(config, run)
    print_evaluation(evaluate_run(run, "test", examples=10), False)
    script = Path(sys.argv[0])
    program = script if script.name == "nmt" and not which("nmt") else "nmt"  # an environment need not be active
    sys.stdout.write(
        f'\nTranslate a sentence of your own:\n\n    echo "Restart the device." | {program} translate {run}\n'
    )
