"""Exports a run for small devices: a folder of LiteRT files, which `nmt.serving.lite.translator` runs."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from nmt import __version__
from nmt.config import Config
from nmt.data.preparation import load_truecaser
from nmt.layers.embedding import TiedEmbedding
from nmt.models.decoder import DecoderState, Memory
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.folder import RunFolder
from nmt.runs.translation import load_for_search
from nmt.serving.lite.translator import (
    DECODER_STEP,
    DIGESTS,
    ENCODER,
    FORMAT,
    SETTINGS,
    SOURCE_TOKENIZER,
    TARGET_TOKENIZER,
)
from nmt.text.truecaser import Truecaser
from nmt.utils.digests import write_digests
from nmt.utils.errors import UserError
from nmt.utils.files import temporary_folder, written_whole
from nmt.utils.silence import silenced

Weights = Literal["float32", "float16", "int8"]


def export_lite(
    run: str | Path,
    output: str | Path,
    weights: Weights = "float32",
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> None:
    """Exports a run's model as a folder with which a device translates without TensorFlow.

    The folder contains the encoder and one step of the decoder as LiteRT models that use built-in operations only,
    both tokenizers, the settings of the search, and the digests of all these. All arithmetic is in float32, whatever
    precision the model was trained in, except that int8 weights are multiplied with inputs rounded to 8 bits.

    Args:
        run: the run folder.
        output: the folder to create, which appears once it is complete.
        weights: how matrices are stored: `float32` exactly, `float16` in half the space, `int8`, with a scale for
            each row, in a quarter.
        checkpoint: name of the checkpoint: `best`, `last`, `averaged` or another. None for the averaged one if it
            exists, otherwise the best.
        overrides: changed settings of the search, such as `decoding.beam_size=1`, which are fixed in the export.

    Raises:
        UserError: if the run, the checkpoint or a setting is invalid, if `output` exists and is not an empty folder,
            or if it cannot be written.

    Example:

    >>> export_lite("runs/quickstart", "lite", weights="int8")  # doctest: +SKIP
    """
    with _folder_written_whole(Path(output)) as folder:
        model, (source, target), config = load_for_search(Path(run), checkpoint, overrides, 1)
        for setting in ("language_model", "ensemble"):
            if getattr(config.decoding, setting):
                raise UserError(f"{run}: expected no decoding.{setting}: LiteRT's search runs a single model")
        if config.decoding.precision != "float32":
            raise UserError(f"{run}: expected decoding.precision float32, got {config.decoding.precision}")
        search = config.decoding
        models = convert(model, weights, search.beam_size, attention=search.coverage_penalty > 0)
        files = dict(zip((ENCODER, DECODER_STEP), models, strict=True))
        files |= {SOURCE_TOKENIZER: source.model, TARGET_TOKENIZER: target.model}
        for name, content in files.items():
            with written_whole(folder / name, "wb") as file:
                file.write(content)
        truecaser = load_truecaser(RunFolder(Path(run)).data, config)
        with written_whole(folder / SETTINGS) as file:
            json.dump(_settings(config, weights, files, truecaser), file, indent=1)
        write_digests(folder, DIGESTS)


def convert(model: Seq2Seq, weights: Weights, beam_size: int = 1, *, attention: bool = False) -> tuple[bytes, bytes]:
    """Converts the encoder and one step of the decoder to LiteRT models, for one sentence at a time.

    Args:
        model: a model in float32. Its embeddings are replaced, so it can be used for nothing else afterwards.
        weights: how matrices are stored; see `export_lite`.
        beam_size: int, how many hypotheses the decoder advances in one step.
        attention: bool, whether a step gives its attention.

    Returns:
        Two LiteRT models. The encoder computes, from `ids`, int32 `[1, source time]` with the end mark last, `keys`
        and `values`, float32 `[1, source time, ...]`, and `states`, float32 `[layers, 1, units]`. The step computes,
        from `token`, int32 `[1, beam]`, `keys`, `values` and `states`, float32 `[layers, beam, units]`, the `scores`,
        float32 `[beam, vocabulary]`: log-probabilities, or logits for a beam of one; the new `states`; and the
        `attention`, float32 `[beam, source time]`.
    """
    _use_lite_lookups(model)

    def encode(ids: tf.Tensor) -> dict[str, tf.Tensor]:
        memory, states = model.start(ids)
        return {"keys": memory.keys, "values": memory.values, "states": tf.stack(states)}

    def decode(token: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, states: tf.Tensor) -> dict[str, tf.Tensor]:
        memory = Memory(keys, values, tf.constant([[True]]))
        state = DecoderState(memory, tuple(state[None] for state in tf.unstack(states)))
        vectors, weights, new = model.stepper()(token, state)
        logits = model.logits(vectors)[0]
        made = {
            "scores": logits if beam_size == 1 else tf.nn.log_softmax(logits),
            "states": tf.stack([state[0] for state in new.states]),
        }
        return made | ({"attention": weights[0]} if attention else {})

    encoder = _trace(encode, ids=tf.TensorSpec((1, None), tf.int32))
    made = {name: tf.TensorSpec(x.shape) for name, x in encoder.structured_outputs.items()}
    layers, _, units = made["states"].shape
    made["states"] = tf.TensorSpec((layers, beam_size, units))
    step = _trace(decode, token=tf.TensorSpec((1, beam_size), tf.int32), **made)
    return _to_lite(encoder, model, weights), _to_lite(step, model, weights)


def _trace(function: Callable[..., Any], **inputs: tf.TensorSpec) -> Any:
    return tf.function(function, autograph=False).get_concrete_function(**inputs)


def _to_lite(function: Any, model: Seq2Seq, weights: Weights) -> bytes:
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with silenced():
        return bytes(converter.convert())


def _use_lite_lookups(model: Any) -> None:
    """Replaces the embeddings' lookups by LiteRT's operation."""
    model.source_embedding = _lookup(model.source_embedding)
    model.target_embedding = _lookup(model.target_embedding)


@tf.function(experimental_implements="embedding_matmul")
def _rows(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Gathers rows of a table. The converter maps a function that implements `embedding_matmul` to LiteRT's lookup.

    Unlike a gather, that lookup reads int8 tables with a scale for each row, as does the product that gives the
    logits, so a table used for both is stored once.
    """
    return tf.gather(table, ids)


