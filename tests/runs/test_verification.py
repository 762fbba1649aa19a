import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import nmt
from nmt.config import load_config, save_config
from nmt.data.preparation import check_complete, load_report, prepare
from nmt.runs.checkpoints import load_arrays, save_arrays
from nmt.runs.folder import RunFolder, load_run_config, run_id
from nmt.runs.metrics import read_metrics
from nmt.runs.models import load_model
from nmt.runs.verification import verify_run
from nmt.training.train import train
from nmt.utils.digests import sealed
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
    assert verified == {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}


def mutated(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    flipped = content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
    return draw.choice([flipped, content[:place], b"", content + b"\0", content[place:] + content[:place]])


def as_read(path: Path, whole: object) -> object:
    """What a file whose damage was not found says; archives and JSON say the same with other bytes."""
    if path.suffix == ".npz":
        arrays, state = load_arrays(path)
        return {name: array.tolist() for name, array in arrays.items()}, state
    if path.suffix == ".v2":  # a process that is killed leaves the last events cut off
        return whole
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return whole if path.name == "metrics.jsonl" and whole and lines == whole[: len(lines)] else lines  # type: ignore


def test_no_damage_to_a_file_goes_unnoticed(run: Path) -> None:
    draw = random.Random(1)
    for path in sorted({file.path for file in verify_run(run)}):
        content = path.read_bytes()
        for _ in range(3):
            path.write_bytes(mutated(content, draw))
            try:
                found = {file.path for file in verify_run(run) if file.problem or file.note}
            except UserError:  # it is no run any more
                continue
            if found:
                assert path in found
                continue
            damaged = path.read_bytes()
            path.write_bytes(content)
            whole = as_read(path, None)
            path.write_bytes(damaged)
            assert as_read(path, whole) == whole, path
        path.write_bytes(content)
    assert not problems(run)


def test_arrays_that_exchanged_their_names_are_noticed(run: Path) -> None:
    path = RunFolder(run).best
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    shapes: dict[tuple[int, ...], str] = {}
    for name, array in members.items():
        other = shapes.setdefault(array.shape, name)
        if not np.array_equal(members[other], array):
            members[other], members[name] = members[name], members[other]
            break
    np.savez(path, **members)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"best\.npz: is damaged: its arrays or their names are not those that were"):
        load_arrays(path)
    assert set(problems(run)) == {"best.npz"}


def test_the_checkpoint_of_another_run_is_refused(run: Path) -> None:
    arrays, state = load_arrays(RunFolder(run).best)
    save_arrays(RunFolder(run).best, arrays, state | {"belongs_to": state["belongs_to"] | {"run": "another"}})
    with pytest.raises(UserError, match=r"best\.npz: is a checkpoint of another run than .*run\.json describes"):
        load_model(*load_run_config(run))


@pytest.mark.parametrize(("edit", "is_problem"), [("decoding.beam_size=1", False), ("model.units=24", True)])
def test_settings_edited_by_hand_are_no_damage(
    run: Path, edit: str, is_problem: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = RunFolder(run).config
    save_config(load_config(path, [edit]), path)
    [found] = [file for file in verify_run(run) if file.problem or file.note]
    message = rf"was edited since it was written \({edit.partition('=')[0]}: \d+ -> \d+\)"
    assert found.path == path
    assert re.match(message, found.problem if is_problem else found.note or "")
    load_run_config(run)
    load_run_config(run)
    assert len([line for line in caplog.messages if re.search(message, line)]) == 1


def test_other_records_are_those_of_the_run(run: Path) -> None:
    folder = RunFolder(run)
    record = sealed({"chosen": {}}, run_id(folder) or "")
    folder.tuning.write_text(json.dumps(record))
    assert not problems(run)
    folder.tuning.write_text(json.dumps(record | {"chosen": {"beam_size": 8}}))
    lines = folder.metrics.read_text().splitlines()
    folder.metrics.write_text("\n".join([*lines[:-1], json.dumps({"step": 7})]))
    assert problems(run).keys() == {"tuning.json", "metrics.jsonl"}
    with pytest.raises(UserError, match=rf"metrics\.jsonl:{len(lines)}: is damaged, or of another run"):
        read_metrics(folder)


@pytest.mark.parametrize("wrong", [0, 300])
def test_ids_beyond_the_vocabulary_are_damage_even_without_digests(run: Path, wrong: int) -> None:
    data = RunFolder(run).data
    report = {name: value for name, value in load_report(data).items() if name not in ("files", "sha256")}
    (data / "report.json").write_text(json.dumps(report))
    path = data / "train.target.ids.npy"
    ids = np.load(path)
    ids[5] = wrong
    np.save(path, ids)
    assert "train.target.ids.npy" in problems(run)
    with pytest.raises(UserError, match=rf"train\.target\.ids\.npy: is damaged: expected ids from 1 to .*{wrong}"):
        check_complete(data)


def test_the_tokenizer_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    folder, config = load_run_config(run)
    other = run / "data" / "target.model"
    other.write_bytes(nmt.train_tokenizer(["1 2 3 4", "5 6 7 8"], vocabulary_size=290))
    with pytest.raises(UserError, match=r"target\.model: is not the tokenizer that .*best\.npz was trained with"):
        load_model(folder, config)


@pytest.mark.usefixtures("quick_validation")
def test_training_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    config = reversal_config(tmp_path / "corpus", pairs=300, training={"max_steps": 2, "validate_every": 2})
    train(config, tmp_path / "run")
    other = reversal_config(
        tmp_path / "other",
        pairs=300,
        training={"max_steps": 2, "validate_every": 2},
    )
    (tmp_path / "other" / "train.source.txt").write_text("1 2 3\n" * 300)
    prepare(other, tmp_path / "second")
    for path in (tmp_path / "second").iterdir():
        if path.name.endswith((".npy", ".txt", "report.json")):
            shutil.copy(path, tmp_path / "run" / "data" / path.name)
    longer = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": 4})})
    with pytest.raises(UserError, match=r"source\.model: is damaged: .* it is not prepared anew"):
        train(longer, tmp_path / "run")


def test_an_edited_corpus_is_prepared_again(tmp_path: Path) -> None:
    config = reversal_config(tmp_path / "corpus", pairs=300)
    first = prepare(config, tmp_path / "data")
    assert prepare(config, tmp_path / "data") == first
    for side, line in (("source", "1 2 3 4 5 6 7"), ("target", "7 6 5 4 3 2 1")):
        with open(tmp_path / "corpus" / f"train.{side}.txt", "a") as file:
            file.write(line + "\n")
    assert prepare(config, tmp_path / "data")["pairs"]["train"] == first["pairs"]["train"] + 1
