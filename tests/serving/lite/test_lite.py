"""The LiteRT pair gives the checkpoint's numbers and translations, on a device that has no TensorFlow."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt.cli import main
from nmt.config import load_config, save_config
from nmt.constants import BEGIN, END
from nmt.data.vocabulary import load_tokenizers
from nmt.inference.translator import Translator
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.checkpoints import save_arrays, weights_of
from nmt.runs.folder import RunFolder
from nmt.runs.models import build_model
from nmt.runs.translation import load_translator
from nmt.serving.lite.export import convert, export_lite
from nmt.serving.lite.translator import LiteTranslator
from nmt.utils.digests import write_digests
from nmt.utils.errors import UserError
from tests.helpers import SHIPPED_DECODING, digit_strings

# Of the runs whose weights are random. That which is trained has dot attention, one layer, and everything tied.
SHAPES = {
    "additive": {"decoder_layers": 2, "tied_embeddings": "target"},
    "multi_head": {
        "attention_heads": 2,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "layer_normalization": True,
        "tied_embeddings": "none",
        "embedding": 6,
    },
}
GREEDY = "decoding.beam_size=1"
LENGTHS = ["decoding.max_length_factor=0.7", "decoding.max_length_offset=6", "decoding.min_length=5"]
LINES = [*digit_strings(20, range(1, 12), seed=5), "", "  \t", "What it has never seen: 日本 \U0001f600."]


only_trained = pytest.mark.parametrize("run", ["dot"], indirect=True)


@pytest.fixture(scope="module", params=["dot", *SHAPES])
def run(request: pytest.FixtureRequest, trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained run, as if in half precision and on short sentences, or a run of random weights and another shape."""
    folder = RunFolder(tmp_path_factory.mktemp(request.param) / "run")
    shutil.copytree(trained_run, folder.path)
    changes = ["training.precision=bfloat16", "batches.max_length=12", f"model.attention={request.param}"]
    shape = SHAPES.get(request.param, {})
    config = load_config(folder.config, [*changes, *(f"model.{name}={value}" for name, value in shape.items())])
    save_config(config, folder.config)
    if shape:
        model = build_model(config, *load_tokenizers(folder.data), "float32")
        save_arrays(folder.best, weights_of(model), {})
    return folder.path


@pytest.fixture(scope="module")
def folder(run: Path) -> Path:
    export_lite(run, run / "lite", "float32", "best", [GREEDY, *LENGTHS])
    return run / "lite"


@pytest.fixture(scope="module")
def checkpoint(run: Path) -> Translator:
    return load_translator(run, "best", [GREEDY, *LENGTHS])


@pytest.fixture(scope="module")
def lite(folder: Path) -> LiteTranslator:
    return LiteTranslator(folder)


def test_encoder_and_step_give_the_checkpoints_numbers(checkpoint: Translator, folder: Path) -> None:
    model = checkpoint.text_to_text.model
    encoder, step = (
        Interpreter(str(folder / name)).get_signature_runner() for name in ("encoder.tflite", "decoder_step.tflite")
    )
    for ids in ([[5, 6, 7, 8, 3]], [[3]]):  # of different lengths: the models take any
        state = model.start(tf.constant(ids))
        lite = encoder(ids=np.array(ids, np.int32))
        lite_states = lite.pop("states")
        np.testing.assert_allclose(lite["keys"], state.memory.keys, atol=1e-5)
        np.testing.assert_allclose(lite["values"], state.memory.values, atol=1e-5)
        np.testing.assert_allclose(lite_states, tf.stack(state.states), atol=1e-5)
        state = state._replace(states=tuple(one[:, None] for one in state.states))
        for token in (BEGIN, 17, model.vocabulary_size - 1):
            vectors, _, state = model.stepper()(tf.constant([[token]]), state)
            found = step(token=np.array([[token]], np.int32), states=lite_states, **lite)
            lite_states = found["states"]
            np.testing.assert_allclose(found["scores"][0], model.logits(vectors)[0, 0], atol=1e-5)
            np.testing.assert_allclose(lite_states, tf.stack(state.states)[:, 0], atol=1e-5)


def test_translations_are_the_checkpoints_greedy_ones(checkpoint: Translator, lite: LiteTranslator) -> None:
    expected = list(checkpoint.best(LINES))
    assert [lite.translate(line) for line in LINES] == expected
    assert len(set(expected)) > len(LINES) / 2


