"""The commands that look into a run: `nmt gradients` and `nmt report`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.cli.options import CheckpointOption, load_tensorflow
from nmt.utils.errors import UserError

app = typer.Typer()


@app.command()
def gradients(
    output: Annotated[Path, typer.Option(help="A folder for gradients.json and gradients.png.", show_default=False)],
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="A run folder: measure its model.", show_default=False)
    ] = None,
    cells: Annotated[
        list[str] | None, typer.Option("--cell", help="Which cell to train; may be repeated; all if absent.")
    ] = None,
    task: Annotated[Literal["copy", "adding"], typer.Option(help="What they are trained on.")] = "copy",
    delay: Annotated[int, typer.Option(min=1, help="Steps over which they shall remember.")] = 100,
    units: Annotated[int, typer.Option(min=1, help="Width of their states.")] = 64,
    steps: Annotated[int, typer.Option(min=0, help="Training steps of each, at most.")] = 5000,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Of Adam.")] = 0.003,
    seed: Annotated[int, typer.Option(help="Of weights and sequences.")] = 1,
    chrono: Annotated[bool, typer.Option(help="Begin with gates made for the delay.")] = False,
    checkpoint: CheckpointOption = None,
) -> None:
    """Measure how far back gradients reach: of each cell before and after training, or within a run's model."""
    if run is not None and cells:
        raise UserError("expected a run folder or --cell, got both")
    load_tensorflow()
    if run is not None:
        from nmt.analysis.report import report_run
        from nmt.analysis.trained_run import measure_run

        report_run(output, run, measure_run(run, checkpoint))
        return
    from nmt.analysis.experiment import ExperimentSettings, run_experiment
    from nmt.analysis.report import report_experiment

    chosen = tuple(cells or ExperimentSettings().cells)
    settings = ExperimentSettings(chosen, task, delay, units, steps, learning_rate, seed, chrono)
    report_experiment(output, settings, run_experiment(settings))


@app.command()
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="A run folder, or two to compare.", show_default=False)
    ],
    output: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which part of the run's corpus.")] = "test",
    sentences: Annotated[int, typer.Option(min=1, help="How many of its sentences to translate, at most.")] = 1000,
    samples: Annotated[int, typer.Option(min=0, help="Bootstrap samples; 0 for no intervals.")] = 1000,
    checkpoint: CheckpointOption = None,
) -> None:
    """Write a page about a run, or about two: training, scores, translations, attention, settings."""
    load_tensorflow()
    from nmt.serving.run_report import write_report

    write_report(runs, output, split=split, sentences=sentences, samples=samples, checkpoint=checkpoint)
