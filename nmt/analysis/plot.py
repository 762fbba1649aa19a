"""Plots of gradient norms by the distance from the last step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmt.analysis.experiment import CellResult
from nmt.analysis.gradients import Array, Curve
from nmt.utils.files import written_whole

_LOWEST = 1e-12  # lower end of the vertical axis
# The palette of Okabe and Ito, which colour-blind readers can distinguish. The lines also differ in grey and markers.
_COLOURS = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7")
_MARKERS = ("o", "s", "^", "D", "v")


class Line(NamedTuple):
    """A curve to draw and its label.

    Attributes:
        label: text at the end of the line.
        curve: the norms.
        is_bound: whether to draw the curve as a bound: dotted, in the colour of the line before.
    """

    label: str
    curve: Curve
    is_bound: bool = False


def draw_experiment(path: str | Path, results: Mapping[str, CellResult]) -> None:
    """Draws the gradient norms of all cells before and after training, in two panels.

    Args:
        path: the PNG file to write.
        results: what `run_experiment` returned.

    Raises:
        UserError: if the file cannot be written.
    """
    panels: dict[str, list[Line]] = {}
    for title, index in (("at initialisation", 0), ("after training", -1)):
        panels[title] = []
        for cell, result in results.items():
            measurement = result.measurements[index]
            panels[title].append(Line(cell, measurement.curves["all"]))
            if measurement.bound is not None:
                panels[title].append(Line(f"{cell}, bound", measurement.bound, is_bound=True))
    draw(path, panels)


def draw_run(path: str | Path, layers: Mapping[str, Mapping[str, Curve]]) -> None:
    """Draws the gradient norms of a run's layers.

    Args:
        path: the PNG file to write.
        layers: what `measure_run` returned.

    Raises:
        UserError: if the file cannot be written.
    """
    title = "loss of the last target token"
    draw(path, {title: [Line(name, curves["all"]) for name, curves in layers.items()]})


def draw(path: str | Path, panels: Mapping[str, Sequence[Line]]) -> None:
    """Draws norms by distance on a logarithmic axis: medians, quartiles as a shade, and a label at each line.

    Args:
        path: the PNG file to write.
        panels: the lines of each panel, by the panel's title. All panels have the same axes.

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
            axes.set_ylabel("norm of the gradient, relative to the last step")
    with written_whole(Path(path), "wb") as file:
        figure.savefig(file, format="png", pil_kwargs={"optimize": True})


def _draw_lines(axes: Any, lines: Sequence[Line]) -> None:
    colour = -1
    ends: list[tuple[float, float, str, str]] = []
    for line in lines:
        colour += not line.is_bound
        style: dict[str, Any] = {"color": _COLOURS[colour % len(_COLOURS)], "linewidth": 1.4}
        distances = np.arange(len(line.curve.median))
        shown = np.where(line.curve.median > 0, line.curve.median, np.nan)
        if line.is_bound:
            axes.plot(distances, shown, linestyle=":", **style)
        else:
            every = max(len(distances) // 8, 1)
            axes.plot(distances, shown, marker=_MARKERS[colour % len(_MARKERS)], markevery=every, markersize=4, **style)
            low, high = (np.maximum(side, _LOWEST / 10) for side in (line.curve.lower, line.curve.upper))
            axes.fill_between(distances, low, high, color=style["color"], alpha=0.12, linewidth=0)
        ends.append((*_end(line.curve.median, axes.get_ylim()[1]), line.label, style["color"]))
    _label(axes, ends)


def _end(values: Array, top: float) -> tuple[float, float]:
    """Returns the last point of a line before it leaves the axes."""
    outside = np.flatnonzero(~((values > _LOWEST) & (values < top)))
    last = max(int(outside[0]) - 1, 0) if outside.size else len(values) - 1
    return float(last), float(values[last])


def _label(axes: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Writes the labels at the ends of the lines, at least one line of text apart."""
    bottom, top = np.log10(axes.get_ylim())
    height = 0.055 * (top - bottom)
    widest = max((x for x, *_ in ends), default=1.0)
    level = np.inf
    ordered = sorted(ends, key=lambda end: -end[1])
    # From the top down, each label is moved below the one before. Labels that end up below the axes are moved up.
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
    return 1.0 if line.is_bound else float(np.nanmax(line.curve.median, initial=1.0))
