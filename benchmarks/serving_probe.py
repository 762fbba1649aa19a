"""Loads a SavedModel in this process, asks it, and prints what each thing took; `serving_start.py` runs it.

    python -I serving_probe.py {python,c-api} SAVED_MODEL < plan.json

For an environment that has TensorFlow and TensorFlow Text alone. The plan holds `text`, a sentence; `warm_up`, a list
of signatures with their inputs (names to lists of strings in Base64); and `started`, when this process was started, in
seconds since 1970.
"""

import base64
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Inputs = dict[str, list[bytes]]
Answer = Callable[[str, Inputs], dict[str, Any]]

LATER_ANSWERS = 20


def main() -> None:
    """Measures and prints one JSON object."""
    way, folder = sys.argv[1:]
    plan = json.load(sys.stdin)
    question = {"text": [plan["text"].encode()]}
    seconds: dict[str, float] = {}
    answer = {"python": start_in_python, "c-api": start_c_api}[way](Path(folder), seconds)
    with timed(seconds, "warm_up"):
        for signature, inputs in plan["warm_up"]:
            answer(signature, {name: [base64.b64decode(text) for text in texts] for name, texts in inputs.items()})
    with timed(seconds, "first_answer"):
        translation = answer("serving_default", question)["translation"][0]
    seconds["start_to_first_answer"] = time.time() - plan["started"]
    with timed(seconds, "second_answer"):
        answer("serving_default", question)
    later = []
    for _ in range(LATER_ANSWERS):
        one: dict[str, float] = {}
        with timed(one, "answer"):
            answer("serving_default", question)
        later.append(one["answer"])
    seconds["later_answer"] = statistics.median(later)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "peak_resident_bytes": peak, "translation": translation.decode()}))


def start_in_python(folder: Path, seconds: dict[str, float]) -> Answer:
    """Imports TensorFlow and loads the model as a Python program does."""
    with timed(seconds, "open"):
        import tensorflow as tf
        import tensorflow_text  # noqa: F401 (registers its operations)
    with timed(seconds, "load"):
        model = tf.saved_model.load(str(folder))

    def answer(signature: str, inputs: Inputs) -> dict[str, Any]:
        values = model.signatures[signature](**{name: tf.constant(texts) for name, texts in inputs.items()})
        return {name: value.numpy().tolist() for name, value in values.items()}

    return answer


def start_c_api(folder: Path, seconds: dict[str, float]) -> Answer:
    """Opens TensorFlow's library and loads the model as TensorFlow Serving does."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "serving"))
    import c_api

    with timed(seconds, "open"):
        library = c_api.open_library()
    with timed(seconds, "load"):
        model = c_api.load(library, folder)
    return lambda signature, inputs: c_api.answer(model, signature, inputs)


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Notes how long the block takes."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


if __name__ == "__main__":
    main()
