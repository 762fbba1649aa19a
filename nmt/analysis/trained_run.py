"""Gradients through time within the translator of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nmt.analysis.gradients import Array, Curve, gradient_curves, state_gradients
from nmt.constants import Side
from nmt.data.batches import evaluation_batches
from nmt.data.token_store import TokenizedCorpus
from nmt.layers.recurrent import Recurrent
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.folder import load_run_config
from nmt.runs.models import load_model
from nmt.utils.progress import tracked

Batch = tuple[tf.Tensor, tf.Tensor]  # token ids of source and target, int32 [batch, time]


class MeasuredLayer(NamedTuple):
    """A recurrent layer, and the side of the sentence pair that it reads."""

    layer: Recurrent
    side: Side


def measured_layers(model: Seq2Seq) -> dict[str, MeasuredLayer]:
    """Returns the first layers of the decoder and of the encoder, in both directions, by name.

    Args:
        model: a translator.
    """
    encoder = model.encoder.recurrent[0]
    return {
        "decoder": MeasuredLayer(model.decoder.recurrent[0], "target"),
        "encoder, forward": MeasuredLayer(encoder.forward_layer, "source"),
        "encoder, backward": MeasuredLayer(encoder.backward_layer, "source"),
    }


def measure_run(run: str | Path, checkpoint: str | None = None) -> dict[str, dict[str, Curve]]:
    """Measures the gradients of a run's model on all its validation sentences.

    The loss is the cross-entropy of the last target token, the end mark, given the source and the tokens before it.

    Args:
        run: the run folder.
        checkpoint: name of the checkpoint: `best`, `last`, `averaged` or another. None for the averaged one if it
            exists, otherwise the best.

    Returns:
        For each of `measured_layers`, its `gradient_curves`. Distances are counted in real tokens from the last one
        that the layer reads: the last token, or for the backward encoder the first.

    Raises:
        UserError: if the run or the checkpoint does not exist.

    Example:

    >>> measure_run("runs/quickstart")["decoder"]["all"].median[0]  # doctest: +SKIP
    1.0
    """
    folder, config = load_run_config(Path(run))
    model, *_ = load_model(folder, config, checkpoint)
    layers = measured_layers(model)
    gradients_of = last_token_gradients(model, [layer for layer, _ in layers.values()])
    batches_by_layer: dict[str, list[tuple[list[Array], Array]]] = {name: [] for name in layers}
    for source, target in tracked(
        evaluation_batches(TokenizedCorpus.open(folder.data, "validation"), config.batches), "measuring"
    ):
        ids = {"source": source.numpy(), "target": target.numpy()}
        for (name, (layer, side)), gradients in zip(layers.items(), gradients_of((source, target)), strict=True):
            mask = ids[side] != 0
            arrays = [gradient.numpy() for gradient in gradients]
            if layer.go_backwards:  # so that time ends where the layer's reading ends
                mask, arrays = mask[:, ::-1], [array[:, ::-1] for array in arrays]
            batches_by_layer[name].append((arrays, mask))
    return {name: gradient_curves(*_concatenate(batches)) for name, batches in batches_by_layer.items()}


def last_token_gradients(model: Seq2Seq, layers: list[Recurrent]) -> Callable[[Batch], Any]:
    """Returns a graph function that computes `state_gradients` for the loss of each sentence's last token.

    Args:
        model: a translator.
        layers: recurrent layers of the model.

    Returns:
        A function from a batch of token ids, padded with zeros, to the gradients of each layer.
    """
    ids = tf.TensorSpec((None, None), tf.int32)

    @tf.function(input_signature=[(ids, ids)], autograph=False)
    def gradients(batch: Batch) -> Any:
        source, target = batch
        lengths = tf.reduce_sum(tf.cast(target != 0, tf.int32), 1)
        last = tf.maximum(lengths - 1, 0)  # a row of padding has no last token

        def loss() -> tf.Tensor:
            vectors = tf.gather(model.hidden(source, target, training=False), last, batch_dims=1)
            tokens = tf.gather(target, last, batch_dims=1)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, model.logits(vectors))
            return tf.where(lengths > 0, losses, 0)

        return state_gradients(layers, loss)

    return gradients


def _concatenate(batches: list[tuple[list[Array], Array]]) -> tuple[list[Array], Array]:
    """Concatenates the gradients of each state, and the masks, of all batches, padded at the end to one length."""
    longest = max(mask.shape[1] for _, mask in batches)

    def joined(parts: list[Array]) -> Array:
        widths = [[(0, 0), (0, longest - part.shape[1]), (0, 0)][: part.ndim] for part in parts]
        return np.concatenate([np.pad(part, width) for part, width in zip(parts, widths, strict=True)])

    arrays, masks = zip(*batches, strict=True)
    return [joined(list(parts)) for parts in zip(*arrays, strict=True)], joined(list(masks))
