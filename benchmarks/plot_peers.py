"""Draws docs/speed.png from the results of peers.py: training speed of each system."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

HERE = Path(__file__).parent


def main() -> None:
    """Draws the bars."""
    result = json.loads((HERE / "results" / "peers.json").read_text(encoding="utf-8"))
    draw(result).savefig(HERE.parent / "docs" / "speed.png", dpi=110)


def draw(result: dict[str, Any]) -> Figure:
    """The median of each system, the fastest on top, with whiskers from its slowest to its fastest round."""
    medians = {name: figures["target_tokens_per_second"] for name, figures in result["medians"].items()}
    names = sorted(medians, key=lambda name: medians[name])
    figure = Figure(figsize=(7, 0.9 + 0.45 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        rounds = [one["systems"][name]["target_tokens_per_second"] for one in result["rounds"]]
        axes.barh(row, medians[name], color="tab:blue" if name in result["ratios"] else "tab:gray", height=0.6)
        axes.plot([min(rounds), max(rounds)], [row, row], color="black", marker="|", linewidth=1)
        axes.annotate(
            f"{medians[name]:,.0f}",
            (max(rounds), row),
            textcoords="offset points",
            xytext=(6, 0),
            va="center",
            fontsize=9,
        )
    axes.set(
        yticks=range(len(names)),
        yticklabels=names,
        xlabel=f"target tokens a second in training, {result['machine']['cores']} CPU cores",
        xlim=(0, max(medians.values()) * 1.2),
    )
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure


if __name__ == "__main__":
    main()
