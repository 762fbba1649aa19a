"""HTML of the report about a run, or about two: one page, without scripts, that can be printed or sent to someone.

Everything that comes from a run is untrusted, so every text is escaped. Charts are inline SVG, and the attention is the
table of the demo's page.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from nmt.data.cleaning import CHANGES, REASONS
from nmt.serving.heat_map_page import HEAT_MAP_STYLE, heat_map_grid

Described = Mapping[str, Any]  # a run, as `nmt.serving.run_report.describe_run` returns it
Points = Sequence[tuple[float, float]]

_STYLE = """
:root { color-scheme: light dark; --background-fill-primary: light-dark(#fff, #0f1720); --line: light-dark(#ccd5e0,
  #3a4658); --first: light-dark(#1d5fd0, #7fb0ff); --second: light-dark(#b4540a, #f0a860);
  --removed: light-dark(#fbd5d5, #6b2a2a); --added: light-dark(#cdeccd, #1f5130); }
body { font: 1rem/1.45 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem;
  background: var(--background-fill-primary); overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2rem 0 0.4rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1rem 0 0.2rem; }
table { border-collapse: collapse; font-size: 0.9rem; margin: 0.5rem 0; }
th, td { text-align: left; padding: 0.2rem 0.8rem 0.2rem 0; vertical-align: top; overflow-wrap: break-word; }
thead th { border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
p.note { font-size: 0.85rem; margin: 0.3rem 0; }
.wide { overflow-x: auto; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; }
svg { width: 28rem; max-width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
.run0 { stroke: var(--first); } .run1 { stroke: var(--second); stroke-dasharray: 5 3; }
article { border-top: 1px solid var(--line); padding: 0.5rem 0; break-inside: avoid; }
article dl { display: grid; grid-template-columns: 10rem minmax(0, 1fr); margin: 0; gap: 0.15rem 0.6rem; }
dt { font-size: 0.85rem; overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }
del { background: var(--removed); text-decoration: none; } ins { background: var(--added); text-decoration: none; }
@media (max-width: 40rem) { article dl { grid-template-columns: minmax(0, 1fr); } }
@media print { body { max-width: none; font-size: 10pt; } .scrolled { max-height: none !important; }
  h2, h3 { break-after: avoid; } }
"""
# Without a script there is no class for the dark theme.
_ATTENTION_STYLE = f""".attention {{ {HEAT_MAP_STYLE} td {{ cursor: auto; padding: 0; }} th {{ padding: 0 0.3rem; }} }}
@media (prefers-color-scheme: dark) {{ .attention {{ --none: #26303f; --full: #2460d8; --text: #f8fafc; }} }}
@media print {{ td {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }} }}"""


def report_page(runs: Sequence[Described], comparison: Sequence[Mapping[str, Any]] = ()) -> str:
    """Renders the report of a run, or of two runs side by side.

    Args:
        runs: one or two dictionaries from `nmt.serving.run_report.describe_run`.
        comparison: the scores of the second run with the first as baseline, each with `name`, `value`, `baseline` and
            `p_value`; empty if they cannot be compared.

    Returns:
        A complete HTML page, which loads nothing.

    Example:

    >>> page = report_page([{"name": "a & b", "languages": "en to de"}])
    >>> "<title>a &amp; b: en to de</title>" in page, "<script" in page
    (True, False)
    """
    names = " and ".join(str(run["name"]) for run in runs)
    title = escape(f"{names}: {runs[0]['languages']}")
    sections = [
        ("Scores", _scores(runs) + _compared(runs, comparison)),
        ("Scores by the length of the source", _each(runs, _by_length)),
        ("Training", _curves(runs)),
        ("What translations repeat and preserve", _each(runs, _kept)),
        ("The worst translations", _sentences(runs, "worst", "By chrF, the lowest first.")),
        ("Examples", _sentences(runs, "examples", "Spread evenly over the split.")),
        ("Attention", _each(runs, _attention)),
        ("What cleaning dropped", _each(runs, _cleaning)),
        ("What was chosen, and why", _each(runs, _chosen) + _settings(runs)),
        ("Versions", _each(runs, _versions)),
    ]
    body = "".join(f"<section><h2>{escape(heading)}</h2>{html}</section>" for heading, html in sections if html)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_STYLE}{_ATTENTION_STYLE}</style></head>"
        f"<body><h1>{title}</h1>{body}</body></html>\n"
    )


def mark_differences(text: str, other: str) -> tuple[str, str]:
    """Marks in two texts the words that the other one lacks; in texts without spaces, the characters.

    Args:
        text: a text, whose words that `other` lacks are put into `del`.
        other: another one, whose words that `text` lacks are put into `ins`.

    Returns:
        HTML of both.

    Example:

    >>> mark_differences("the old <b>", "the new <b>")
    ('the <del>old</del> &lt;b&gt;', 'the <ins>new</ins> &lt;b&gt;')
    """
    spaced = " " in text.strip() or " " in other.strip()
    first, second = (re.findall(r"\s+|\S+", one) if spaced else list(one) for one in (text, other))
    sides: tuple[list[str], list[str]] = ([], [])
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for kind, begin, end, other_begin, other_end in matcher.get_opcodes():
        for side, element, pieces in zip(
            sides, ("del", "ins"), (first[begin:end], second[other_begin:other_end]), strict=True
        ):
            html = escape("".join(pieces))
            side.append(html if kind == "equal" or not html.strip() else f"<{element}>{html}</{element}>")
    return "".join(sides[0]), "".join(sides[1])


def line_chart(title: str, x_label: str, series: Sequence[tuple[str, Points]]) -> str:
    """Draws lines over a common axis.

    Args:
        title: what the values are.
        x_label: what the lines go over.
        series: a name and the points of each line, at most two; lines without points are left out.

    Returns:
        An `svg` element, or an empty string if there are no points.

    Example:

    >>> line_chart("BLEU", "step", [("a", [(0, 1.0), (10, 2.0)])]).count("<polyline")
    1
    """
    points = [point for _, line in series for point in line]
    if not points:
        return ""
    (left, right), (low, high) = ((min(values), max(values)) for values in zip(*points, strict=True))
    width, height = (right - left) or 1, (high - low) or 1

    def place(x: float, y: float) -> str:
        return f"{50 + 380 * (x - left) / width:.1f},{180 - 150 * (y - low) / height:.1f}"

    parts = [
        f'<text x="44" y="{184 - 150 * share:.0f}" text-anchor="end">{low + share * height:.3g}</text>'
        f'<path d="M50,{180 - 150 * share:.0f}h380" stroke="var(--line)"/>'
        for share in (0, 0.5, 1)
    ]
    parts += [
        f'<text x="{50 + 380 * share:.0f}" y="197" text-anchor="middle">{left + share * width:,.0f}</text>'
        for share in (0, 0.5, 1)
    ]
    for number, (name, line) in enumerate(series):
        if line:
            places = " ".join(place(*point) for point in line)
            parts.append(f'<polyline class="run{number}" points="{places}" fill="none" stroke-width="2"/>')
            parts += [f'<circle class="run{number}" r="2" cx="{p.partition(",")[0]}" cy="{p.partition(",")[2]}"/>'
                      for p in places.split()]  # fmt: skip
        if len(series) > 1:
            parts.append(
                f'<path class="run{number}" d="M{60 + 190 * number},20h20" stroke-width="2"/>'
                f'<text x="{85 + 190 * number}" y="24">{escape(name[:24])}</text>'
            )
    return (
        f'<svg viewBox="0 0 460 220" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f'<text x="50" y="10">{escape(title)}</text>{"".join(parts)}'
        f'<text x="240" y="214" text-anchor="middle">{escape(x_label)}</text></svg>'
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; columns of numbers, or of texts that begin with a digit or a sign, are aligned to the right."""
    if not rows:
        return ""
    numeric = [all(re.match(r"[-+]?\d|$", str(row[index])) for row in rows) for index in range(len(columns))]

    def cell(tag: str, text: Any, index: int) -> str:
        return f"<{tag}{' class=number' if numeric[index] else ''}>{escape(str(text))}</{tag}>"

    head = "".join(cell("th", name, index) for index, name in enumerate(columns))
    body = "".join(f"<tr>{''.join(cell('td', text, i) for i, text in enumerate(row))}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _each(runs: Sequence[Described], render: Callable[[Described], str]) -> str:
    """What each run has, under its name if there are two."""
    parts = [(run, render(run)) for run in runs]
    return "".join(
        (f"<h3>{escape(str(run['name']))}</h3>" if len(runs) > 1 else "") + html for run, html in parts if html
    )


def _interval(score: Mapping[str, Any]) -> str:
    margin = score.get("margin")
    return f"{score['value']:.1f}" + (f" ± {margin:.1f}" if margin is not None else "")


def _scores(runs: Sequence[Described]) -> str:
    rows = [
        [run["name"], name, _interval(score), "lower" if name == "TER" else "higher", score.get("signature", "")]
        for run in runs
        for name, score in run.get("scores", {}).items()
    ]
    if not rows:
        return ""
    split = escape(f"{runs[0].get('sentences', 0):,} sentences of the {runs[0].get('split', '')} split")
    table = _table(("Run", "Metric", "Score", "Better", "Signature"), rows)
    return f'<p class="note">{split}; ± is half of the 95% interval of a bootstrap over the sentences.</p>{table}'


def _compared(runs: Sequence[Described], comparison: Sequence[Mapping[str, Any]]) -> str:
    if len(runs) < 2:
        return ""
    if not comparison:
        return '<p class="note">The runs were not tested on the same sentences, so their scores do not compare.</p>'
    rows = [
        [one["name"], f"{one['baseline']:.1f}", f"{one['value']:.1f}", f"{one['value'] - one['baseline']:+.1f}",
         f"{one['p_value']:.4f}"]
        for one in comparison
    ]  # fmt: skip
    note = "p: how probable a difference at least as large is if both are equally good (Koehn 2004)."
    columns = ("Metric", *(str(run["name"]) for run in runs), "Difference", "p")
    return f'<h3>Compared</h3>{_table(columns, rows)}<p class="note">{note}</p>'


def _by_length(run: Described) -> str:
    groups = run.get("by_length", {})
    metrics = list(next(iter(groups.values()))["scores"]) if groups else []
    rows = [
        [name, "{} to {}".format(*group["source_characters"]), f"{group['sentences']:,}",
         *(_interval(group["scores"][metric]) for metric in metrics)]
        for name, group in groups.items()
    ]  # fmt: skip
    return _table(("Sources", "Characters", "Sentences", *metrics), rows)


def _curves(runs: Sequence[Described]) -> str:
    def points(run: Described, name: str) -> list[tuple[float, float]]:
        lines = run.get("validations", [])
        return [(line["step"], line[name]) for line in lines if isinstance(line.get(name), int | float)]

    charts = [
        line_chart(title, "training step", [(str(run["name"]), points(run, name)) for run in runs])
        for name, title in (
            ("training_loss", "training loss of a token"),
            ("validation_loss", "validation loss of a token"),
            ("bleu", "BLEU on the validation split"),
        )
    ]
    return f'<div class="charts">{"".join(charts)}</div>' if any(charts) else ""


def _kept(run: Described) -> str:
    repetition = [
        [system, f"{one['sentences']:,}", f"{one['loops']:,}", f"{one['too_long']:,}"]
        for system, one in run.get("repetition", {}).items()
    ]
    preserved = [
        [kind, system, f"{one['expected']:,}", f"{one['preserved'] / max(one['expected'], 1):.1%}", f"{one['added']:,}"]
        for kind, systems in run.get("preservation", {}).items()
        for system, one in systems.items()
    ]
    return _table(("System", "Sentences", "With loops", "Too long"), repetition) + _table(
        ("Kind", "System", "In the sources", "Preserved", "Added"), preserved
    )


def _sentences(runs: Sequence[Described], key: str, note: str) -> str:
    articles = []
    for index, sentence in enumerate(runs[0].get(key, [])):
        entries = [("source", escape(sentence["source"]))]
        marked_reference = escape(sentence["reference"])
        for run in runs:
            others = run.get(key, [])
            if index < len(others) and others[index]["source"] == sentence["source"]:
                translation, reference = mark_differences(others[index]["translation"], sentence["reference"])
                marked_reference = reference if run is runs[0] else marked_reference
                name = "translation" if len(runs) == 1 else str(run["name"])
                entries.append((f"{name}, chrF {others[index]['chrf']:.0f}", translation))
        entries.insert(1, ("reference", marked_reference))
        rows = "".join(f'<dt>{escape(name)}</dt><dd dir="auto">{html}</dd>' for name, html in entries)
        articles.append(f"<article><dl>{rows}</dl></article>")
    marks = "Red: not in the reference; green: not in the translation" + (" of the first run." if runs[1:] else ".")
    return f'<p class="note">{escape(note)} {escape(marks)}</p>{"".join(articles)}' if articles else ""


def _attention(run: Described) -> str:
    return "".join(
        f'<div class="attention">{heat_map_grid(one["weights"], one["source"], one["target"])}</div>'
        for one in run.get("attention", [])
    )


def _cleaning(run: Described) -> str:
    names = REASONS | CHANGES
    rows = []
    for split, report in run.get("cleaning", {}).items():
        rows.append([split, "read", f"{report['read']:,}", "", ""])
        rows.append([split, "kept", *_share(report["kept"], report["read"]), ""])
        for reason, count in (report.get("dropped", {}) | report.get("changed", {})).items():
            if count:
                origins = ", ".join(report.get("examples", {}).get(reason, []))
                rows.append([split, names.get(reason, reason), *_share(count, report["read"]), origins])
    return _table(("Split", "Pairs", "Number", "Share", "For example"), rows)


def _share(count: int, of: int) -> tuple[str, str]:
    return f"{count:,}", f"{count / max(of, 1):.1%}"


def _chosen(run: Described) -> str:
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in run.get("choices", []))
    tuning = run.get("tuning", {})
    tried = [
        [f"{one['beam_size']}", f"{one['length_penalty']}", f"{one['coverage_penalty']}", f"{one['score']:.2f}"]
        for one in tuning.get("tried", [])
    ]
    # As it was before a tuning kept its goal.
    columns = ("Beam", "Length penalty", "Coverage penalty", str(tuning.get("goal", "Mean of BLEU and chrF")))
    table = f"<h3>Searches that were tried on the validation split</h3>{_table(columns, tried)}" if tried else ""
    return (f"<ul>{facts}</ul>" if facts else "") + table


def _settings(runs: Sequence[Described]) -> str:
    """The settings that are not the defaults, or where the runs differ."""
    columns: tuple[str, ...]
    settings, reasons = [run.get("settings", {}) for run in runs], runs[0].get("reasons", {})
    keys = list(dict.fromkeys(key for one in settings for key in one))
    if len(runs) == 1:
        defaults = runs[0].get("defaults", {})
        rows = [[key, settings[0][key], defaults.get(key, ""), reasons.get(key, "")]
                for key in keys if settings[0][key] != defaults.get(key)]  # fmt: skip
        heading, columns = "Settings that are not the defaults", ("Setting", "Value", "Default", "What it is")
    else:
        rows = [[key, *(one.get(key, "") for one in settings), reasons.get(key, "")]
                for key in keys if len({str(one.get(key, "")) for one in settings}) > 1]  # fmt: skip
        heading, columns = "Settings that differ", ("Setting", *(str(run["name"]) for run in runs), "What it is")
    return f"<h3>{heading}</h3>{_table(columns, rows)}" if rows else ""


def _versions(run: Described) -> str:
    return _table(("What", "Which"), list(run.get("versions", {}).items()))
