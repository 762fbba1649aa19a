"""Training is the same on any number of devices, and outlives the loss of a worker."""

import json
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nmt.config import Config, TrainingSettings, load_config, save_config
from nmt.data.preparation import load_shapes
from nmt.runs.checkpoints import load_arrays
from nmt.runs.folder import RunFolder, join_run
from nmt.training.distribution import Distribution, find_cluster, make_distribution
from nmt.training.train import train
from nmt.utils.errors import UserError
from tests.helpers import reversal_config, train_by_command, validating_by_loss
from tests.processes import Forked
from tests.training.two_devices import run_on_two_devices

ERRORS = Path(__file__).parents[2] / "docs" / "errors.md"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    """A run of 20 steps on one device, of odd numbers of rows, in which clipping lowers every gradient."""
    folder = tmp_path_factory.mktemp("reference")
    config = reversal_config(
        folder / "corpus",
        batches={"tokens": 410, "shapes": 3},
        model={"dropout": 0.0},
        training={
            "initial_embeddings": "cooccurrence", "max_steps": 20, "validate_every": 10, "average_decay": 0.9,
            "clip_norm": 0.1,
        },
    )  # fmt: skip
    with validating_by_loss():
        train(config, folder / "run")
    assert any(shape.sentences % 2 for shape in load_shapes(folder / "run" / "data"))
    return folder / "run", config


def with_training(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def begin(folder: Path, run: Path, config: Config) -> tuple[Path, Path]:
    """A configuration file and a run folder, with data prepared already."""
    shutil.copytree(run / "data", folder / "run" / "data", dirs_exist_ok=True)
    shutil.copy(run / "run.json", folder / "run")
    save_config(config, folder / "config.yaml")
    return folder / "config.yaml", folder / "run"


def assert_same_training(ours: Path, theirs: Path) -> None:
    for name in ("last", "best"):
        arrays, _ = load_arrays(RunFolder(ours).checkpoint(name))
        others, _ = load_arrays(RunFolder(theirs).checkpoint(name))
        assert arrays.keys() == others.keys()
        for key, array in arrays.items():
            np.testing.assert_allclose(others[key], array, rtol=0, atol=1e-5, err_msg=f"{name} {key}")
    lines = [
        [json.loads(line) for line in RunFolder(run).metrics.read_text().splitlines()[1:]] for run in (ours, theirs)
    ]
    lines = [[line for line in of_run if "step" in line] for of_run in lines]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]]
    for key in ("training_plain_loss", "validation_loss", "bleu"):
        assert lines[0][-1][key] == pytest.approx(lines[1][-1][key], abs=1e-4)


def saved_step(run: Path) -> int:
    try:
        return load_arrays(RunFolder(run).last)[1]["batches"]
    except UserError:
        return 0


class Cluster:
    """Workers of one training on this machine."""

    def __init__(self, config: Path, run: Path, count: int = 2) -> None:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        for one in sockets:
            one.close()
        self.workers = []
        for index in range(count):
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            self.workers.append(
                Forked(
                    config.parent / "printed",
                    train_by_command,
                    config,
                    run,
                    environment=os.environ | {"TF_CONFIG": json.dumps(cluster)},
                )
            )

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()

    def finish(self) -> list[tuple[int, list[str]]]:
        """Exit statuses, and the lines written to stderr."""
        return [(worker.wait(), worker.stderr.splitlines()) for worker in self.workers]


def train_each(fresh: tuple[Path, Path], gone_on: tuple[Path, Path], tuned: tuple[Path, Path]) -> None:
    with validating_by_loss():
        for config, run in (fresh, gone_on):
            train(load_config(config), run)
    train(load_config(tuned[0]), tuned[1])  # validates as users' trainings do


