"""Warm-up requests: what TensorFlow Serving runs through a model before it says that the model is ready."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from nmt.serving.transports import predict_request
from nmt.utils.files import written_whole

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"  # within a version's folder
SIGNATURES = {"serving_default": ("text",), "nbest": ("text",), "score": ("source", "target")}
# The largest must not exceed `max_batch_size` of deploy/batching.config: the server batches these requests like any
# other, and refuses a model one of whose warm-up requests fails.
BATCH_SIZES = (1, 8, 32)
MOST_RECORDS = 1000  # with more the server refuses the model


def write_warmup(
    version_folder: Path, texts: Sequence[str], model_name: str, batch_sizes: Sequence[int] = BATCH_SIZES
) -> None:
    """Writes warm-up requests for all signatures of an exported model to its `assets.extra`.

    For each signature and batch size, every text is in at least one request; in `score` each is its own translation.

    Args:
        version_folder: the folder of the SavedModel.
        texts: of the lengths that are to be expected, in the source language.
        model_name: the name under which the model will be served.
        batch_sizes: texts of a request.

    Raises:
        ValueError: if there are no texts, or they make more requests than the server takes.
        UserError: if the file cannot be written.
    """
    requests = [
        (signature, batch)
        for signature in SIGNATURES
        for batch_size in batch_sizes
        for batch in _full_batches(texts, batch_size)
    ]
    if not 0 < len(requests) <= MOST_RECORDS:
        raise ValueError(f"expected texts for 1 to {MOST_RECORDS:,} warm-up requests, got {len(requests):,}")
    # The writer opens the file that `written_whole` has made once more, by its name.
    with written_whole(version_folder / WARMUP_FILE, "wb") as file, tf.io.TFRecordWriter(file.name) as writer:
        for signature, batch in requests:
            request = predict_request(model_name, signature, dict.fromkeys(SIGNATURES[signature], batch))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def _full_batches(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    """All texts in batches, the last one filled up with those at the beginning."""
    for start in range(0, len(texts), size):
        yield [texts[index % len(texts)] for index in range(start, start + size)]
