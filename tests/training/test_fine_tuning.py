"""Fine-tuning begins with another run's weights, whatever the vocabulary, and goes on exactly."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from nmt.config import Config, load_config, parse_config, save_config
from nmt.data.preparation import load_report
from nmt.data.token_store import read_model
from nmt.data.vocabulary import find_in
from nmt.runs.checkpoints import average_checkpoints, load_arrays, load_weights, save_arrays, weights_of
from nmt.runs.folder import RunFolder
from nmt.runs.models import build_model
from nmt.runs.translation import load_translator
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from nmt.training.callbacks import TrainingCheckpoint
from nmt.training.fine_tuning import check_start, start_weights
from nmt.training.train import train
from nmt.utils.errors import UserError
from tests.helpers import PLAIN_MODEL, PLAIN_TRAINING, digit_strings, language_model_config, reversal_config

LINES = digit_strings(100, range(3, 8), seed=9)


def assert_equal_weights(ours: Path, theirs: Path, tolerance: float = 0.0) -> None:
    (arrays, _), (others, _) = load_arrays(ours), load_arrays(theirs)
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(others[name], array, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.usefixtures("quick_validation")
@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_at_a_rate_of_zero_the_run_stays_as_it_was(decay, trained_run, tmp_path, caplog):
    config = reversal_config(
        tmp_path / "corpus",
        lengths=range(2, 5),
        tokenizer={"vocabulary_size": 301},
        training={
            "start_from": str(trained_run), "learning_rate": 1e-30, "average_decay": decay, "max_steps": 6,
            "validate_every": 6,
        },
    )  # fmt: skip
    caplog.set_level("INFO", "nmt")
    run = train(config, tmp_path / "run")
    base = RunFolder(trained_run)
    size = Tokenizer(read_model(base.data, "target")).vocabulary_size
    assert f"beginning with the weights of {base.best}" in caplog.messages
    assert (
        f"vocabulary: {size} of {size} pieces keep their embeddings, 0 are given the mean of others" in caplog.messages
    )
    assert read_model(run.data, "source") == read_model(run.data, "target") == read_model(base.data, "target")
    assert load_config(run.config).training.start_from == trained_run
    # A weight of exactly zero moves by the learning rate, averages by rounding.
    assert_equal_weights(base.best, run.best, 1e-6 if decay else 1e-27)
    ours, theirs = (
        [(one.text, one.score) for one, *_ in load_translator(path).hypotheses(LINES)]
        for path in (trained_run, run.path)
    )
    assert [text for text, _ in ours] == [text for text, _ in theirs]
    np.testing.assert_allclose([score for _, score in ours], [score for _, score in theirs], atol=1e-4 if decay else 0)


@pytest.mark.usefixtures("quick_validation")
def test_a_new_vocabulary_goes_on_exactly_without_the_run_it_started_from(trained_run, tmp_path, monkeypatch, caplog):
    base = Path(shutil.copytree(trained_run, tmp_path / "base"))
    config = reversal_config(
        tmp_path / "corpus",
        pairs=800,
        tokenizer={"algorithm": "bpe", "vocabulary_size": 310, "sampling": 0.1},
        training={
            "start_from": str(base), "start_vocabulary": "new", "average_decay": 0.9,
        },
    )  # fmt: skip
    whole = train(config, tmp_path / "whole")
    assert "tokenizers_of" not in load_report(whole.data)["settings"]

    count = TrainingCheckpoint.on_train_batch_end

    def stop_at(batches: int) -> None:
        def stopped(self, batch, logs=None):
            count(self, batch, logs)
            if self.state.batches == batches:
                raise KeyboardInterrupt

        monkeypatch.setattr(TrainingCheckpoint, "on_train_batch_end", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "stopped")
        monkeypatch.undo()

    stop_at(3)  # before there is a checkpoint: it begins anew
    stop_at(17)
    shutil.rmtree(base)
    caplog.clear()
    caplog.set_level("INFO", "nmt")
    stopped = train(config, tmp_path / "stopped")
    assert "going on from step 15" in caplog.messages
    assert not any("beginning" in line for line in caplog.messages)
    for name in ("last", "best"):
        assert_equal_weights(whole.checkpoint(name), stopped.checkpoint(name))


def tokenizer_of(words: str) -> Tokenizer:
    return Tokenizer(train_tokenizer([words] * 20, vocabulary_size=300, algorithm="bpe"))


def made_run(folder: Path, config: Config, tokenizers: tuple[Tokenizer, Tokenizer], seed: int) -> RunFolder:
    """A run of random weights, biases too, that was never trained."""
    run = RunFolder(folder)
    save_config(config, run.config)
    run.data.mkdir()
    for side, tokenizer in zip(("source", "target"), tokenizers, strict=True):
        (run.data / f"{side}.model").write_bytes(tokenizer.model)
    generator = np.random.default_rng(seed)
    weights = weights_of(build_model(config, *tokenizers))
    save_arrays(
        run.best, {name: generator.normal(size=array.shape).astype("f4") for name, array in weights.items()}, {}
    )
    return run


def config_of(task: str, **model: object) -> Config:
    tree = {
        "task": task,
        "data": {"source_language": "a", "target_language": "b", "corpus": {"kind": "tsv", "train": ["a.tsv"]}},
        "tokenizer": {"joint": model.get("tied_embeddings", "all") == "all"},
        "training": PLAIN_TRAINING,
        "model": PLAIN_MODEL | {"units": 8, "embedding": 6, "cell": "rnn"} | model,
    }
    return parse_config(tree, "test")


SIDES_OF_TABLES = {
    ("translation", "all"): {"source_embedding": "target"},
    ("translation", "target"): {"source_embedding": "source", "target_embedding": "target"},
    ("translation", "none"): {
        "source_embedding": "source",
        "target_embedding": "target",
        "output_embedding": "target",
    },
    ("language_model", "all"): {"embedding": "target"},
    ("language_model", "none"): {
        "embedding": "target",
        "output_embedding": "target",
    },
}


@pytest.mark.parametrize(("task", "tied"), SIDES_OF_TABLES)
def test_a_new_vocabulary_is_composed_of_the_old_one(task, tied, tmp_path, caplog):
    config = config_of(task, tied_embeddings=tied)
    old = tokenizer_of("kalo minkalo tarsu"), tokenizer_of("one house two houses")
    new = tokenizer_of("kalo minsu tartar"), tokenizer_of("one mouse two mice")
    if task == "language_model" or tied == "all":
        old, new = (old[1], old[1]), (new[1], new[1])
    run = made_run(tmp_path, config, old, seed=3)
    model = build_model(config, *new)
    caplog.set_level("INFO", "nmt")
    start_weights(model, new, run.path)
    expected, _ = load_arrays(run.best)
    for table, side in SIDES_OF_TABLES[task, tied].items():
        index = ("source", "target").index(side)
        rows = expected[f"weights/{table}/embeddings"].astype(np.float64)
        sources = find_in(old[index], new[index])
        means = np.array([sum(rows[one] for one in ids) / len(ids) for ids in sources])
        assert 260 < sum(len(ids) == 1 for ids in sources) < len(sources)
        expected[f"weights/{table}/embeddings"] = means
    ours = weights_of(model)
    assert ours.keys() == expected.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=1e-7, err_msg=name)
    logged = [line for line in caplog.messages if "vocabulary: " in line]
    assert len(logged) == (1 if old[0] is old[1] else 2)
    for line, index in zip(reversed(logged), (1, 0), strict=False):
        kept = len(set(new[index].pieces()) & set(old[index].pieces()))
        size = new[index].vocabulary_size
        assert f"{kept} of {size} pieces keep their embeddings, {size - kept} are given the mean of others" in line


def test_two_vocabularies_may_become_one(tmp_path):
    old = tokenizer_of("kalo minkalo tarsu"), tokenizer_of("one house two houses")
    new = tokenizer_of("one minkalo two tarsu")
    config = config_of("translation", tied_embeddings="none")
    run = made_run(tmp_path, config, old, seed=3)
    model = build_model(config, new, new)
    start_weights(model, (new, new), run.path)
    arrays, _ = load_arrays(run.best)
    for name, place in (("source", 0), ("target", 1), ("output", 1)):
        rows, ours = (one[f"weights/{name}_embedding/embeddings"] for one in (arrays, weights_of(model)))
        means = [rows[ids].mean(0) for ids in find_in(old[place], new)]
        np.testing.assert_allclose(ours, means, atol=1e-6)


def test_the_averaged_checkpoint_is_preferred(trained_run, tmp_path):
    run = RunFolder(Path(shutil.copytree(trained_run, tmp_path / "base")))
    average_checkpoints(run.recent_checkpoints(), run.checkpoint("averaged"))
    config = load_config(run.config)
    tokenizer = Tokenizer(read_model(run.data, "target"))
    model, expected = (build_model(config, tokenizer, tokenizer) for _ in range(2))
    start_weights(model, (tokenizer, tokenizer), run.path)
    load_weights(expected, run.checkpoint("averaged"))
    for ours, theirs in zip(model.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    old = tokenizer_of("one house two houses")
    config = config_of("translation")
    run = made_run(tmp_path, config, (old, old), seed=3)
    model = build_model(config, old, old)
    larger = tokenizer_of("one mouse two mice")
    save_arrays(run.best, weights_of(build_model(config, larger, larger)), {})
    with pytest.raises(UserError, match=r"best.npz: expected `weights/.* of \d+ pieces"):
        start_weights(model, (old, old), run.path)


def test_a_language_model_can_be_fine_tuned(language_model_run, tmp_path):
    training = {"start_from": str(language_model_run), "learning_rate": 1e-30, "max_steps": 4, "validate_every": 4}
    config = language_model_config(tmp_path, digit_strings(400, range(3, 8), seed=9), training=training)
    run = train(config, tmp_path / "run")
    assert_equal_weights(RunFolder(language_model_run).best, run.best, 1e-27)


MODEL = {"units": 16, "embedding": 16}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"units": 24}, "expected a model of the same shape, got model.units: 16 -> 24"),
        ({"cell": "ssru", "decoder_layers": 2}, "got model.cell: gru -> ssru; model.decoder_layers: 1 -> 2"),
        ({"tied_embeddings": "none"}, "model.tied_embeddings: all -> none"),
        ({"attention": "multi_head", "attention_heads": 2}, "model.attention: dot -> multi_head"),
        ({"dropout": 0.5, "recurrent_dropout": 0.5, "attention_heads": 8}, None),
        ({"word_dropout": 0.5, "variational_dropout": True, "longest_memory": 9}, None),
    ],
)
def test_the_shape_must_be_the_same(model, message, trained_run, tmp_path):
    config = config_of("translation", **{"cell": "gru"} | MODEL | model)
    config = config.model_copy(update={"training": config.training.model_copy(update={"start_from": trained_run})})
    if message is None:
        check_start(config, tmp_path)
        return
    with pytest.raises(UserError, match=rf"training.start_from: {trained_run}: .*{re.escape(message)}"):
        check_start(config, tmp_path)


def test_what_is_no_start_is_refused_before_any_work(trained_run, language_model_run, tmp_path):
    def error_of(start: Path) -> str:
        with pytest.raises(UserError) as error:
            train(reversal_config(tmp_path / "corpus", training={"start_from": str(start)}), tmp_path / "run")
        return str(error.value)

    assert "none: is not a run folder" in error_of(tmp_path / "none")
    assert "expected a run of task translation, got one of task language_model" in error_of(language_model_run)
    base = RunFolder(Path(shutil.copytree(trained_run, tmp_path / "base")))
    shutil.rmtree(base.path / "checkpoints")
    assert "has no checkpoint `best`; it has none yet" in error_of(base.path)
    assert not (tmp_path / "run").exists()


def test_a_language_model_is_not_asked_for_its_attention(language_model_run, tmp_path):
    training = {"start_from": str(language_model_run)}
    same = {"attention": "additive", "encoder_layers": 3}
    check_start(language_model_config(tmp_path, LINES, model=same, training=training), tmp_path)
    with pytest.raises(UserError, match=r"model.layer_normalization: False -> True"):
        check_start(
            language_model_config(tmp_path, LINES, model={"layer_normalization": True}, training=training), tmp_path
        )