@pytest.mark.parametrize(
    "search",
    [
        ["beam_size=5"],
        ["beam_size=3", "length_penalty=0.3", "coverage_penalty=0.4", "min_length=4"],
        ["beam_size=4", "length_penalty=1.5", *SHIPPED_DECODING],
    ],
    ids=["plain", "penalties", "shipped"],
)
def test_beams_are_the_checkpoints(run: Path, tmp_path: Path, search: list[str]) -> None:
    overrides = [f"decoding.{setting.removeprefix('decoding.')}" for setting in search]
    export_lite(run, tmp_path / "lite", "float32", "best", overrides)
    lite, checkpoint = LiteTranslator(tmp_path / "lite"), load_translator(run, "best", overrides)
    expected = list(checkpoint.best(LINES))
    assert [lite.translate(line) for line in LINES] == expected
    assert expected != list(load_translator(run, "best", [*overrides, GREEDY]).best(LINES))


@only_trained
def test_exports_of_greedy_search_alone_still_translate(
    folder: Path, lite: LiteTranslator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "old")
    (tmp_path / "old" / "digests.json").unlink()
    settings = {name: value for name, value in lite.settings.items() if "penalty" not in name and name != "beam_size"}
    (tmp_path / "old" / "settings.json").write_text(json.dumps(settings | {"format": 2}))
    old = LiteTranslator(tmp_path / "old")
    step = old._step

    def old_step(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        made = step(**inputs)
        return {"logits": made.pop("scores")[0], **made}

    monkeypatch.setattr(old, "_step", old_step)
    assert [old.translate(line) for line in LINES] == [lite.translate(line) for line in LINES]


@only_trained
def test_lengths_are_the_searchs(checkpoint: Translator, lite: LiteTranslator) -> None:
    lines = LINES[:20]
    found = [lite.search([*lite._source.encode(line), END]) for line in lines]
    assert [lite._target.id_to_piece(ids) for ids in found] == [
        h[0].target_pieces for h in checkpoint.hypotheses(lines)
    ]
    assert min(map(len, found)) > 5


@only_trained
@settings(max_examples=40)
@given(text=st.text())
@example(text="\ud800 \x00 ▁▁ \u2028\x85\u200b a\u0301 </s><pad><0x41> \uffff\ufffd")
@example(text="1 2 3. 4 5! 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0123456789012345678901234567890123456789" * 9)
def test_any_text_has_the_checkpoints_translation(checkpoint: Translator, lite: LiteTranslator, text: str) -> None:
    assert lite.translate(text) == next(checkpoint.best([text]))


@pytest.fixture(scope="module")
def sizes_and_logits() -> dict[str, tuple[list[int], np.ndarray]]:
    """Of each precision, the files' sizes, and the logits of a first step."""
    found = {}
    for weights in ("float32", "float16", "int8"):
        model = Seq2Seq(2000, units=64, num_layers=1, attention="dot", dropout=0.2, layer_normalization=False, seed=1)
        contents = convert(model, weights)
        encoder, step = (Interpreter(model_content=content).get_signature_runner() for content in contents)
        logits = step(token=np.array([[9]], np.int32), **encoder(ids=np.array([[5, 900, 1999, 3]], np.int32)))["scores"]
        found[weights] = [len(content) for content in contents], logits
    return found


@pytest.mark.parametrize(("weights", "size", "error"), [("float16", 0.55, 1e-3), ("int8", 1 / 3, 0.03)])
def test_small_weights_are_close_and_every_file_shrinks(sizes_and_logits, weights, size, error) -> None:
    expected_sizes, expected = sizes_and_logits["float32"]
    sizes, logits = sizes_and_logits[weights]
    assert all(small < size * large for small, large in zip(sizes, expected_sizes, strict=True))
    assert 0 < np.abs(logits - expected).max() < error * np.abs(expected).max()


@only_trained
def test_the_runner_needs_neither_tensorflow_nor_pydantic(folder: Path, lite: LiteTranslator) -> None:
    program = """
import sys
for name in ("tensorflow", "keras", "pydantic", "yaml", "typer", "rich"):
    sys.modules[name] = None  # importing it raises
from nmt.serving.lite.translator import main
main()
"""
    lines = "1 2 3\n\n\xff 4 5"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], input=lines.encode("latin-1"), capture_output=True, check=True
    )
    assert done.stderr == b""
    assert done.stdout.decode() == "".join(lite.translate(line) + "\n" for line in ("1 2 3", "", "\ufffd 4 5"))


