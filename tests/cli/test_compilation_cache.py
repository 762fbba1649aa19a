"""Where compiled programs are kept, and that TensorFlow takes them up."""

import os
from pathlib import Path

import pytest

from nmt.cli.compilation_cache import forget_damaged, forget_oldest, keep_compiled
from nmt.training.train import train
from tests.helpers import reversal_config
from tests.processes import Forked


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    return tmp_path


def print_what_a_compiled_function_returns() -> None:
    keep_compiled()
    import tensorflow as tf

    print(float(tf.function(lambda x: tf.tanh(x) * 2, jit_compile=True)(tf.constant(0.5))))


def test_a_second_process_takes_up_what_the_first_compiled(cache, tmp_path):
    results, files = [], []
    for _ in range(2):
        process = Forked(tmp_path / "printed", print_what_a_compiled_function_returns)
        assert process.wait() == 0, process.stderr
        results.append(process.stdout)
        files.append({path: path.stat().st_mtime_ns for path in cache.rglob("*.pb")})
    assert float(results[0]) == float(results[1]) == pytest.approx(0.9242, abs=1e-4)
    assert len(list(cache.rglob("*.pb.sha256"))) == 1
    assert len(files[0]) == 1
    assert files[0] == files[1]  # nothing compiled anew, or it had been written again


def read_in_both_directions() -> None:
    keep_compiled()
    import tensorflow as tf

    from nmt.layers.gru import GRU

    layers = [GRU(4, return_sequences=True, go_backwards=backwards, compile_loops=True) for backwards in (False, True)]

    @tf.function(autograph=False)
    def gradients(sequence: tf.Tensor) -> tf.Tensor:
        return tf.gradients([layer(sequence, training=True) for layer in layers], sequence)

    gradients(tf.ones((2, 5, 3)))


def test_both_directions_of_a_layer_are_compiled_once(cache, tmp_path):
    process = Forked(tmp_path / "printed", read_in_both_directions)
    assert process.wait() == 0, process.stderr
    assert len(list(cache.rglob("*.pb"))) == 2  # the loop forward, and its gradient


def train_until(step: int, folder: Path) -> None:
    keep_compiled()
    training = {"max_steps": step, "validate_every": 100, "schedule": "constant", "xla": "parts", "monitor": "loss"}
    train(reversal_config(folder / "corpus", batches={"shapes": 1}, training=training), folder / "run")


def test_another_run_and_its_resumption_take_up_what_the_first_run_compiled(cache, tmp_path):
    files = []
    for run, step in (("first", 2), ("second", 1), ("second", 2)):
        process = Forked(tmp_path / "printed", train_until, step, tmp_path / run)
        assert process.wait() == 0, process.stderr
        files.append({path: path.stat().st_mtime_ns for path in cache.rglob("*.pb")})
    assert len(files[0]) > 1
    assert files[0] == files[1] == files[2]


def test_the_users_own_choice_stays(cache, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_persistent_cache_directory=/somewhere")
    assert keep_compiled() is None
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_persistent_cache_directory=/somewhere"


def test_other_flags_stay_and_the_folder_is_private(cache, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=0")
    folder = keep_compiled()
    assert folder is not None
    assert os.environ["TF_XLA_FLAGS"] == f"--tf_xla_auto_jit=0 --tf_xla_persistent_cache_directory={folder}"
    assert folder.stat().st_mode & 0o077 == 0


def test_where_no_folder_can_be_made_nothing_is_kept(cache, monkeypatch):
    (cache / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "file"))
    assert keep_compiled() is None
    assert os.environ["TF_XLA_FLAGS"] == ""


def test_the_oldest_are_forgotten(tmp_path):
    for age, name in enumerate(("new", "middle", "old", "oldest")):
        path = tmp_path / f"{name}.pb"
        path.with_name(path.name + ".sha256").touch()
        path.write_bytes(b"0" * 10)
        os.utime(path, (1000 - age, 1000 - age))
    forget_oldest(tmp_path, 25)
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"middle", "new"}


def test_damaged_programs_are_deleted(tmp_path, caplog):
    message = b"\x0a\x03abc\x10\x96\x01"  # a field of three bytes, and a number
    for name in ("whole", "flipped", "cut"):
        (tmp_path / f"{name}.pb").write_bytes(message)
    forget_damaged(tmp_path)
    assert not caplog.records
    (tmp_path / "flipped.pb").write_bytes(message.replace(b"b", b"d"))
    (tmp_path / "cut.pb").write_bytes(message[:4])
    for name, content in (("unknown", message), ("unknown-cut", message[:-1]), ("empty", b"")):
        (tmp_path / f"{name}.pb").write_bytes(content)
    forget_damaged(tmp_path)
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"whole", "unknown"}
    assert caplog.messages == [f"{tmp_path}: 4 compiled programs were damaged; they are compiled anew"]
