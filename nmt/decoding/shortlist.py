"""A vocabulary shortlist: the target tokens that a source sentence may need, from alignments of the training data.

Scoring the whole vocabulary is most of a search's arithmetic; a sentence needs a few hundred tokens of it (Jean et al.
2015, section 3.2.2; L'Hostis et al. 2016).
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nmt.constants import END, PADDING
from nmt.models.seq2seq import Seq2Seq

Array = NDArray[Any]

FREQUENT = 500  # tokens that every sentence may need
_WEAKEST = 0.05  # attention below it aligns nothing


class Shortlist(NamedTuple):
    """Which target tokens a source sentence may need: those of its tokens, and some always."""

    of_token: Array  # int32 [source vocabulary, tokens], filled up with the end mark
    always: Array  # boolean [target vocabulary]


def make_shortlist(
    model: Seq2Seq, batches: Iterable[tuple[tf.Tensor, tf.Tensor]], sizes: tuple[int, int], tokens: int, least: int = 1
) -> Shortlist:
    """Counts which target tokens a model's attention aligns to each source token.

    Args:
        model: a trained model.
        batches: pairs of int32 `[batch, time]`, source and target ids of the training data, padded with zeros.
        sizes: of the source and the target vocabulary.
        tokens: the target tokens kept of each source token. Where both share a vocabulary, a token may besides stand
            for itself.
        least: how many tokens every sentence must be left with.

    Returns:
        The shortlist.
    """
    ids = tf.TensorSpec((None, None), tf.int32)

    attend = tf.function(model.attention_weights, input_signature=[ids, ids], autograph=False)

    source_size, target_size = sizes
    keys: Array = np.zeros(0, np.int64)
    weights: Array = np.zeros(0)
    frequency = np.zeros(target_size, np.int64)
    for batch in batches:
        attention = attend(*batch).numpy()
        source, target = (ids.numpy().astype(np.int64) for ids in batch)
        frequency += np.bincount(target[target != PADDING], minlength=target_size)
        real = (attention > _WEAKEST) & (target != PADDING)[:, :, None] & (source != PADDING)[:, None, :]
        of_batch = (source[:, None, :] * target_size + target[:, :, None])[real]
        keys, places = np.unique(np.concatenate([keys, of_batch]), return_inverse=True)
        weights = np.bincount(places, np.concatenate([weights, attention[real]]))

    of_token = np.full((source_size, tokens + 1), END, np.int32)
    if source_size == target_size:
        of_token[:, tokens] = np.arange(source_size)
    order = np.lexsort((-weights, keys // target_size))  # by source token, the best aligned first
    sources, targets = np.divmod(keys[order], target_size)
    rank = np.arange(len(sources)) - np.searchsorted(sources, sources)
    kept = rank < tokens
    of_token[sources[kept], rank[kept]] = targets[kept]

    always = np.zeros(target_size, bool)
    always[np.argsort(-frequency, kind="stable")[: max(FREQUENT, least)]] = True
    always[: END + 1] = True  # so that the end mark keeps its place
    return Shortlist(of_token, always)


class Candidates(NamedTuple):
    """The target tokens that the sentences of a batch may need."""

    tokens: tf.Tensor  # int32 [candidates], ascending, the first ones the special tokens
    allowed: tf.Tensor  # boolean [batch, candidates]


def candidates(shortlist: Shortlist, source: tf.Tensor) -> Candidates:
    """Looks up a batch's tokens; each sentence is allowed its own alone, so that batching changes nothing.

    Args:
        shortlist: of the model, as tensors.
        source: padded ids, int32 `[batch, time]`.
    """
    own = tf.gather(shortlist.of_token, source)
    row = tf.broadcast_to(tf.range(tf.shape(source)[0])[:, None, None], tf.shape(own))
    places = tf.stack([tf.reshape(row, (-1,)), tf.reshape(own, (-1,))], 1)
    nothing = tf.zeros((tf.shape(source)[0], shortlist.always.shape[0]), tf.bool)
    allowed = tf.tensor_scatter_nd_update(nothing, places, tf.ones_like(places[:, 0], tf.bool)) | shortlist.always
    tokens = tf.where(tf.reduce_any(allowed, 0))[:, 0]
    return Candidates(tf.cast(tokens, tf.int32), tf.gather(allowed, tokens, axis=1))
