"""A run's model for small devices: a folder of LiteRT files that `nmt.serving.lite.translator` runs."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from nmt import __version__
from nmt.config import Config
from nmt.layers.embedding import TiedEmbedding
from nmt.models.decoder import Memory
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.translation import load_for_search
from nmt.serving.lite.translator import DECODER_STEP, ENCODER, FORMAT, SETTINGS, SOURCE_TOKENIZER, TARGET_TOKENIZER
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole
from nmt.utils.silence import silenced

Weights = Literal["float32", "float16", "int8"]


def export_lite(
    run: Path,
    to: Path,
    weights: Weights = "float32",
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> None:
    """Writes a run's model as a folder that a device translates with, without TensorFlow.

    It holds the encoder and a step of the decoder as LiteRT models of built-in operations alone, both tokenizers, and
    the settings that the search needs. All arithmetic is in float32, whatever precision the model was trained in;
    int8 weights are multiplied with inputs that are rounded to 8 bits on the fly.

    Args:
        run: the run folder.
        to: the folder to make; it appears once it is complete.
        weights: how matrices are stored: float32 gives the checkpoint's numbers, float16 takes half the space, int8
            (a scale for each row) a quarter.
        checkpoint: `best`, `last`, `averaged` or another name; by default the averaged one if there is one, else the
            best.
        overrides: of the search's lengths, as `decoding.max_length_factor=1.5`; they are fixed in the export.

    Raises:
        UserError: if the run, the checkpoint or a setting is wrong, if `to` is there and not an empty folder, or if it
            cannot be written.
    """
    with _folder_written_whole(to) as folder:
        model, (source, target), config = load_for_search(run, checkpoint, overrides, 1)
        for setting in ("language_model", "ensemble"):
            if getattr(config.decoding, setting):
                raise UserError(f"nmt export --format litert: {run}: expected no decoding.{setting}")
        if config.decoding.precision != "float32":
            raise UserError(f"nmt export --format litert: {run}: expected decoding.precision float32")
        files = dict(zip((ENCODER, DECODER_STEP), convert(model, weights), strict=True))
        files |= {SOURCE_TOKENIZER: source.model, TARGET_TOKENIZER: target.model}
        for name, content in files.items():
            with written_whole(folder / name, "wb") as file:
                file.write(content)
        with written_whole(folder / SETTINGS) as file:
            json.dump(_settings(config, weights, files), file, indent=1)


def convert(model: Seq2Seq, weights: Weights) -> tuple[bytes, bytes]:
    """Encoder and decoder step as LiteRT models, for one sentence at a time.

    Args:
        model: in float32; afterwards it is of no other use.
        weights: see `export_lite`.

    Returns:
        The encoder, from `ids` (int32 `[1, source time]`, its end mark last) to `keys` and `values` (`[1, source time,
        ...]`) and `states` (`[layers, 1, units]`); and the step, from `token` (int32 `[1, 1]`), `keys`, `values` and
        `states` to `logits` (`[vocabulary]`) and the new `states`.
    """
    _take_lite_lookups(model)
    decoder = model.decoder

    def encode(ids: tf.Tensor) -> dict[str, tf.Tensor]:
        memory, states = model.begin(ids, training=False)
        return {"keys": memory.keys, "values": memory.values, "states": tf.stack(states)}

    def decode(token: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, states: tf.Tensor) -> dict[str, tf.Tensor]:
        memory = Memory(keys, values, tf.constant([[True]]))
        vectors, _, new = decoder.stepper()(token, memory, tuple(state[:, None] for state in tf.unstack(states)))
        return {"logits": model.logits(vectors)[0, 0], "states": tf.stack([state[:, 0] for state in new])}

    encoder = _concrete(encode, ids=tf.TensorSpec((1, None), tf.int32))
    made = {name: tf.TensorSpec(x.shape) for name, x in encoder.structured_outputs.items()}
    step = _concrete(decode, token=tf.TensorSpec((1, 1), tf.int32), **made)
    return _converted(encoder, model, weights), _converted(step, model, weights)


def _concrete(function: Callable[..., Any], **inputs: tf.TensorSpec) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(**inputs)


def _converted(function: Any, model: Seq2Seq, weights: Weights) -> bytes:
    module = tf.Module()
    module.kept = [weight.value for weight in model.weights]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with silenced():
        return bytes(converter.convert())


def _take_lite_lookups(model: Any) -> None:
    """Replaces the embeddings' lookup by LiteRT's; all else stays."""
    encoder, decoder = model.encoder, model.decoder
    encoder.embedding, decoder.embedding = _lookup(encoder.embedding), _lookup(decoder.embedding)


@tf.function(experimental_implements="embedding_matmul")
def _rows(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """The converter takes what implements `embedding_matmul` for LiteRT's embedding lookup.

    Unlike a gather, the lookup reads int8 tables with a scale for each row, as does the product that scores the
    vocabulary: so a table for both is stored once.
    """
    return tf.gather(table, ids)


def _lookup(embedding: TiedEmbedding) -> Callable[[tf.Tensor], tf.Tensor]:
    """What `embedding` does."""

    def call(ids: tf.Tensor) -> tf.Tensor:
        rows = _rows(tf.convert_to_tensor(embedding.table), tf.reshape(ids, (-1,))) * embedding.units**0.5
        return tf.reshape(rows, tf.concat([tf.shape(ids), [embedding.units]], 0))

    return call


def _settings(config: Config, weights: Weights, files: dict[str, bytes]) -> dict[str, Any]:
    search = config.decoding
    return {
        "format": FORMAT,
        "source_language": config.data.source_language,
        "target_language": config.data.target_language,
        "weights": weights,
        "max_tokens": config.batches.max_length,
        "max_length_factor": search.max_length_factor,
        "max_length_offset": search.max_length_offset,
        "min_length": search.min_length,
        "placeholders": config.tokenizer.placeholders,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "versions": {"gru-nmt": __version__} | {name: version(name) for name in ("tensorflow", "sentencepiece")},
    }


@contextmanager
def _folder_written_whole(to: Path) -> Iterator[Path]:
    """A folder to fill that stands at `to` once the block is through, and nowhere if it raises."""
    if to.exists() and not (to.is_dir() and not any(to.iterdir())):
        raise UserError(f"{to}: is there already; expected a new or an empty folder")
    to = to.resolve()  # "." has no name
    beside = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        beside.mkdir(parents=True)
        yield beside
        os.replace(beside, to)
    except OSError as error:
        raise UserError(f"{to}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
