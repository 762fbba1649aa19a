"""Draws docs/learning.png from the results of multi30k.py: BLEU on val over minutes of training."""

import json
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent


def main() -> None:
    """Draws the curve."""
    result = json.loads((HERE / "results" / "multi30k-ref-256.json").read_text(encoding="utf-8"))
    minutes = [line["seconds"] / 60 for line in result["validations"]]
    bleu = [line["bleu"] for line in result["validations"]]
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(minutes, bleu, marker="o")
    for x, y in zip(minutes, bleu, strict=True):
        axes.annotate(f"{y:.1f}", (x, y), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8)
    axes.set(
        xlabel=f"minutes of training on {result['machine']['cores']} CPU cores",
        ylabel="BLEU on val, beam 5",
        xlim=(0, None),
        ylim=(0, max(bleu) * 1.15),
    )
    axes.grid(alpha=0.3)
    figure.savefig(HERE.parent / "docs" / "learning.png", dpi=110)


if __name__ == "__main__":
    main()
