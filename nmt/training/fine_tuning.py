"""Fine-tuning: a training that begins with another run's weights, whatever the vocabulary of either."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nmt.config import Config, differences
from nmt.constants import SIDES, Side
from nmt.data.token_store import Array
from nmt.data.vocabulary import find_in, load_tokenizers
from nmt.models.token_model import TokenModel
from nmt.runs.checkpoints import assign, load_arrays, named_weights
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.models import find_checkpoint
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError

_NOT_OF_SHAPE = (
    "model.dropout:", "model.variational_dropout:", "model.word_dropout:", "model.recurrent_dropout:",
    "model.longest_memory:",
)  # fmt: skip
_OF_SOURCE = ("model.encoder_layers:", "model.attention:", "model.attention_heads:")


def check_start(config: Config, folder: Path) -> None:
    """Makes sure, before any work, that a run can begin with the weights that `training.start_from` names.

    Args:
        config: the run's.
        folder: its folder. Once training has begun there, what it started from is not asked any more.

    Raises:
        UserError: if that is no run of the same task with a checkpoint, or its model is of another shape.
    """
    start = config.training.start_from
    if start is None or RunFolder(folder).last.exists():
        return
    base, old = load_run_config(start, config.task)
    find_checkpoint(base)
    free: tuple[str, ...] = _NOT_OF_SHAPE
    if config.task == "language_model":
        free += _OF_SOURCE
    elif config.model.attention != "multi_head":
        free += ("model.attention_heads:",)
    changed = [line for line in differences(old, config) if line.startswith("model.") and not line.startswith(free)]
    if changed:
        raise UserError(f"training.start_from: {start}: expected a model of the same shape, got {'; '.join(changed)}")


def start_weights(
    model: TokenModel, tokenizers: tuple[Tokenizer, Tokenizer], start: Path, message: Callable[[str], None]
) -> None:
    """Gives a model the weights of another run.

    Whether or not the vocabulary is another, a piece p of it has its old embedding, or, where the old vocabulary has
    no such piece, the mean of those of the pieces q into which the old tokenizer splits its text (Gee et al. 2022,
    "Fast Vocabulary Transfer for Language Model Compression"):

        e'(p) = 1 / |split(p)| * sum of e(q) for q in split(p)

    The same holds for what scores the output. All other weights are copied.

    Args:
        model: of the same shape but for the vocabulary.
        tokenizers: its own, of source and target.
        start: the run's folder, of which the same checkpoint is taken as by `load_model`.
        message: is given lines for people about what was taken over.

    Raises:
        UserError: if there is no such checkpoint, or it is of another model.
    """
    base, _ = load_run_config(start)
    path = find_checkpoint(base)
    arrays, _ = load_arrays(path)
    old = dict(zip(SIDES, load_tokenizers(base.data), strict=True))
    found = {side: find_in(old[side], new) for side, new in zip(SIDES, tokenizers, strict=True)}
    of_side: dict[str, Side] = {f"weights/{embedding.table.path}": side for side, embedding in model.embeddings()}
    for name, side in of_side.items():
        table = arrays.get(name)
        if table is None or len(table) != old[side].vocabulary_size:
            raise UserError(f"{path}: expected `{name}` of {old[side].vocabulary_size} pieces; it is of another model")
        arrays[name] = _mean_rows(table, found[side])
    assign(named_weights(model), arrays, path)
    message(f"beginning with the weights of {path}")
    joint = tokenizers[0] is tokenizers[1] and old["source"] is old["target"]
    for side, new in zip(SIDES[joint:], tokenizers[joint:], strict=True):
        size, kept = new.vocabulary_size, len({*new.pieces()} & {*old[side].pieces()})
        message(
            f"{'vocabulary' if joint else f'{side} vocabulary'}: {kept:,} of {size:,} pieces keep their embeddings, "
            f"{size - kept:,} are given the mean of others"
        )


def _mean_rows(table: Array, rows: list[list[int]]) -> Array:
    return np.stack([table[ids].mean(0, dtype=np.float64) for ids in rows]).astype(table.dtype)
