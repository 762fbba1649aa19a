"""An exported model answers where this package is not: through the server's loader, and in TensorFlow alone."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers its operations)

C_API = Path(__file__).with_name("c_api.py")

TEXTS = [
    b"3 1 4 1 5",
    b"",
    b" \t\r\n \xe3\x80\x80",
    b"3 \xff\xfe 1 \xc3",
    b"\x00\x01 2 7\x1b[0m \x7f",
    b"1 2 3 4 5 " * 300,
    "Ünknown 😀 \u202e\ufeff 日本".encode(),
]
REQUESTS: dict[str, dict[str, list[bytes]]] = {
    "serving_default": {"text": TEXTS},
    "nbest": {"text": TEXTS},
    "score": {"source": TEXTS, "target": TEXTS[::-1]},
}
TOLERANCE = 1e-4  # of sums over thousands of tokens; the two ways optimise the same graph apart

# TensorFlow, TensorFlow Text, and no more than they need themselves; Keras is among that.
WITHOUT_THIS_PACKAGE = """
import base64, json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("nmt", "sentencepiece", "tensorflow_datasets", "tensorflow_serving", "pydantic"):
            raise ModuleNotFoundError(f"{name} is not here", name=name)

sys.meta_path.insert(0, Missing())
try:
    import nmt
except ModuleNotFoundError:
    pass
else:
    sys.exit("expected that nmt cannot be imported")

import tensorflow as tf
import tensorflow_text

def encoded(values):
    if isinstance(values, list):
        return [encoded(value) for value in values]
    return base64.b64encode(values).decode() if isinstance(values, bytes) else values

model = tf.saved_model.load(sys.argv[1])
answers = {}
for signature, inputs in json.load(sys.stdin).items():
    given = {name: tf.constant([base64.b64decode(text) for text in texts]) for name, texts in inputs.items()}
    values = model.signatures[signature](**given)
    answers[signature] = {name: encoded(value.numpy().tolist()) for name, value in values.items()}
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def moved(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SavedModel alone, at another place than where it was made."""
    return Path(shutil.copytree(exported / "1", tmp_path_factory.mktemp("moved") / "model"))


@pytest.fixture(scope="module")
def expected(exported: Path) -> dict[str, Any]:
    """The answers of this process."""
    model = tf.saved_model.load(str(exported / "1"))
    return {
        signature: {
            name: value.numpy().tolist()
            for name, value in model.signatures[signature](
                **{name: tf.constant(texts) for name, texts in inputs.items()}
            ).items()
        }
        for signature, inputs in REQUESTS.items()
    }


def test_the_servers_loader_answers_the_same(moved: Path, expected: dict[str, Any]) -> None:
    requests = [
        [signature, encoded({name: texts[:count] for name, texts in inputs.items()})]
        for signature, inputs in REQUESTS.items()
        for count in (len(TEXTS), 1, 0)
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    answers = [decoded(json.loads(line)) for line in output_of([str(C_API), str(moved)], lines, moved).splitlines()]
    assert len(answers) == len(requests)
    for signature, whole, one, none in zip(REQUESTS, answers[::3], answers[1::3], answers[2::3], strict=True):
        assert_same(whole, expected[signature])
        assert_same(one, {name: values[:1] for name, values in expected[signature].items()})
        assert none == {name: [] for name in expected[signature]}


def test_it_answers_the_same_without_this_package(moved: Path, expected: dict[str, Any]) -> None:
    printed = output_of(["-c", WITHOUT_THIS_PACKAGE, str(moved)], json.dumps(encoded(REQUESTS)), moved)
    answers = decoded(json.loads(printed))
    assert set(answers) == set(REQUESTS)
    for signature, answer in answers.items():
        assert_same(answer, expected[signature])


def test_the_answers_are_those_of_a_model(expected: dict[str, Any]) -> None:
    """That the comparisons above compare something."""
    default = expected["serving_default"]
    empty = [translation == b"" for translation in default["translation"]]
    assert empty[:3] == [False, True, True]
    assert default["score"][0] < 0
    assert default["score"][1:3] == [0, 0]
    assert expected["nbest"]["translations"][0][0] == default["translation"][0]
    assert all(value < 0 for value in expected["score"]["log_probability"])


def test_nothing_in_it_names_the_folders_that_it_was_made_in(moved: Path, trained_run: Path) -> None:
    folders = [str(trained_run.parent).encode(), str(Path(__file__).parents[2]).encode()]
    for path in moved.rglob("*"):
        assert path.is_dir() or not any(folder in path.read_bytes() for folder in folders), path


def output_of(arguments: list[str], given: str, folder: Path) -> str:
    """What a new Python process prints that sees neither the checkout nor this one's settings of Python."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-I", *arguments],
        input=given,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def assert_same(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(answer) == set(expected)
    for name, values in expected.items():
        if isinstance(flat(values)[0], bytes):
            assert answer[name] == values, name
        else:
            assert flat(answer[name]) == pytest.approx(flat(values), abs=TOLERANCE, rel=1e-5), name


def flat(values: Any) -> list[Any]:
    return [value for row in values for value in row] if isinstance(values[0], list) else values


def encoded(values: Any) -> Any:
    """Base64 in place of bytes."""
    if isinstance(values, dict):
        return {name: encoded(value) for name, value in values.items()}
    if isinstance(values, list):
        return [encoded(value) for value in values]
    return base64.b64encode(values).decode()


def decoded(values: Any) -> Any:
    """Bytes in place of Base64; numbers stay."""
    if isinstance(values, dict):
        return {name: decoded(value) for name, value in values.items()}
    if isinstance(values, list):
        return [decoded(value) for value in values]
    return base64.b64decode(values) if isinstance(values, str) else values
