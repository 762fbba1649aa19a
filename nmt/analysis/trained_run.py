"""The gradients within a translator that a user has trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nmt.analysis.gradients import Array, Curve, curves, state_gradients
from nmt.constants import SIDES, Side
from nmt.data.batches import evaluation_batches
from nmt.data.token_store import TokenizedCorpus
from nmt.layers.recurrent import Recurrent
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.folder import load_model, load_run_config
from nmt.utils.progress import tracked


class Layer(NamedTuple):
    """A layer over time, and the side of the sentence pair that it reads."""

    layer: Recurrent
    side: Side


def measured_layers(model: Seq2Seq) -> dict[str, Layer]:
    """The first layers of a translator: of its decoder, and of its encoder in both directions."""
    encoder = model.encoder.recurrent[0]
    return {
        "decoder": Layer(model.decoder.recurrent[0], "target"),
        "encoder, forward": Layer(encoder.forward_layer, "source"),
        "encoder, backward": Layer(encoder.backward_layer, "source"),
    }


def measure_run(path: Path, checkpoint: str | None) -> dict[str, dict[str, Curve]]:
    """Takes the gradients of a run's model on all validation sentences.

    The loss is that of the last target token, the end mark, given the source and all target tokens before it.

    Args:
        path: the run folder.
        checkpoint: see `load_model`.

    Returns:
        For each of `measured_layers` the curves of its states. Distances are steps of the layer: in the decoder back
        from the last token, in the encoder from where the layer ends its reading, for the backward layer the first
        source token. Only real tokens count.

    Raises:
        UserError: if there is no such run or checkpoint.
    """
    run, config = load_run_config(path)
    model, *_ = load_model(run, config, checkpoint)
    layers = measured_layers(model)
    gradients_of = last_token_gradients(model, [layer for layer, _ in layers.values()])
    found: dict[str, list[tuple[list[Array], Array]]] = {name: [] for name in layers}
    batches = evaluation_batches(TokenizedCorpus.open(run.data, "validation"), config.batches)
    for batch in tracked(batches, "measuring"):
        for (name, (layer, side)), gradients in zip(layers.items(), gradients_of(batch), strict=True):
            mask = batch[SIDES.index(side)].numpy() != 0
            values = [gradient.numpy() for gradient in gradients]
            if layer.go_backwards:  # distances are counted to the end of the layer's reading
                mask, values = mask[:, ::-1], [value[:, ::-1] for value in values]
            found[name].append((values, mask))
    return {name: curves(*_together(batches)) for name, batches in found.items()}


def last_token_gradients(model: Seq2Seq, layers: list[Recurrent]) -> Callable[[tuple[tf.Tensor, tf.Tensor]], Any]:
    """A function in the graph from a batch of padded ids to the `state_gradients` of each sentence's last token."""
    ids = tf.TensorSpec((None, None), tf.int32)

    @tf.function(input_signature=[(ids, ids)], autograph=False)
    def gradients(batch: tuple[tf.Tensor, tf.Tensor]) -> Any:
        target = batch[1]
        lengths = tf.reduce_sum(tf.cast(target != 0, tf.int32), 1)
        last = tf.maximum(lengths - 1, 0)  # of a row of padding nothing counts

        def loss() -> tf.Tensor:
            outputs = tf.gather(model(batch, training=False), last, batch_dims=1)
            tokens = tf.gather(target, last, batch_dims=1)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, model.logits(outputs))
            return tf.where(lengths > 0, losses, 0)

        return state_gradients(layers, loss)

    return gradients


def _together(batches: list[tuple[list[Array], Array]]) -> tuple[list[Array], Array]:
    """Gradients of each state, and the masks, of all batches, padded at the end to the same length."""
    longest = max(mask.shape[1] for _, mask in batches)

    def joined(parts: list[Array]) -> Array:
        widths = [[(0, 0), (0, longest - part.shape[1]), (0, 0)][: part.ndim] for part in parts]
        return np.concatenate([np.pad(part, width) for part, width in zip(parts, widths, strict=True)])

    values, masks = zip(*batches, strict=True)
    return [joined(list(parts)) for parts in zip(*values, strict=True)], joined(list(masks))