def _lookup(embedding: TiedEmbedding) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from ids to the vectors of `embedding`."""

    def call(ids: tf.Tensor) -> tf.Tensor:
        rows = _rows(tf.convert_to_tensor(embedding.table), tf.reshape(ids, (-1,))) * embedding.units**0.5
        return tf.reshape(rows, tf.concat([tf.shape(ids), [embedding.units]], 0))

    return call


def _settings(config: Config, weights: Weights, files: dict[str, bytes], truecaser: Truecaser | None) -> dict[str, Any]:
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
        "beam_size": search.beam_size,
        "length_penalty": search.length_penalty,
        "coverage_penalty": search.coverage_penalty,
        "limit_repetition": search.limit_repetition,
        "split_sentences": search.split_sentences,
        "truecase": search.truecase,
        "truecaser": truecaser and truecaser.to_json(),
        "nest_tags": search.nest_tags,
        "keep_unreadable": search.keep_unreadable,
        "placeholders": config.tokenizer.placeholders,
        # For translators that do not know of the file with the digests.
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "versions": {"gru-nmt": __version__} | {name: version(name) for name in ("tensorflow", "sentencepiece")},
    }


@contextmanager
def _folder_written_whole(output: Path) -> Iterator[Path]:
    """Yields a temporary folder that is renamed to `output` when the block ends, and deleted if the block raises."""
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output}: exists already; expected a new or an empty folder")
    output = output.resolve()  # "." has no name
    try:
        with temporary_folder(output.parent) as temporary:
            yield temporary
            os.replace(temporary, output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written: {error.strerror or error}") from error
