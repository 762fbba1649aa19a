"""The picture of the vanishing gradient."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmt.analysis.experiment import Outcome
from nmt.analysis.gradients import Array, Curve
from nmt.utils.files import written_whole

_LOWEST = 1e-12  # what falls deeper leaves the picture
# Okabe and Ito's colours, which the colour-blind can tell apart; their greys differ, and so do the markers.
_COLOURS = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7")
_MARKERS = ("o", "s", "^", "D", "v")


class Line(NamedTuple):
    """A curve and its name."""

    label: str
    curve: Curve
    dotted: bool = False  # as a bound, in the colour of the line before it


def draw_experiment(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Draws the norms of all cells, before training and after it; see `draw`."""
    panels: dict[str, list[Line]] = {}
    for title, place in (("at initialisation", 0), ("after training", -1)):
        panels[title] = []
        for cell, outcome in outcomes.items():
            point = outcome.points[place]
            panels[title].append(Line(cell, point.states["all"]))
            if point.bound is not None:
                panels[title].append(Line(f"{cell}, bound", point.bound, dotted=True))
    draw(path, panels)


def draw_run(path: Path, measured: Mapping[str, Mapping[str, Curve]]) -> None:
    """Draws the norms of a run's layers; see `draw`."""
    title = "loss of the last target token, by the states before it"
    draw(path, {title: [Line(name, states["all"]) for name, states in measured.items()]})


def draw(path: Path, panels: Mapping[str, Sequence[Line]]) -> None:
    """Draws norms by distance as a PNG picture, logarithmic, medians with their quartiles, each named beside its line.

    Args:
        path: where the picture shall stand.
        panels: the lines of each, by its title; they share their axes.

    Raises:
        UserError: if the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 4.5 * len(panels), 4.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    highest = max((_highest(line) for lines in panels.values() for line in lines), default=1.0)
    for index, axes in enumerate(np.ravel(figure.subplots(1, len(panels), sharex=True, sharey=True))):
        title, lines = list(panels.items())[index]
        axes.set(title=title, xlabel="steps before the last one", yscale="log", ylim=(_LOWEST, 10 * highest))
        axes.grid(alpha=0.25)
        _draw_lines(axes, lines)
        if not index:
            axes.set_ylabel("norm of the gradient, at the last step 1")
    with written_whole(path, "wb") as file:
        figure.savefig(file, format="png", pil_kwargs={"optimize": True})


def _draw_lines(axes: Any, lines: Sequence[Line]) -> None:
    colour = -1
    ends: list[tuple[float, float, str, str]] = []
    for line in lines:
        colour += not line.dotted
        style: dict[str, Any] = {"color": _COLOURS[colour % len(_COLOURS)], "linewidth": 1.4}
        distances = np.arange(len(line.curve.median))
        shown = np.where(line.curve.median > 0, line.curve.median, np.nan)
        if line.dotted:
            axes.plot(distances, shown, linestyle=":", **style)
        else:
            every = max(len(distances) // 8, 1)
            axes.plot(distances, shown, marker=_MARKERS[colour % len(_MARKERS)], markevery=every, markersize=4, **style)
            low, high = (np.maximum(side, _LOWEST / 10) for side in (line.curve.lower, line.curve.upper))
            axes.fill_between(distances, low, high, color=style["color"], alpha=0.12, linewidth=0)
        ends.append((*_end(line.curve.median, axes.get_ylim()[1]), line.label, style["color"]))
    _name(axes, ends)


def _end(values: Array, top: float) -> tuple[float, float]:
    """Where a line ends, or where it leaves the picture."""
    outside = np.flatnonzero(~((values > _LOWEST) & (values < top)))
    last = max(int(outside[0]) - 1, 0) if outside.size else len(values) - 1
    return float(last), float(values[last])


def _name(axes: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Writes the names beside the ends of the lines, the next lower one at least a line of text below."""
    bottom, top = np.log10(axes.get_ylim())
    height = 0.055 * (top - bottom)
    widest = max((x for x, *_ in ends), default=1.0)
    level = np.inf
    ordered = sorted(ends, key=lambda end: -end[1])
    # From the top down each is pushed below the one before; as many as need it are then lifted off the bottom.
    levels = []
    for _, y, *_ in ordered:
        level = min(np.log10(y), level - height)
        levels.append(level)
    for index in range(len(levels) - 1, -1, -1):
        floor = bottom + height * (len(levels) - index - 0.4)
        levels[index] = max(levels[index], floor)
    for (x, y, label, colour), level in zip(ordered, levels, strict=True):
        axes.annotate(
            label, (x, y), (x + 0.04 * widest, 10**level), color=colour, fontsize=9, va="center", annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
    axes.set_xlim(0, 1.3 * widest)


def _highest(line: Line) -> float:
    return 1.0 if line.dotted else float(np.nanmax(line.curve.median, initial=1.0))
