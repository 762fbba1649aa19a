"""The picture of the vanishing gradient."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmt.files import written_whole
from nmt.memory.gradients import Array, Curve

_LOWEST = 1e-12  # what falls deeper leaves the picture
# Okabe and Ito's colours, which the colour-blind can tell apart; their greys differ, and so do the markers.
_COLOURS = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7")
_MARKERS = ("o", "s", "^", "D", "v")


class Line(NamedTuple):
    """A curve and its name."""

    label: str
    curve: Curve
    dotted: bool = False  # as a bound, in the colour of the line before it


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
        figure.savefig(file, format="png")


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
        ends.append((*_end(line.curve.median), line.label, style["color"]))
    _name(axes, ends)


def _end(values: Array) -> tuple[float, float]:
    """Where a line ends, or where it leaves the picture at the bottom."""
    below = np.flatnonzero(~(values > _LOWEST))
    last = int(below[0]) - 1 if below.size else len(values) - 1
    return float(max(last, 0)), float(values[max(last, 0)])


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
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
    axes.set_xlim(0, 1.3 * widest)


def _highest(line: Line) -> float:
    return float(np.nanmax(line.curve.median, initial=1.0))
