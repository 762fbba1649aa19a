"""A run folder says its format's version, and opens for str and Path."""

import json
import os
import shutil
from contextlib import contextmanager, suppress

import keras
import pytest
import tensorflow as tf

import nmt
from nmt.config import load_saved_config, parse_config, save_config
from nmt.runs.folder import FORMAT, RunFolder, edits, join_run, load_run_config, lock_run, open_run, write_settings
from nmt.runs.models import build_model
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from tests.helpers import refused, reversal_config, run_command
from tests.processes import FORKED


@pytest.fixture
def config(tmp_path):
    return reversal_config(tmp_path / "corpus", pairs=10)


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_new_folder_says_its_version(kind, config, tmp_path):
    run = open_run(kind(tmp_path / "run"), config)
    assert json.loads(run.format.read_text()).items() >= {"format": FORMAT, "nmt": nmt.__version__}.items()
    assert load_run_config(kind(tmp_path / "run"))[1] == config


def test_a_folder_without_a_version_is_of_format_1(config, tmp_path):
    run = RunFolder(tmp_path / "run")
    save_config(config, run.config)
    assert load_run_config(run.path) == (run, config)
    (run.path / "checkpoints").mkdir()
    run.best.touch()
    open_run(run.path, config)
    assert json.loads(run.format.read_text())["format"] == FORMAT


@pytest.mark.parametrize("use", [open_run, join_run, lambda path, config: load_run_config(path)])
def test_a_newer_format_is_refused(use, config, tmp_path):
    run = open_run(tmp_path / "run", config)
    run.format.write_text(json.dumps({"format": FORMAT + 1, "nmt": "9.9"}))
    with pytest.raises(UserError, match=rf"format {FORMAT + 1}, written by version 9\.9 .* formats up to {FORMAT}$"):
        use(tmp_path / "run", config)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "two"}', "\xff"])
def test_a_damaged_version_is_told(content, config, tmp_path):
    open_run(tmp_path / "run", config).format.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"run\.json: is damaged"):
        load_run_config(tmp_path / "run")


def test_only_how_long_and_where_it_trains_may_change(config, tmp_path):
    run = open_run(tmp_path / "run", config)
    run.last.parent.mkdir()
    run.last.touch()
    longer = {"max_steps": 99, "strategy": "mirrored"}
    open_run(tmp_path / "run", config.model_copy(update={"training": config.training.model_copy(update=longer)}))
    with pytest.raises(UserError, match=r"was started with other settings \(seed: 1 -> 2\)"):
        open_run(tmp_path / "run", config.model_copy(update={"seed": 2}))


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


