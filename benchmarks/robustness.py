"""What translations lose where the text is in capitals, in small letters, has typing mistakes and so on.

    python benchmarks/robustness.py OUTPUT RUN... [--split test] [--set decoding.beam_size=1]

Each run translates a split of its own corpus as it is and in six other forms, with truecasing (`decoding.truecase`)
and without; BLEU and chrF are against references of the same form: in capitals for sources in capitals, without final
stop for sources without, else as they are. Placeholders stay as they are.

In addition, lines of three sentences each are translated, and compared with the translations of the sentences alone.
"""

import argparse
import json
import random
import re
import shlex
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.config import load_saved_config
from nmt.constants import SIDES
from nmt.data.noise import capitalize_words, mistype, without_stop
from nmt.data.token_store import read_sentences
from nmt.runs.folder import load_run_config
from nmt.text.capitals import lower, upper
from nmt.text.placeholders import KINDS, mask, restore
from nmt.text.sentences import split_sentences
from nmt.utils.files import written_whole

PACKAGES = ("tensorflow", "tensorflow-text", "sentencepiece", "sacrebleu")
LINES = 100
SOURCE_SEED = 1

Change = Callable[[str, str, random.Random], str]  # a text, its language, random numbers

# The change of the source, and that of the reference.
FORMS: dict[str, tuple[Change | None, Change | None]] = {
    "as it is": (None, None),
    "capitals": (lambda text, language, _: upper(text, language), lambda text, language, _: upper(text, language)),
    "small letters": (lambda text, language, _: lower(text, language), None),
    "Title Case": (lambda text, language, _: capitalize_words(text, language), None),
    "one typing mistake": (lambda text, _, draw: mistype(text, draw), None),
    "no final stop": (lambda text, *_: without_stop(text), lambda text, *_: without_stop(text)),
    "doubled spaces": (lambda text, *_: text.replace(" ", "  "), None),
}


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--sentences", type=int, help="the first of the split; all by default")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    arguments = parser.parse_args()
    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    result: dict[str, Any] = {
        "command": shlex.join(["python", "benchmarks/robustness.py", *sys.argv[1:]]),
        "versions": {name: version(name) for name in PACKAGES},
        "machine": describe_machine(),
        "runs": [],
    }
    for run in arguments.runs:
        result["runs"].append(measure(run, arguments.split, arguments.sentences, arguments.settings))
        with written_whole(arguments.output) as file:
            json.dump(result, file, indent=1, ensure_ascii=False)
        print(table(result["runs"][-1]), flush=True)


def measure(path: Path, split: Any, count: int | None, overrides: list[str]) -> dict[str, Any]:
    """Translates a split of a run's corpus in every form."""
    from nmt.evaluation.metrics import evaluate
    from nmt.runs.translation import load_translator

    run, config = load_run_config(path)
    sources, references = (list(read_sentences(run.data, split, side))[:count] for side in SIDES)
    languages = config.data.source_language or "", config.data.target_language
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for setting in ("without truecasing", "with truecasing"):
        truecase = f"decoding.truecase={str(setting == 'with truecasing').lower()}"
        translator = load_translator(path, overrides=[*overrides, truecase])
        of_setting = scores[setting] = {}
        for name, (change_source, change_target) in FORMS.items():
            translations = list(translator.best(changed(sources, change_source, languages[0])))
            expected = changed(references, change_target, languages[1])
            metrics = evaluate(translations, expected, languages[1], metrics=["BLEU", "chrF"])
            of_setting[name] = {one.name: one.value for one in metrics}
            of_setting[name]["BLEU lost"] = of_setting["as it is"]["BLEU"] - of_setting[name]["BLEU"]
    return {
        "run": path.name,
        "languages": list(languages),
        "noise": config.data.noise.shares(),
        "decoding": load_saved_config(run.config, overrides).decoding.model_dump(mode="json"),
        "sentences": len(sources),
        "scores": scores,
        "lines of three sentences": compare_lines(translator, sources, languages[0]),
    }


def changed(texts: list[str], change: Change | None, language: str) -> list[str]:
    """Changes texts, but not their placeholders."""
    if change is None:
        return texts
    draw, kinds, results = random.Random(SOURCE_SEED), [kind for kind in KINDS if kind != "numbers"], []
    for text in texts:
        masked, placeholders = mask(text, kinds)
        results.append(restore(change(masked, language, draw), placeholders))
    return results


def compare_lines(translator: Any, sources: list[str], language: str) -> dict[str, int]:
    """Counts the lines of three sentences that are translated as the sentences are alone."""
    kinds = translator.text_to_text.source_tokenizer.placeholders
    whole = [text for text in sources if re.search(r"[.!?。]$", text) and _is_one(text, language, kinds)]
    groups = [whole[place : place + 3] for place in range(0, len(whole) - 2, 3)]
    groups = [group for group in groups if len(split_sentences(" ".join(group), language, kinds)[0]) == 3][:LINES]
    alone = iter(list(translator.best([text for group in groups for text in group])))
    lines = translator.best(["  ".join(group) for group in groups])
    equal = sum(line == "  ".join(next(alone) for _ in range(3)) for line in lines)
    return {"lines": len(groups), "equal": equal}


def _is_one(text: str, language: str, kinds: tuple[str, ...]) -> bool:
    return len(split_sentences(text, language, kinds)[0]) == 1


def table(run: dict[str, Any]) -> str:
    """The results of a run as a table in Markdown."""
    rows = [f"| {run['run']} | BLEU | lost | chrF | lost without truecasing |", "| --- | --- | --- | --- | --- |"]
    without = run["scores"]["without truecasing"]
    for form, of_form in run["scores"]["with truecasing"].items():
        numbers = of_form["BLEU"], of_form["BLEU lost"], of_form["chrF2"], without[form]["BLEU lost"]
        rows.append(f"| {form} | {' | '.join(f'{number:.1f}' for number in numbers)} |")
    lines = run["lines of three sentences"]
    return "\n".join(
        [*rows, f"\n{lines['equal']} of {lines['lines']} lines of three sentences as the sentences alone\n"]
    )


if __name__ == "__main__":
    main()
