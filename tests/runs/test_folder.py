"""A run folder says its format's version, and opens for str and Path."""

import json

import keras
import pytest
import tensorflow as tf

import nmt
from nmt.config import save_config
from nmt.runs.folder import FORMAT, RunFolder, join_run, load_run_config, open_run
from nmt.runs.models import build_model
from nmt.utils.errors import UserError
from tests.helpers import reversal_config


@pytest.fixture
def config(tmp_path):
    return reversal_config(tmp_path / "corpus", pairs=10)


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_new_folder_says_its_version(kind, config, tmp_path):
    run = open_run(kind(tmp_path / "run"), config)
    assert json.loads(run.format.read_text()) == {"format": FORMAT, "nmt": nmt.__version__}
    assert load_run_config(kind(tmp_path / "run"))[1] == config


def test_a_folder_without_a_version_is_of_format_1(config, tmp_path):
    save_config(config, tmp_path / "config.yaml")
    assert load_run_config(tmp_path) == (RunFolder(tmp_path), config)
    open_run(tmp_path, config)
    assert json.loads((tmp_path / "run.json").read_text())["format"] == FORMAT


@pytest.mark.parametrize("use", [open_run, join_run, lambda path, config: load_run_config(path)])
def test_a_newer_format_is_refused(use, config, tmp_path):
    run = open_run(tmp_path, config)
    run.format.write_text(json.dumps({"format": FORMAT + 1, "nmt": "9.9"}))
    with pytest.raises(UserError, match=rf"format {FORMAT + 1}, written by version 9\.9 .* formats up to {FORMAT}$"):
        use(tmp_path, config)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "two"}', "\xff"])
def test_a_damaged_version_is_told(content, config, tmp_path):
    open_run(tmp_path, config).format.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"run\.json: is damaged"):
        load_run_config(tmp_path)


def test_only_how_long_and_where_it_trains_may_change(config, tmp_path):
    run = open_run(tmp_path, config)
    run.last.parent.mkdir()
    run.last.touch()
    longer = {"max_steps": 99, "strategy": "mirrored"}
    open_run(tmp_path, config.model_copy(update={"training": config.training.model_copy(update=longer)}))
    with pytest.raises(UserError, match=r"was started with other settings \(seed: 1 -> 2\)"):
        open_run(tmp_path, config.model_copy(update={"seed": 2}))


class _Tokenizer:
    vocabulary_size = 300


@pytest.mark.parametrize(("precision", "dtype"), [("float32", "float32"), ("bfloat16", "mixed_bfloat16")])
def test_a_model_has_its_own_precision_and_the_process_keeps_its(precision, dtype, config):
    policy, random = keras.config.dtype_policy(), tf.random.get_global_generator().state.numpy()
    model = build_model(config, _Tokenizer, _Tokenizer, precision)
    assert model.dtype_policy.name == dtype
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert keras.config.dtype_policy() == policy
    assert (tf.random.get_global_generator().state.numpy() == random).all()
