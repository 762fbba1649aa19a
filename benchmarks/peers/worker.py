"""The loop of a process that loads a translator once and then translates files whenever it is asked to.

benchmarks/translation.py sends a request as one line of JSON to standard input and gets one line of JSON back from
standard output. `{"task": "all", "input": FILE}` translates a file at once: `seconds`, from opening the file to the
last translation as text, and `translations`. `{"task": "each", "input": FILE}` translates it line by line, each when
the one before is done: `milliseconds` of each line, and `translations`. Both report the peak of the resident set until
then, `peak_memory_mib`. An answer without a request, `{"ready": true}`, comes when the translator is loaded.

Runs in the environments of all systems, so it needs nothing but Python.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

# A translator: takes the path of a text file, gives the translations of its lines.
FileTranslator = Callable[[str], list[str]]
# Another: takes a line, gives its translation.
LineTranslator = Callable[[str], str]


def serve(load: Callable[[], tuple[FileTranslator, LineTranslator | None]]) -> None:
    """Answers requests until standard input ends.

    Args:
        load: loads the system; called after standard output has been set aside, so that what the system prints goes to
            standard error. A system that is only asked for files has no translator of lines.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)

        def answer(**fields: Any) -> None:
            answers.write(json.dumps(fields) + "\n")
            answers.flush()

        translate_file, translate_line = load()
        answer(ready=True)
        for request in map(json.loads, sys.stdin):
            if request["task"] == "all":
                start = time.perf_counter()
                translations = translate_file(request["input"])
                figures: dict[str, Any] = {"seconds": time.perf_counter() - start}
            else:
                assert translate_line is not None
                milliseconds, translations = [], []
                for line in read_lines(request["input"]):
                    start = time.perf_counter()
                    translations.append(translate_line(line))
                    milliseconds.append(1000 * (time.perf_counter() - start))
                figures = {"milliseconds": milliseconds}
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            answer(**figures, translations=translations, peak_memory_mib=round(peak))


def read_lines(path: str) -> list[str]:
    """The lines of a text file."""
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]