def test_two_devices_train_as_one_go_on_from_one_and_fine_tune_as_one(reference, tmp_path):
    run, config = reference
    mirrored = with_training(config, strategy="mirrored")
    fresh = begin(tmp_path / "fresh", run, mirrored)
    gone_on = begin(tmp_path / "gone_on", run, mirrored)
    with validating_by_loss():
        train(with_training(config, max_steps=10), gone_on[1])
    tuned = with_training(config, start_from=run, max_steps=10, learning_rate=3e-3)
    train(tuned, tmp_path / "one")
    tuned_on_two = begin(tmp_path / "mirrored", run, with_training(tuned, strategy="mirrored"))
    run_on_two_devices(tmp_path / "printed", train_each, fresh, gone_on, tuned_on_two)
    assert_same_training(run, fresh[1])
    assert_same_training(run, gone_on[1])
    assert_same_training(tmp_path / "one", tuned_on_two[1])
    (tuned_loss, base_loss) = (
        load_arrays(RunFolder(path).best)[1]["validation_loss"] for path in (tmp_path / "one", run)
    )
    assert tuned_loss < base_loss  # which training from random weights would not reach so soon


def test_two_workers_train_as_one_device_and_the_loss_of_one_is_an_error(reference, tmp_path):
    run, config = reference
    files = begin(tmp_path, run, with_training(config, strategy="multi_worker"))
    with Cluster(*files) as cluster:
        while saved_step(files[1]) < 5 and all(worker.returncode is None for worker in cluster.workers):
            time.sleep(0.05)
        cluster.workers[1].kill()
        (status, lines), (killed, _) = cluster.finish()
    assert killed == -signal.SIGKILL
    assert status == 2
    assert lines[-1] == (
        "nmt: a worker was lost; start the same command again on all workers, and training goes on from the last "
        "checkpoint"
    )
    assert 5 <= saved_step(files[1]) < 20
    alone = shutil.copytree(files[1], tmp_path / "alone")
    with Cluster(*files) as cluster:
        (status, of_chief), (other_status, of_other) = cluster.finish()
    assert status == other_status == 0
    assert any(line.startswith("step ") for line in of_chief)
    assert not any(line.startswith(("step ", "going on")) for line in of_other)
    assert_same_training(run, files[1])
    with validating_by_loss():
        train(config, alone)  # one device can go on as well
    assert_same_training(run, alone)


class Pretended(Distribution):
    """One of two workers; what the other one adds to each sum is given."""

    def __init__(self, chief: bool, other: list[list[float]]) -> None:
        super().__init__()
        self.workers, self.chief, self.other = 2, chief, other

    def _sum(self, numbers):
        return [float(ours + theirs) for ours, theirs in zip(numbers, self.other.pop(0), strict=True)]


def never() -> list[float]:
    raise AssertionError("only the chief works")


def fail() -> list[float]:
    raise UserError("the disk is full")


def test_the_chief_works_and_the_others_follow():
    assert Pretended(True, [[0, 0, 0]]).run_on_chief(lambda: [0.5, 3], 2) == [0.5, 3]
    assert Pretended(False, [[0, 0.5, 3]]).run_on_chief(never, 2) == [0.5, 3]
    with pytest.raises(UserError, match="the disk is full"):
        Pretended(True, [[0, 0]]).run_on_chief(fail, 1)
    with pytest.raises(UserError, match=r"the chief .* has ended with an error"):
        Pretended(False, [[1, 0]]).run_on_chief(never, 1)


def test_only_the_chief_logs(caplog):
    caplog.set_level("INFO", "nmt")
    log = logging.getLogger("nmt.training.train")
    for distribution in (Pretended(True, []), Pretended(False, [])):
        with distribution.log_on_chief():
            log.info("a step of %s", distribution.chief)
            log.warning("a warning of %s", distribution.chief)
    assert caplog.messages == ["a step of True", "a warning of True", "a warning of False"]
    assert log.isEnabledFor(logging.INFO)


