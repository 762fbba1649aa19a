from pathlib import Path

import pytest
import tensorflow as tf
from stand_in import save_stand_in
from tensorflow_serving.apis import prediction_log_pb2

from nmt.serving.warmup import BATCH_SIZES, SIGNATURES, write_warmup
from nmt.utils.errors import UserError

TEXTS = ["a", "a few words", "some more words than a few", "Ü 日本 😀 \u0000", "a sentence that is quite a bit longer"]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warmup")
    save_stand_in(folder)
    write_warmup(folder / "1", TEXTS, "translator")
    return folder / "1"


def read_requests(version: Path) -> list:
    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records.as_numpy_iterator()]
    assert all(log.WhichOneof("log_type") == "predict_log" for log in logs)
    return [log.predict_log.request for log in logs]


def texts_of(request: object, name: str) -> list[str]:
    return [text.decode() for text in tf.make_ndarray(request.inputs[name]).tolist()]


def test_every_request_runs_through_the_model(version: Path) -> None:
    model = tf.saved_model.load(str(version))
    requests = read_requests(version)
    assert requests
    for request in requests:
        assert request.model_spec.name == "translator"
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        outputs = model.signatures[request.model_spec.signature_name](**inputs)
        assert {len(value) for value in outputs.values()} == {len(value) for value in inputs.values()}


def test_all_signatures_sizes_and_texts_are_there(version: Path) -> None:
    seen: dict[tuple[str, int], set[str]] = {}
    for request in read_requests(version):
        signature = request.model_spec.signature_name
        assert sorted(request.inputs) == sorted(SIGNATURES[signature])
        for name in request.inputs:
            texts = texts_of(request, name)
            seen.setdefault((signature, len(texts)), set()).update(texts)
    assert seen == {(signature, size): set(TEXTS) for signature in SIGNATURES for size in BATCH_SIZES}


def test_lone_requests_differ_in_length(version: Path) -> None:
    alone = [
        r for r in read_requests(version) if r.model_spec.signature_name == "nbest" and len(texts_of(r, "text")) == 1
    ]
    assert [texts_of(request, "text") for request in alone] == [[text] for text in TEXTS]


@pytest.mark.parametrize("count", [0, 334])
def test_more_requests_than_the_server_takes_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 1,000 warm-up requests, got {3 * count:,}"):
        write_warmup(tmp_path, ["a"] * count, "translator", batch_sizes=[1])
    assert not list(tmp_path.iterdir())


def test_as_many_requests_as_the_server_takes_are_written(tmp_path: Path) -> None:
    write_warmup(tmp_path, ["a"] * 333, "translator", batch_sizes=[1])
    assert len(read_requests(tmp_path)) == 999


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "assets.extra").write_text("a file")
    with pytest.raises(UserError, match="tf_serving_warmup_requests: cannot be written"):
        write_warmup(tmp_path, TEXTS, "translator")


def test_nothing_is_written_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed would leave it there for ever: nobody clears the folders of other processes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    write_warmup(tmp_path / "1", TEXTS, "translator")
    assert [path.name for path in (tmp_path / "1").rglob("*")] == ["assets.extra", "tf_serving_warmup_requests"]
