"""Initial embeddings from the corpus: tokens that occur in the same sentence pairs begin with similar vectors.

In a small corpus, or a short training, most of what embeddings learn is which words are translations of each other.
Counting tells it in seconds, and training goes on from there (benchmarks/neighbours.py).
"""

import numpy as np
import numpy.typing as npt

from nmt.data.token_store import Array, TokenizedCorpus
from nmt.layers.seeds import derive_seed
from nmt.models.seq2seq import Seq2Seq
from nmt.training.distribution import Distribution

_MOST_PAIRS = 50_000  # evenly spaced in a larger corpus
_MOST_TOKENS = 8_000  # the most frequent ones; a table of their pairs takes 256 MB
_PAIRS_AT_ONCE = 100
_ITERATIONS = 4
_MORE = 32  # vectors that the iteration carries along, so that the last of those wanted come out nearer

Floats = npt.NDArray[np.float32]


def start_embeddings(model: Seq2Seq, source: npt.ArrayLike, target: npt.ArrayLike, seed: int = 1) -> None:
    """Lets the embeddings of a new model begin near their translations; see `embed_by_cooccurrence`.

    A table that both languages share counts their tokens together. Otherwise each language has tokens of its own, even
    where both have one vocabulary. Tokens that do not occur keep their embeddings.

    Args:
        model: `nmt.Seq2Seq`, before `fit`.
        source: integers `[n, source time]`, the training sentences as for `fit`: token ids, then zeros.
        target: integers `[n, target time]`, the same for the target.
        seed: int, from which random numbers are drawn.

    Raises:
        ValueError: if these are no two tables of ids of the model's vocabularies with as many rows.

    Example:

    >>> source, target = np.array([[4, 5, 3], [6, 5, 3], [4, 3, 0]]), np.array([[7, 8, 3], [9, 8, 3], [7, 3, 0]])
    >>> model = Seq2Seq(vocabulary_size=10, units=8, num_layers=1, seed=1)
    >>> start_embeddings(model, source, target)
    >>> table = model.source_embedding.table.numpy()
    >>> [int((table[word] @ table[7:10].T).argmax()) + 7 for word in (4, 5, 6)]  # the nearest of the other language
    [7, 8, 9]
    """
    corpus = TokenizedCorpus.of_arrays(source, target)
    sizes = (model.source_embedding.vocabulary_size, model.target_embedding.vocabulary_size)
    for ids, size in zip((corpus.source_ids, corpus.target_ids), sizes, strict=True):
        if ids.size and not 0 < ids.min() <= ids.max() < size:
            raise ValueError(f"expected ids from 0 to {size - 1}, got some from {ids.min()} to {ids.max()}")
    start_from_corpus(model, corpus, seed, Distribution())


def start_from_corpus(model: Seq2Seq, corpus: TokenizedCorpus, seed: int, distribution: Distribution) -> None:
    """`start_embeddings` for the data of a run.

    Args:
        model: the model.
        corpus: its training data.
        seed: int, from which random numbers are drawn.
        distribution: the workers of the training. The chief counts for all of them.
    """
    joint = model.source_embedding is model.target_embedding
    shift = 0 if joint else model.source_embedding.vocabulary_size
    size, units = shift + model.target_embedding.vocabulary_size, model.target_embedding.units

    def vectors() -> list[float]:
        embedded = embed_by_cooccurrence(corpus, shift, size, units, derive_seed(seed, "initial_embeddings"))
        return embedded.ravel().tolist()

    embedded = np.array(distribution.run_on_chief(vectors, size * units), np.float32).reshape(size, units)
    for side, embedding in {one.table.path: (side, one) for side, one in model.embeddings()}.values():
        first = shift if side == "target" else 0
        rows = embedded[first : first + embedding.vocabulary_size]
        embedding.table.assign(np.where(rows.any(1, keepdims=True), rows, embedding.table.numpy()))


