"""The command `nmt gradients`."""

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
        Path | None, typer.Argument(metavar="[RUN]", help="A run folder: measure its model.", show_default=False)
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
        raise UserError("nmt gradients: expected a run folder or --cell, got both")
    load_tensorflow()
    if run is not None:
        _of_run(run, checkpoint, output)
        return
    from nmt.analysis.experiment import ExperimentSettings, run_experiment
    from nmt.analysis.plot import draw_experiment
    from nmt.analysis.report import experiment_as_json, print_experiment, write_json

    cells = cells or list(ExperimentSettings().cells)
    settings = ExperimentSettings(tuple(cells), task, delay, units, steps, learning_rate, seed, chrono)
    results = run_experiment(settings)
    options = [f"--cell {cell}" for cell in results]
    options += [f"--task {task} --delay {delay} --units {units} --steps {steps}"]
    options += [f"--learning-rate {learning_rate} --seed {seed}", *(["--chrono"] if chrono else [])]
    command = " ".join(["nmt gradients", *options, f"--output {output}"])
    write_json(output / "gradients.json", {"command": command} | experiment_as_json(settings, results))
    draw_experiment(output / "gradients.png", results)
    print_experiment(settings, results)


def _of_run(run: Path, checkpoint: str | None, output: Path) -> None:
    from nmt.analysis.plot import draw_run
    from nmt.analysis.report import print_run, run_as_json, write_json
    from nmt.analysis.trained_run import measure_run

    measured = measure_run(run, checkpoint)
    write_json(output / "gradients.json", run_as_json(run, measured))
    draw_run(output / "gradients.png", measured)
    print_run(measured)
