"""Fine-tuning: a training that begins with another run's weights, even with another vocabulary."""

import logging
from pathlib import Path

import numpy as np

from nmt.config import Config, differences
from nmt.constants import SIDES, Side
from nmt.data.token_store import Array
from nmt.data.vocabulary import find_in, load_tokenizers
from nmt.models.token_model import TokenModel
from nmt.runs.checkpoints import assign, load_arrays, named_weights
from nmt.runs.data import check_identity
from nmt.runs.folder import RunFolder, load_run_config
from nmt.runs.models import find_checkpoint
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError

_LOG = logging.getLogger(__name__)

# Settings that change no weight's shape, and settings that a language model ignores.
_SHAPELESS = (
    "model.dropout:", "model.variational_dropout:", "model.word_dropout:", "model.recurrent_dropout:",
    "model.longest_memory:",
)  # fmt: skip
_FOR_SOURCES = ("model.encoder_layers:", "model.attention:", "model.attention_heads:")


def check_start(config: Config, run: str | Path) -> None:
    """Makes sure, before any work, that a run can begin with the weights that `training.start_from` names.

    Args:
        config: the settings of the run.
        run: the run folder. Once training has begun there, nothing is checked any more.

    Raises:
        UserError: if `training.start_from` is not a run of the same task with a checkpoint, or its model has another
            shape.
    """
    start = config.training.start_from
    if start is None or RunFolder(Path(run)).last.exists():
        return
    base, old = load_run_config(start, config.task)
    find_checkpoint(base)
    free: tuple[str, ...] = _SHAPELESS
    if config.task == "language_model":
        free += _FOR_SOURCES
    elif config.model.attention != "multi_head":
        free += ("model.attention_heads:",)
    changed = [line for line in differences(old, config) if line.startswith("model.") and not line.startswith(free)]
    if changed:
        raise UserError(f"training.start_from: {start}: expected a model of the same shape, got {'; '.join(changed)}")


def start_weights(model: TokenModel, tokenizers: tuple[Tokenizer, Tokenizer], start: str | Path) -> None:
    """Gives a model the weights of another run.

    A piece p that the old vocabulary has too gets its old embedding. Any other piece gets the mean of the embeddings of
    the pieces q into which the old tokenizer splits its text (Gee et al. 2022, "Fast Vocabulary Transfer for Language
    Model Compression"):

        e'(p) = 1 / |split(p)| * sum of e(q) for q in split(p)

    The same holds for the output embeddings. All other weights are copied. What was done is logged.

    Args:
        model: the model, of the same shape except for the vocabulary.
        tokenizers: its tokenizers of source and target.
        start: the other run's folder. Its averaged checkpoint is taken if it exists, otherwise the best.

    Raises:
        UserError: if there is no such checkpoint, or it is of another model or of other tokenizers.
    """
    base, _ = load_run_config(start)
    path = find_checkpoint(base)
    arrays, state = load_arrays(path)
    check_identity(base, path, state, with_data=False)
    old = dict(zip(SIDES, load_tokenizers(base.data), strict=True))
    found = {side: find_in(old[side], new) for side, new in zip(SIDES, tokenizers, strict=True)}
    tables: dict[str, Side] = {f"weights/{embedding.table.path}": side for side, embedding in model.embeddings()}
    for name, side in tables.items():
        table = arrays.get(name)
        if table is None or len(table) != old[side].vocabulary_size:
            raise UserError(f"{path}: expected `{name}` of {old[side].vocabulary_size} pieces; it is of another model")
        arrays[name] = _mean_rows(table, found[side])
    assign(named_weights(model), arrays, path)
    _LOG.info("beginning with the weights of %s", path)
    joint = tokenizers[0] is tokenizers[1] and old["source"] is old["target"]
    for side, new in zip(SIDES[joint:], tokenizers[joint:], strict=True):
        size, common = new.vocabulary_size, len({*new.pieces()} & {*old[side].pieces()})
        _LOG.info(
            f"{'vocabulary' if joint else f'{side} vocabulary'}: {common:,} of {size:,} pieces keep their embeddings, "
            f"{size - common:,} are given the mean of others"
        )


def _mean_rows(table: Array, rows: list[list[int]]) -> Array:
    return np.stack([table[ids].mean(0, dtype=np.float64) for ids in rows]).astype(table.dtype)