def embed_by_cooccurrence(corpus: TokenizedCorpus, shift: int, size: int, units: int, seed: int | None) -> Floats:
    """Computes vectors of tokens from the sentence pairs that they occur in.

    With T(p) the different tokens of both sentences of pair p, C counts how often tokens i and j occur in the same
    pair, short pairs counting more. M is their positive pointwise mutual information, and the rows of E are, but for
    the mean of all rows and their lengths, those of its best approximation of rank `units`:

        C_ij = sum over p with i, j in T(p) of 1 / |T(p)|,    c_i = sum over j of C_ij
        M_ij = max(0, log(C_ij * sum(c) / (c_i * c_j))) ~ U diag(s) U^T
        E = U diag(sqrt(s)) R

    R is a random rotation, so that the first components, which say most, are spread over all units. Every row has
    length 1, as it has on average where embeddings begin at random.

    Args:
        corpus: the sentence pairs. Of more than 50,000, evenly spaced ones are counted.
        shift: int, what is added to target ids; 0 if both languages share their vectors.
        size: int, number of ids, shifted ones included.
        units: int, width of a vector.
        seed: int or None, from which random numbers are drawn.

    Returns:
        float32 `[size, units]`. The rows of padding, of tokens that do not occur, and of all but the 8,000 most
        frequent are zero.

    Example:

    >>> ids, offsets = np.array([5, 6, 7, 6]), np.array([0, 1, 2, 3, 4])
    >>> same, other = np.array([8, 9, 8, 9]), np.ones(4, int)
    >>> corpus = TokenizedCorpus(ids, offsets, other, same, offsets, other)
    >>> vectors = embed_by_cooccurrence(corpus, shift=0, size=10, units=4, seed=1)
    >>> bool(vectors[6] @ vectors[9] > 0.9), bool(vectors[6] @ vectors[8] < 0.1)  # 6 is translated by 9
    (True, True)

    Reference:
        [Levy and Goldberg 2014](https://papers.nips.cc/paper/5477), for the matrix and its factors;
        [Levy et al. 2017](https://arxiv.org/abs/1608.05426), for sentence pairs as what tokens of two languages share.
    """
    sampled = np.unique(np.linspace(0, len(corpus) - 1, min(len(corpus), _MOST_PAIRS)).astype(np.int64))
    lengths = corpus.source_lengths[sampled] + corpus.target_lengths[sampled]
    sampled = sampled[np.argsort(lengths, kind="stable")]  # so that rows counted at once are of about one length

    def tokens_of(pairs: Array) -> Array:
        """The different tokens of each pair, `[pairs, most tokens]`; zeros fill the rows."""
        widths = int(corpus.source_lengths[pairs].max()), int(corpus.target_lengths[pairs].max())
        source, target = corpus.gather(pairs, *widths)
        rows = np.sort(np.concatenate([source, np.where(target > 0, target + shift, 0)], 1), 1)
        rows[:, 1:][rows[:, 1:] == rows[:, :-1]] = 0
        return rows

    def chunks() -> list[Array]:
        return np.array_split(sampled, -(-len(sampled) // _PAIRS_AT_ONCE))

    counts = np.zeros(size, np.int64)
    for pairs in chunks():
        counts += np.bincount(tokens_of(pairs).ravel(), minlength=size)
    counts[0] = 0
    frequent = np.sort(np.argsort(-counts, kind="stable")[: min(_MOST_TOKENS, np.count_nonzero(counts))])
    index = np.zeros(size, np.int64)  # 0 for all other tokens, as for padding
    index[frequent] = 1 + np.arange(len(frequent))
    wide = len(frequent) + 1
    together = np.zeros(wide * wide, np.float32)
    for pairs in chunks():
        rows = index[tokens_of(pairs)]
        share = 1 / np.maximum(np.count_nonzero(rows, 1), 1).astype(np.float32)
        places = rows[:, :, None] * wide + rows[:, None, :]
        np.add.at(together, places.ravel(), np.repeat(share, rows.shape[1] ** 2))
    vectors = np.zeros((size, units), np.float32)
    vectors[frequent] = _factors(_information(together.reshape(wide, wide)[1:, 1:]), units, seed)
    return vectors


def _information(together: Floats) -> Floats:
    """Positive pointwise mutual information of a symmetric matrix of counts, row by row to spare memory."""
    total = together.sum(0)
    information = np.zeros_like(together)
    for row, counted, own in zip(information, together, total, strict=True):
        found = np.flatnonzero(counted)
        row[found] = np.maximum(np.log(counted[found] * total.sum() / (own * total[found])), 0)
    return information


def _factors(matrix: Floats, units: int, seed: int | None) -> Floats:
    """Rows of length 1 whose products approximate a symmetric matrix, by subspace iteration (Halko et al. 2011)."""
    if not matrix.any():  # every token is in every pair: nothing can be said of any
        return np.zeros((len(matrix), units), np.float32)
    random = np.random.default_rng(seed)
    basis = random.standard_normal((len(matrix), min(units + _MORE, len(matrix)))).astype(np.float32)
    for _ in range(_ITERATIONS):
        basis = _orthonormal(matrix @ basis)
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    largest = np.argsort(-values)[:units]
    rows = basis @ vectors[:, largest] * np.sqrt(np.maximum(values[largest], 0))
    rows -= rows.mean(0)
    rotation, _ = np.linalg.qr(random.standard_normal((units, units)).astype(np.float32))
    rows = rows @ rotation[: rows.shape[1]]
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of what columns span, without directions that are rounding alone.

    A QR decomposition takes several times as long: its steps are no large products.
    """
    values, vectors = np.linalg.eigh(columns.T.astype(np.float64) @ columns)
    clear = values > 1e-9 * values[-1]
    return (columns @ (vectors[:, clear] / np.sqrt(values[clear]))).astype(np.float32)
