"""The command `nmt gradients`."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nmt.commands import CheckpointOption, load_tensorflow, say
from nmt.errors import UserError
from nmt.files import written_whole

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
    steps: Annotated[int, typer.Option(min=0, help="Training steps of each, at most.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of weights and sequences.")] = 1,
    chrono: Annotated[bool, typer.Option(help="Begin with gates made for the delay.")] = False,
    checkpoint: CheckpointOption = None,
) -> None:
    """Measure how far back gradients reach: of each cell before and after training, or within a run's model."""
    if run is not None:
        if cells:
            raise UserError("nmt gradients: expected a run folder or --cell, got both")
        load_tensorflow()
        _of_run(run, checkpoint, output)
        return
    load_tensorflow()
    from nmt.memory.experiment import Settings, as_json, run_experiment

    settings = Settings(tuple(cells or Settings().cells), task, delay, units, steps, seed, chrono)
    outcomes = run_experiment(settings, say)
    options = [f"--cell {cell}" for cell in outcomes]
    options += [f"--task {task} --delay {delay} --units {units} --steps {steps} --seed {seed}"]
    command = " ".join(["nmt gradients", *options, *(["--chrono"] if chrono else []), f"--output {output}"])
    _write_json(output, {"command": command} | as_json(settings, outcomes))
    _draw_cells(output, outcomes)
    _print_cells(settings, outcomes)


def _of_run(run: Path, checkpoint: str | None, output: Path) -> None:
    from nmt.memory.plot import Line, draw
    from nmt.memory.trained_run import as_json, measure_run

    measured = measure_run(run, checkpoint)
    _write_json(output, as_json(run, measured))
    title = "d(last token's log-probability) / d(state)"
    draw(output / "gradients.png", {title: [Line(name, states["all"]) for name, states in measured.items()]})
    distances = (1, 5, 10, 20, 50)
    print(f"{'steps before the last':<22}" + "".join(f"{distance:>10}" for distance in distances))
    for name, states in measured.items():
        median = states["all"].median
        shown = (f"{median[distance]:.2g}" if distance < len(median) else "-" for distance in distances)
        print(f"{name:<22}" + "".join(f"{value:>10}" for value in shown))


def _draw_cells(output: Path, outcomes: dict[str, Any]) -> None:
    from nmt.memory.plot import Line, draw

    panels: dict[str, list[Line]] = {}
    for title, place in (("at initialisation", 0), ("after training", -1)):
        panels[title] = []
        for cell, outcome in outcomes.items():
            point = outcome.points[place]
            panels[title].append(Line(cell, point.states["all"]))
            if point.bound is not None:
                panels[title].append(Line(f"{cell}, bound", point.bound, dotted=True))
    draw(output / "gradients.png", panels)


def _print_cells(settings: Any, outcomes: dict[str, Any]) -> None:
    from nmt.memory.tasks import TASKS

    print(f"norm of the gradient {settings.distance} steps before the last one, where it is 1; {settings.task} task")
    columns = ("before training", "after training", "loss", "accuracy", "longest learned", "steps")
    print(f"{'cell':<8}" + "".join(f"{column:>16}" for column in columns))
    for cell, outcome in outcomes.items():
        norms = (f"{outcome.points[place].states['all'].median[settings.distance]:.1e}" for place in (0, -1))
        scores = f"{outcome.scores.loss:.3f}", f"{outcome.scores.accuracy:.1%}"
        values = (*norms, *scores, outcome.learned.longest, f"{outcome.learned.steps:,}")
        print(f"{cell:<8}" + "".join(f"{value:>16}" for value in values))
    chance = TASKS[settings.task].chance
    print(f"{'chance':<8}{'':>32}{chance.loss:>16.3f}{chance.accuracy:>16.1%}")


def _write_json(output: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    with written_whole(output / "gradients.json") as file:
        # A list of numbers is one line.
        file.write(re.sub(r"\[[^][{}\"]*\]", lambda found: " ".join(found[0].split()), text) + "\n")
