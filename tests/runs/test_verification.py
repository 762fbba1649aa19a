import json
import random
import shutil
from pathlib import Path

import pytest

import nmt
from nmt.data.preparation import prepare
from nmt.runs.checkpoints import load_arrays
from nmt.runs.folder import load_run_config
from nmt.runs.models import load_model
from nmt.runs.verification import verify_run
from nmt.training.train import train
from nmt.utils.errors import UserError
from tests.helpers import reversal_config


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


def problems(run: Path) -> dict[str, str | None]:
    return {file.path.name: file.problem for file in verify_run(run) if file.problem}


def test_a_run_is_whole(run: Path) -> None:
    verified = {str(file.path.relative_to(run)) for file in verify_run(run)}
    assert not problems(run)
    written = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert {name for name in written - verified if not name.startswith("tensorboard/")} <= {"data/train.epoch-0.npy"}


def mutated(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    flipped = content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
    return draw.choice([flipped, content[:place], b"", content + b"\0", content[place:] + content[:place]])


def as_read(path: Path) -> object:
    """What a file whose damage was not found says; archives and JSON say the same with other bytes."""
    if path.suffix == ".npz":
        arrays, state = load_arrays(path)
        return {name: array.tolist() for name, array in arrays.items()}, state
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_no_damage_to_a_file_goes_unnoticed(run: Path) -> None:
    draw = random.Random(1)
    for path in sorted({file.path for file in verify_run(run)}):
        content = path.read_bytes()
        for _ in range(8):
            path.write_bytes(mutated(content, draw))
            try:
                found = problems(run)
            except UserError:  # it is no run any more
                continue
            if found or path.name in ("run.json", "metrics.jsonl"):  # which nothing is computed from
                continue
            damaged = as_read(path)
            path.write_bytes(content)
            assert as_read(path) == damaged, path
        path.write_bytes(content)
    assert not problems(run)


def test_the_tokenizer_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    folder, config = load_run_config(run)
    other = run / "data" / "target.model"
    other.write_bytes(nmt.train_tokenizer(["1 2 3 4", "5 6 7 8"], vocabulary_size=290))
    with pytest.raises(UserError, match=r"target\.model: is not the tokenizer that .*best\.npz was trained with"):
        load_model(folder, config)


def test_training_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    config = reversal_config(tmp_path / "corpus", pairs=300, training={"max_steps": 2, "validate_every": 2})
    train(config, tmp_path / "run")
    other = reversal_config(
        tmp_path / "other",
        pairs=300,
        training={"max_steps": 2, "validate_every": 2},
    )
    (tmp_path / "other" / "train.source.txt").write_text("1 2 3\n" * 300)
    train(other, tmp_path / "second")
    for path in (tmp_path / "second" / "data").iterdir():
        if path.name.endswith((".npy", ".txt", "report.json")):
            shutil.copy(path, tmp_path / "run" / "data" / path.name)
    longer = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": 4})})
    with pytest.raises(UserError, match=r"data: is not the data that .* was trained on"):
        train(longer, tmp_path / "run")


def test_an_edited_corpus_is_prepared_again(tmp_path: Path) -> None:
    config = reversal_config(tmp_path / "corpus", pairs=300)
    first = prepare(config, tmp_path / "data")
    assert prepare(config, tmp_path / "data") == first
    for side, line in (("source", "1 2 3 4 5 6 7"), ("target", "7 6 5 4 3 2 1")):
        with open(tmp_path / "corpus" / f"train.{side}.txt", "a") as file:
            file.write(line + "\n")
    assert prepare(config, tmp_path / "data")["pairs"]["train"] == first["pairs"]["train"] + 1