@only_trained
def test_the_command_translates_lines_without_tensorflow(folder: Path, lite: LiteTranslator, tmp_path: Path) -> None:
    program = """
import sys
for name in ("tensorflow", "keras"):
    sys.modules[name] = None  # importing it raises
from nmt.cli import main
main(sys.argv[1:])
"""
    command = [sys.executable, "-c", program, "translate", str(folder)]
    expected = "".join(lite.translate(line) + "\n" for line in ("1 2 3", "", "4 5"))
    done = subprocess.run(command, input="1 2 3\n\n4 5", capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (expected, "")
    (tmp_path / "source").write_text("1 2 3\n\n4 5")
    with pytest.raises(SystemExit) as ended:
        main(["translate", str(folder), "--input", str(tmp_path / "source"), "--output", str(tmp_path / "target")])
    assert ended.value.code == 0
    assert (tmp_path / "target").read_text() == expected


@only_trained
@pytest.mark.parametrize(
    "option", [["a.po"], ["--n-best", "2"], ["--format", "json"], ["--as", "tmx"], ["--set", "decoding.beam_size=1"]]
)
def test_the_command_says_what_an_export_cannot_do(
    folder: Path, option: list[str], capfd: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        main(["translate", str(folder), *option])
    message = "is a LiteRT export, which translates lines: expected --input and --output only"
    assert capfd.readouterr().err == f"nmt: {folder}: {message}\n"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@only_trained
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("encoder.tflite", Path.unlink, "encoder.tflite: cannot be read: No such file"),
        ("decoder_step.tflite", damage, "decoder_step.tflite: is damaged, or belongs to another"),
        ("target.model", lambda path: path.write_bytes(b""), "target.model: is damaged"),
        ("settings.json", Path.unlink, "settings.json: cannot be read: .*expected the folder of a LiteRT export"),
        ("settings.json", lambda path: path.write_bytes(b'{"form'), "settings.json: is damaged"),
        ("settings.json", lambda path: path.write_bytes(b'{"format": 1}'), "LiteRT export of format 3, got others"),
        ("settings.json", lambda path: path.write_bytes(b"[]"), "LiteRT export of format 3, got others"),
        (
            "settings.json",
            lambda path: path.write_text(path.read_text().replace('"max_tokens": 12', '"max_tokens": "all"')),
            "max_tokens: expected a number of at least 2, got 'all'",
        ),
    ],
)
@pytest.mark.parametrize("with_digests", [True, False])  # earlier versions wrote none but those in the settings
def test_a_damaged_folder_raises_an_error_of_one_line(
    folder: Path, tmp_path: Path, name, change, message, with_digests: bool
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    if with_digests:
        message = rf"{name}: (is damaged, or belongs to another folder than digests\.json|cannot be read: No such file)"
    else:
        (tmp_path / "copy" / "digests.json").unlink()
        LiteTranslator(tmp_path / "copy")
    change(tmp_path / "copy" / name)
    with pytest.raises(UserError, match=message) as caught:
        LiteTranslator(tmp_path / "copy")
    assert "\n" not in str(caught.value)


@only_trained
def test_a_model_that_the_runtime_cannot_run_raises_an_error_of_one_line(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    content = b"a later format"
    (tmp_path / "copy" / "encoder.tflite").write_bytes(content)
    path = tmp_path / "copy" / "settings.json"
    settings = json.loads(path.read_text())
    settings["sha256"]["encoder.tflite"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(settings))
    write_digests(tmp_path / "copy", "digests.json")
    with pytest.raises(UserError, match="this version of ai-edge-litert cannot run it"):
        LiteTranslator(tmp_path / "copy")


@only_trained
def test_without_the_runtime_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(UserError, match="ai-edge-litert is not installed: pip install ai-edge-litert"):
        LiteTranslator(folder)


@only_trained
def test_no_folder_is_overwritten_and_none_is_left_half_written(run: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already; expected a new or an empty folder"):
        export_lite(run, folder)
    with pytest.raises(UserError, match="has no checkpoint `other`"):
        export_lite(run, tmp_path / "new" / "lite", "int8", "other")
    with pytest.raises(UserError, match="cannot be written"):
        export_lite(run, folder / "encoder.tflite" / "lite")
    assert not list(tmp_path.rglob("*lite*"))
