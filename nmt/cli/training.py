"""The commands that make a model: `nmt prepare`, `nmt train`, `nmt average` and `nmt bench`."""

import logging
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.messages import print_json
from nmt.cli.options import ConfigArgument, RunArgument, RunOption, SettingsOption, load_tensorflow
from nmt.config import load_config

_LOG = logging.getLogger(__name__)

app = typer.Typer()


@app.command()
def prepare(config: ConfigArgument, run: RunOption, overrides: SettingsOption = None) -> None:
    """Clean the corpus, train its tokenizer and choose the batches, without training yet."""
    settings = load_config(config, overrides or [])  # a mistake in it shows before TensorFlow is loaded
    load_tensorflow()
    from nmt.runs.data import prepare_data
    from nmt.runs.folder import lock_run, open_run
    from nmt.runs.models import check_model
    from nmt.training.fine_tuning import check_start

    check_model(settings)
    check_start(settings, run)
    with lock_run(run):
        report = prepare_data(settings, open_run(run, settings))
    print_json(report)


@app.command()
def train(config: ConfigArgument, run: RunOption, overrides: SettingsOption = None) -> None:
    """Train a model; the same command goes on where a training stopped or was killed."""
    settings = load_config(config, overrides or [])
    load_tensorflow()
    from nmt.training.train import train

    folder = train(settings, run)
    _LOG.info("done; the weights are in %s", folder.best.parent)


@app.command()
def average(
    run: RunArgument,
    checkpoints: Annotated[
        list[str] | None, typer.Argument(help="Names; those of the latest validations if absent.")
    ] = None,
) -> None:
    """Average the weights of checkpoints into one that later commands then prefer."""
    load_tensorflow()
    from nmt.runs.checkpoints import average_run

    average_run(run, checkpoints or [])


@app.command()
def bench(
    config: ConfigArgument,
    run: Annotated[Path | None, typer.Option(help="Where the data is prepared; a temporary folder if absent.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps that are measured.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    overrides: SettingsOption = None,
) -> None:
    """Measure how fast a configuration trains on this machine, and where the time goes."""
    settings = load_config(config, overrides or [])
    load_tensorflow()
    from nmt.training.bench import measure

    with tempfile.TemporaryDirectory() as temporary:
        measured = measure(settings, run or Path(temporary), steps)._asdict()
    if as_json:
        print_json(measured)
        return
    for name, value in measured.items():
        shown = f"{value:.1%}" if "share" in name else f"{value:,}"
        print(f"{name.replace('_', ' '):<28}{shown:>12}")
