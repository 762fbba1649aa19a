"""HTML of the demo's two tables: the translations to choose from, and the attention of one of them as a heat map.

Sentences are untrusted, so every text is escaped. Styles and scripts are separate from the tables, because a browser
does not run a script that is inserted into a page.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from nmt.inference.translator import Hypothesis

MAX_PIECES = 100  # shown of each side; a browser renders 10,000 cells without delay

# `&` is the element that contains the table. Text has a contrast of at least 4.5 on every shade, because the darkest
# shade is still light in the light theme, and the lightest one still dark in the dark theme.
HEAT_MAP_STYLE = """
--none: #eff3f8; --full: #5c9df5; --text: #0f1720; --chosen: #fde68a;
color: var(--text);
.dark & { color-scheme: dark; --none: #26303f; --full: #2460d8; --text: #f8fafc; --chosen: #854d0e; }
h2 { font-size: 1.1rem; font-weight: 600; margin: 0; }
p, output { display: block; margin: 0.25rem 0 0.5rem; }
p { font-size: 0.8rem; }
output { font-size: 1.05rem; font-weight: 600; min-height: 1.6em; overflow-wrap: anywhere; }
output:empty::before { content: attr(data-hint); font-size: 0.9rem; font-weight: 400; }
.scrolled { overflow: auto; max-height: 44rem; }
table { border-collapse: separate; border-spacing: 2px; font-size: 0.85rem; line-height: 1.2; }
th { font-weight: 400; background: var(--background-fill-primary); white-space: nowrap; border-radius: 3px; }
thead th { position: sticky; top: 0; z-index: 1; vertical-align: bottom; padding: 0.3rem 0; }
thead th bdi { writing-mode: vertical-rl; transform: rotate(180deg); display: inline-block; }
tbody th { position: sticky; left: 0; text-align: right; padding: 0 0.4rem; }
td { background: color-mix(in srgb, var(--full) var(--weight), var(--none)); border-radius: 3px; cursor: crosshair;
  font-size: 0.68rem; font-variant-numeric: tabular-nums; text-align: center; height: 1.5rem; min-width: 1.9rem; }
td.faint { color: transparent; }
th.pointed { background: var(--chosen); font-weight: 600; }
td.pointed, td:focus { outline: 2px solid var(--text); }
"""

# The output line shows the cell under the pointer. A single cell is in the tab order; arrow keys move from there.
HEAT_MAP_SCRIPT = """
const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
function point(cell) {
  element.querySelectorAll(".pointed").forEach((one) => one.classList.remove("pointed"));
  const readout = element.querySelector("output");
  if (!cell) { if (readout) readout.textContent = ""; return; }
  const row = cell.parentElement.cells[0], column = cell.closest("table").rows[0].cells[cell.cellIndex];
  [row, column, cell].forEach((one) => one.classList.add("pointed"));
  readout.textContent = column.textContent + " \u2192 " + row.textContent + ": " + cell.textContent;
}
element.addEventListener("mouseover", (event) => {
  const cell = event.target.closest("td");
  if (cell) point(cell);
});
element.addEventListener("mouseleave", () => point(element.querySelector("td:focus")));
element.addEventListener("focusin", (event) => {
  const cell = event.target.closest("td");
  if (!cell) return;
  element.querySelectorAll("td[tabindex='0']").forEach((one) => (one.tabIndex = -1));
  cell.tabIndex = 0;
  point(cell);
});
element.addEventListener("keydown", (event) => {
  const cell = event.target.closest("td"), move = moves[event.key];
  if (!cell || !move) return;
  event.preventDefault();
  const row = cell.closest("table").rows[cell.parentElement.rowIndex + move[0]];
  const next = row && row.cells[cell.cellIndex + move[1]];
  if (next && next.tagName === "TD") next.focus();
});
"""

TRANSLATIONS_STYLE = """
--chosen: #e4edfb;
.dark & { color-scheme: dark; --chosen: #2b3a55; }
h2 { font-size: 1.1rem; font-weight: 600; margin: 0; }
p { margin: 0.25rem 0 0.5rem; font-size: 0.8rem; }
p[role="status"] { font-size: 0.9rem; font-weight: 600; }
.scrolled { overflow: auto; max-height: 44rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th { text-align: left; font-weight: 600; font-size: 0.8rem; }
th, td { padding: 0.4rem; border-bottom: 1px solid var(--border-color-primary); vertical-align: top; }
tbody th { padding-top: 0.8rem; overflow-wrap: anywhere; }
thead th + th, td + td { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
label { display: flex; gap: 0.5rem; cursor: pointer; overflow-wrap: anywhere; }
input { appearance: auto; margin: 0.2rem 0 0; }
tr:has(input:checked) { background: var(--chosen); }
"""

# A radio button that was clicked ignores its `checked` attribute, so every answer selects the first one by script.
TRANSLATIONS_SCRIPT = """
element.addEventListener("change", (event) => {
  trigger("select", { index: event.target.value.split(",").map(Number), value: event.target.value });
});
watch("value", () => {
  element.querySelectorAll("input").forEach((input) => (input.checked = input.defaultChecked));
});
"""


def translations_table(lines: Sequence[str], translations: Sequence[Sequence[Hypothesis]], name: str) -> str:
    """Renders the n-best translations of each line as a table with a radio button for each translation.

    Args:
        lines: the source texts.
        translations: the hypotheses of each line, the best first; lines without hypotheses are left out.
        name: name of the group of radio buttons. Their values are `line,rank`, both counted from 0.

    Returns:
        HTML, or an empty string if there are no hypotheses.

    Example:

    >>> translations_table([""], [[]], "first")
    ''
    """
    groups = []
    for number, (line, hypotheses) in enumerate(zip(lines, translations, strict=True)):
        if not hypotheses:
            continue
        heading = f'<tr><th scope="rowgroup" colspan="3" dir="auto">{escape(line)}</th></tr>' if len(lines) > 1 else ""
        rows = [_choice(hypothesis, f"{number},{rank}", name) for rank, hypothesis in enumerate(hypotheses)]
        groups.append(f"<tbody>{heading}{''.join(rows)}</tbody>")
    if not groups:
        return ""
    groups[0] = groups[0].replace("<input", "<input checked", 1)
    columns = "".join(f'<th scope="col">{title}</th>' for title in ("Translation", "Score", "Log-probability"))
    return (
        "<h2>Translations</h2>"
        "<p>Choose one to see its attention. The score is the log-probability, normalised by length.</p>"
        f'{_split_note(lines, translations)}<div class="scrolled"><table><thead><tr>{columns}</tr></thead>'
        f"{''.join(groups)}</table></div>"
    )


def heat_map_table(attention: ArrayLike, source_pieces: Sequence[str], target_pieces: Sequence[str]) -> str:
    """Renders attention weights as a table: one column per source piece, one row per target piece.

    Only the first `MAX_PIECES` pieces of each side are shown.

    Args:
        attention: float `[target pieces, source pieces]`; each row sums to 1.
        source_pieces: headings of the columns.
        target_pieces: headings of the rows.

    Returns:
        HTML.

    Example:

    >>> heat_map_table([[0.93, 0.07]], ["▁a", "</s>"], ["▁ein"]).count("--weight")
    2
    """
    cut = max(len(source_pieces), len(target_pieces)) > MAX_PIECES
    return (
        '<h2 id="attention">Attention</h2>'
        "<p>Each row is a piece of the translation, each column a piece of the source. The stronger the blue, the "
        "higher the attention weight. \N{LOWER ONE EIGHTH BLOCK} begins a word, &lt;/s&gt; ends a sentence."
        f"{f' Only the first {MAX_PIECES} pieces are shown.' if cut else ''}</p>"
        '<output data-hint="Point at a cell, or move to it with the arrow keys."></output>'
        + heat_map_grid(attention, source_pieces, target_pieces, 'role="grid" aria-labelledby="attention"')
    )


def heat_map_grid(
    attention: ArrayLike, source_pieces: Sequence[str], target_pieces: Sequence[str], attributes: str = ""
) -> str:
    """Renders the table of `heat_map_table` alone.

    Args:
        attention: float `[target pieces, source pieces]`; each row sums to 1.
        source_pieces: headings of the columns.
        target_pieces: headings of the rows.
        attributes: HTML attributes of a table whose cells can be reached by keys; without them no cell can.

    Returns:
        HTML.

    Example:

    >>> heat_map_grid([[0.93, 0.07]], ["▁a", "</s>"], ["▁ein"]).count("tabindex")
    0
    """
    rows: list[str] = []
    for piece, row in zip(target_pieces[:MAX_PIECES], np.asarray(attention), strict=False):
        cells = "".join(
            _cell(weight, (-1 if rows or column else 0) if attributes else None)
            for column, weight in enumerate(row[:MAX_PIECES])
        )
        rows.append(f'<tr><th scope="row"><bdi>{escape(piece)}</bdi></th>{cells}</tr>')
    columns = "".join(f'<th scope="col"><bdi>{escape(piece)}</bdi></th>' for piece in source_pieces[:MAX_PIECES])
    return (
        f'<div class="scrolled"><table {attributes}>'
        f"<thead><tr><td></td>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _choice(hypothesis: Hypothesis, value: str, name: str) -> str:
    return (
        f'<tr><td><label><input type="radio" name="{escape(name)}" value="{value}">'
        f'<span dir="auto">{escape(hypothesis.text)}</span></label></td>'
        f"<td>{hypothesis.score:.3f}</td><td>{hypothesis.log_probability:.3f}</td></tr>"
    )


def _cell(weight: float, tab_index: int | None) -> str:
    faint = ' class="faint"' if weight < 0.05 else ""  # its number is hidden, but screen readers still read it
    reached = "" if tab_index is None else f' tabindex="{tab_index}"'
    return f'<td{faint}{reached} style="--weight:{weight:.0%}">{weight:.2f}</td>'


def _split_note(lines: Sequence[str], translations: Sequence[Sequence[Hypothesis]]) -> str:
    """Names the lines that were translated in parts, which their source pieces show by several end marks."""
    parts = [hypotheses[0].source_pieces.count("</s>") if hypotheses else 0 for hypotheses in translations]
    notes = [
        f"{f'Line {number}' if len(lines) > 1 else 'The text'} was translated in {count} parts, each by itself: its "
        "sentences, or parts of one that is longer than those that the model was trained on."
        for number, count in enumerate(parts, 1)
        if count > 1
    ]
    return f'<p role="status">{" ".join(notes)}</p>' if notes else ""
