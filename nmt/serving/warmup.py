"""Warm-up requests, which TensorFlow Serving sends through a model before it reports the model as ready."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from nmt.serving.transports import predict_request
from nmt.utils.files import temporary_folder, written_whole

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"  # relative to the folder of a version
SIGNATURES = {"serving_default": ("text",), "nbest": ("text",), "score": ("source", "target")}
# None may exceed `max_batch_size` in deploy/batching.config: the server batches these requests like all others, and
# rejects a model if one of its warm-up requests fails.
BATCH_SIZES = (1, 8, 32)
MAX_RECORDS = 1000  # the server rejects a model with more


def write_warmup(
    version_folder: str | Path, texts: Sequence[str], model_name: str, batch_sizes: Sequence[int] = BATCH_SIZES
) -> None:
    """Writes warm-up requests for all signatures of an exported model to its folder `assets.extra`.

    For each signature and batch size, every text is in at least one request. Requests to `score` pair each text with
    itself.

    Args:
        version_folder: the folder of the SavedModel.
        texts: texts of typical lengths, in the source language.
        model_name: name under which the model will be served.
        batch_sizes: numbers of texts in a request.

    Raises:
        ValueError: if there are no texts, or more requests than the server accepts.
        UserError: if the file cannot be written.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_warmup(folder, ["a text", "a longer text"], "translator")
    >>> (folder / WARMUP_FILE).exists()
    True
    """
    requests = [
        (signature, batch)
        for signature in SIGNATURES
        for batch_size in batch_sizes
        for batch in _full_batches(texts, batch_size)
    ]
    if not 0 < len(requests) <= MAX_RECORDS:
        raise ValueError(f"expected texts for 1 to {MAX_RECORDS:,} warm-up requests, got {len(requests):,}")
    folder = Path(version_folder)
    with written_whole(folder / WARMUP_FILE, "wb") as file, temporary_folder(folder) as temporary:
        records = temporary / "records"  # TensorFlow writes to paths, not to open files
        with tf.io.TFRecordWriter(str(records)) as writer:
            for signature, batch in requests:
                request = predict_request(model_name, signature, dict.fromkeys(SIGNATURES[signature], batch))
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(log.SerializeToString())
        file.write(records.read_bytes())


def _full_batches(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    """Yields all texts in batches of the same size; the last batch is filled up with the first texts."""
    for start in range(0, len(texts), size):
        yield [texts[index % len(texts)] for index in range(start, start + size)]