def test_workers_at_different_steps_all_raise_an_error():
    Pretended(False, [[0, 7], [0]]).check_agreement(7, "differ")
    with pytest.raises(UserError, match="differ"):
        Pretended(False, [[0, 7], [0]]).check_agreement(0, "differ")
    with pytest.raises(UserError, match="differ"):
        Pretended(True, [[0, 0], [1]]).check_agreement(7, "differ")


def test_a_worker_needs_the_chiefs_run_folder(reference, tmp_path):
    run, config = reference
    assert join_run(run, config) == RunFolder(run)
    with pytest.raises(UserError, match="the chief's run folder is not here"):
        join_run(tmp_path, config)
    with pytest.raises(UserError, match=r"other settings \(training.clip_norm: 0.1 -> 1.0\)"):
        join_run(run, with_training(config, clip_norm=1.0))


WORKER = {"type": "worker", "index": 0}
CLUSTERS = {
    "no JSON": ("{", "TF_CONFIG: expected .*line 1"),
    "no object": ([], "TF_CONFIG: expected .*got"),
    "no task": ({"cluster": {"worker": ["a:1"]}}, "TF_CONFIG: expected .*got"),
    "no number": ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "x"}}, "TF_CONFIG: expected"),
    "no port": ({"cluster": {"worker": ["a"]}, "task": WORKER}, "an address as host:port .*'a'"),
    "no list": ({"cluster": {"worker": "a:1"}, "task": WORKER}, "an address as host:port"),
    "another kind": ({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": WORKER}, "chief or worker, got ps"),
    "no such worker": ({"cluster": {"chief": ["a:1"]}, "task": WORKER}, "has no worker 0: it has 0"),
}


@pytest.fixture
def no_cluster(monkeypatch) -> Iterator[pytest.MonkeyPatch]:
    for name in [name for name in os.environ if name.startswith(("TF_CONFIG", "SLURM", "TPU_NAME"))]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("kind", CLUSTERS)
def test_a_cluster_that_is_none_is_refused(kind, no_cluster):
    cluster, message = CLUSTERS[kind]
    no_cluster.setenv("TF_CONFIG", cluster if isinstance(cluster, str) else json.dumps(cluster))
    with pytest.raises(UserError, match=message):
        make_distribution(TrainingSettings(strategy="multi_worker"))


def test_no_cluster_at_all_is_refused(no_cluster):
    with pytest.raises(UserError, match="expected TF_CONFIG or Slurm's environment"):
        make_distribution(TrainingSettings(strategy="multi_worker"))
    no_cluster.setenv("SLURM_PROCID", "1")
    with pytest.raises(UserError, match=r"SLURM_\w+ not found in environment; start it by srun"):
        make_distribution(TrainingSettings(strategy="multi_worker"))


def test_slurm_names_the_cluster(no_cluster):
    step = {
        "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "3", "SLURM_STEP_NODELIST": "n[8-9]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1", "SLURMD_NODENAME": "n8",
    }  # fmt: skip
    for name, value in step.items():
        no_cluster.setenv(name, value)
    cluster = find_cluster()
    assert cluster.cluster_spec().as_dict() == {"worker": ["n8:8888", "n8:8889", "n9:8888"]}
    assert (cluster.task_type, cluster.task_id) == ("worker", 1)
    no_cluster.setenv("SLURMD_NODENAME", "n10")
    with pytest.raises(UserError, match="Slurm runs task 1 on n10, TensorFlow takes it for n8:8889; set TF_CONFIG"):
        find_cluster()


def test_no_tpu_is_an_error(no_cluster):
    with pytest.raises(UserError, match=r"training\.strategy tpu: there is no TPU `local`"):
        make_distribution(TrainingSettings(strategy="tpu"))


def test_the_page_of_errors_lists_these():
    text = ERRORS.read_text(encoding="utf-8")
    for kind in (
        "a `TF_CONFIG` that describes no cluster",
        "workers that do not share the run folder",
        "a TPU that is not there",
        "a worker killed at any moment",
    ):
        assert f"| {kind} | " in text
