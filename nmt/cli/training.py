"""The commands that make a model: `nmt prepare`, `train`, `tune`, `average`, `verify` and `bench`."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.messages import print_json
from nmt.cli.options import CheckpointOption, ConfigArgument, RunArgument, RunOption, SettingsOption, load_tensorflow
from nmt.config import Config, load_config, load_saved_config
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)

app = typer.Typer()


@app.command()
def prepare(config: ConfigArgument, run: RunOption, overrides: SettingsOption = None) -> None:
    """Clean the corpus, train its tokenizer and choose the batches, without training yet."""
    settings = _read_settings(config, run, overrides or [])  # a mistake in it shows before TensorFlow is loaded
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
def train(
    corpus: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG|FILES",
            help="A YAML configuration; or two text files, line N of one the translation of line N of the other (or "
            "more such pairs); or a .tsv file of source, tab, target; or files of translators, such as memory.tmx, "
            "de.po, or en.json de.json; or a dataset of TensorFlow Datasets.",
            show_default=False,
        ),
    ],
    run: RunOption,
    source: Annotated[str | None, typer.Option(help="The source language, if no file's name says it.")] = None,
    target: Annotated[str | None, typer.Option(help="The target language, if no file's name says it.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.5, max=1e6, help="How long to train, without a configuration; 30 if absent.")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(min=0.01, max=1e6, help="How often to go through the corpus, instead of --minutes.")
    ] = None,
    overrides: SettingsOption = None,
) -> None:
    """Train a model; the same command goes on where a training stopped or was killed.

    From files or a dataset alone, all settings are chosen for the corpus, the time and this machine, are logged, and
    are kept in the run's config.yaml. In the end the search is tuned, as by `nmt tune`.
    """
    path = Path(corpus[0])
    yaml = [Path(name).suffix.lower() in (".yaml", ".yml") for name in corpus]
    if yaml[0] and (len(corpus) == 1 or not all(yaml)):  # several such files are strings of programs
        given = {"--source": source, "--target": target, "--minutes": minutes, "--epochs": epochs}
        if extra := [*(name for name, value in given.items() if value is not None), *corpus[1:]]:
            raise UserError(f"{path}: is a configuration: expected nothing more but --set, got {', '.join(extra)}")
        settings = _read_settings(path, run, overrides or [])
        load_tensorflow()
        from nmt.training.train import train

        folder = train(settings, run)
    else:
        load_tensorflow()
        from nmt.training.own_text import train_on_text

        folder = train_on_text(
            corpus, run, source=source, target=target, minutes=minutes, epochs=epochs, overrides=overrides or []
        )
    _LOG.info("done; the weights are in %s", folder.best.parent)


@app.command()
def tune(
    run: RunArgument,
    sentences: Annotated[int, typer.Option(min=1, help="How many of the validation split to translate.")] = 1000,
    checkpoint: CheckpointOption = None,
) -> None:
    """Choose length penalty, beam and coverage penalty on the validation split, and keep them in the run's settings."""
    load_tensorflow()
    from nmt.runs.tuning import tune_search

    print_json(tune_search(run, sentences=sentences, checkpoint=checkpoint))


def _read_settings(config: Path, run: Path, overrides: Sequence[str]) -> Config:
    """Reads a configuration; that of the run itself may be older than some settings."""
    own = config.resolve() == (run / "config.yaml").resolve()
    return load_saved_config(config, overrides) if own else load_config(config, overrides)


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
def verify(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A run folder or an export.", show_default=False)],
) -> None:
    """Read every file of a run or an export wholly: is each as it was written? Status 1 if not."""
    load_tensorflow()
    from nmt.serving.verification import verify_folder

    whole = True
    for path, problem, note in verify_folder(folder):
        whole = whole and problem is None
        typer.echo(f"{path}: {problem or note or 'ok'}")
    if not whole:
        raise typer.Exit(1)


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