def contents(folder):
    """All that a folder holds, byte by byte."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


FOREIGN = {
    "a configuration": ["config.yaml"],
    "a project": ["config.yaml", "data/train.source.txt", "checkpoints/model.npz", "whole.txt", "my-epoch-notes"],
    "a configuration and data of another kind": ["config.yaml", "data/report.json", "run.json.bak"],
    "a hidden file": [".gitignore"],
    "a folder": ["data/"],
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("command", ["prepare", "train", "bench"])
def test_a_folder_of_something_else_is_left_alone(kind, command, config, tmp_path, monkeypatch, capsys):
    save_config(config, tmp_path / "mine.yaml")
    folder = tmp_path / "folder"
    for name in FOREIGN[kind]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.write_text("seed: 1")
    before = contents(folder)
    monkeypatch.chdir(folder)
    line = refused(capsys, command, tmp_path / "mine.yaml", "--run", ".")
    assert line == "nmt: .: is not a run folder and not empty; choose a new one"
    assert contents(folder) == before


def test_settings_that_a_killed_call_wrote_are_no_edit(config, tmp_path, monkeypatch):
    """Killed at any moment of writing other settings, the run has these or those, and nobody has edited them."""
    run, left = open_run(tmp_path / "run", config), 0
    longer = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": 77})})

    @contextmanager
    def counted(*arguments, **options):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        with written_whole(*arguments, **options) as file:
            yield file

    seen = set()
    for writes in range(4):
        write_settings(run, config)
        left = writes
        with monkeypatch.context() as patched:
            patched.setattr("nmt.runs.folder.written_whole", counted)
            patched.setattr("nmt.config.config.written_whole", counted)
            with suppress(KeyboardInterrupt):
                write_settings(run, longer)
        now = load_saved_config(run.config)
        seen.add(now.training.max_steps)
        assert edits(run, now) is None
    assert seen == {config.training.max_steps, 77}
    run.config.write_text(run.config.read_text().replace("max_steps: 77", "max_steps: 78"))
    assert edits(run, load_saved_config(run.config)) == ["training.max_steps: 77 -> 78"]


def test_the_checkpoints_of_validations_have_exact_names(config, tmp_path):
    run = open_run(tmp_path / "run", config)
    run.best.parent.mkdir()
    for name in ("step-00000100", "step-00000200", "step-00000100 copy", "step-mine", "step-best"):
        run.checkpoint(name).touch()
    assert [path.stem for path in run.recent_checkpoints()] == ["step-00000100", "step-00000200"]


def hold(path, pipe):
    with lock_run(path):
        pipe.send("locked")
        pipe.recv()


def test_a_run_folder_is_written_by_one_process_at_a_time(config, tmp_path, capsys):
    save_config(config, tmp_path / "mine.yaml")
    here, there = FORKED.Pipe()
    process = FORKED.Process(target=hold, args=(tmp_path / "run", there))
    process.start()
    assert here.recv() == "locked"
    before = contents(tmp_path / "run")
    for command in ("prepare", "train", "bench"):
        line = refused(capsys, command, tmp_path / "mine.yaml", "--run", tmp_path / "run")
        assert line.endswith("run: is being written by another process; wait until it ends, or choose another folder")
    assert contents(tmp_path / "run") == before
    process.kill()
    process.join()
    with lock_run(tmp_path / "run"):
        pass


@pytest.fixture
def begun(trained_run, tmp_path):
    run = RunFolder(shutil.copytree(trained_run, tmp_path / "run"))
    config = load_run_config(run.path)[1]
    return run, config


def moved(config, folder):
    """The same settings, with the corpus at another place, where it is not."""
    tree = config.model_dump(mode="json")
    for split in ("train", "validation", "test"):
        for side, paths in tree["data"]["corpus"][split].items():
            tree["data"]["corpus"][split][side] = [os.path.join(folder, os.path.basename(path)) for path in paths]
    return parse_config(tree)


def test_a_corpus_that_is_not_read_any_more_may_be_gone(begun, tmp_path, capsys):
    run, config = begun
    save_config(moved(config, "nowhere"), tmp_path / "mine.yaml")
    data = contents(run.data)
    run_command("train", tmp_path / "mine.yaml", "--run", run.path)
    run_command("prepare", tmp_path / "mine.yaml", "--run", run.path)
    assert contents(run.data) == data
    assert "data.corpus.train.source: is not read any more" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change", ["data.corpus.train.source=[one,two]", "data.held_out=3", "tokenizer.vocabulary_size=301", "seed=3"]
)
@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_settings_that_data_depends_on_may_not_change(begun, change, checkpoint, tmp_path, capsys):
    run, config = begun
    for path in (run.path / "checkpoints").iterdir():
        if path.stem != checkpoint:
            path.unlink()
    save_config(config, tmp_path / "mine.yaml")
    before = contents(run.path)
    changes = [change, "data.corpus.train.target=[one,two]"] if "corpus" in change else [change]
    options = [part for one in changes for part in ("--set", one)]
    assert "run: was started with other settings" in refused(
        capsys, "prepare", tmp_path / "mine.yaml", "--run", run.path, *options
    )
    assert "run/data: was prepared with other settings" in refused(
        capsys, "bench", tmp_path / "mine.yaml", "--run", run.path, *options
    )
    assert contents(run.path) == before


@pytest.mark.parametrize("name", ["report.json", "train.source.ids.npy", "target.model", "test.target.txt"])
@pytest.mark.parametrize("command", ["prepare", "train"])
def test_a_run_with_a_checkpoint_is_never_prepared_anew(begun, name, command, tmp_path, capsys):
    run, config = begun
    save_config(config, tmp_path / "mine.yaml")
    (run.data / name).unlink()
    before = contents(run.data)
    line = refused(capsys, command, tmp_path / "mine.yaml", "--run", run.path)
    assert f"{name}: does not exist; the checkpoints depend on this data, so it is not prepared anew: restore" in line
    assert contents(run.data) == before


def test_a_damaged_report_of_a_run_with_a_checkpoint_is_named(begun, tmp_path, capsys):
    run, config = begun
    save_config(config, tmp_path / "mine.yaml")
    (run.data / "report.json").write_text("{")
    line = refused(capsys, "train", tmp_path / "mine.yaml", "--run", run.path)
    assert "report.json: is damaged; the checkpoints depend on this data" in line
