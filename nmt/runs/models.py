"""From a run's settings to its model, with random weights or those of a checkpoint."""

from pathlib import Path
from typing import Any

from nmt.config import Config
from nmt.data.vocabulary import load_tokenizers
from nmt.layers.cells import make_recurrent
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq
from nmt.models.token_model import TokenModel
from nmt.runs.checkpoints import assign, load_arrays, named_weights
from nmt.runs.data import check_identity
from nmt.runs.folder import RunFolder
from nmt.text.tokenizer import Tokenizer
from nmt.utils.errors import UserError

# The Keras dtype policy of each setting of precision. Weights, recurrent states and sums are float32 in all of them.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def check_model(config: Config) -> None:
    """Checks that there is a model of these settings, before any work starts.

    The settings do not know which cells there are, nor what each of them can do: the layers do.

    Raises:
        UserError: naming the argument of the layer that does not suit its cell.
    """
    settings = config.model
    options = {"recurrent_dropout": settings.recurrent_dropout, "longest_memory": settings.longest_memory}
    for name in ("cell", "decoder_cell"):
        try:
            make_recurrent(getattr(settings, name) or settings.cell, 1, **options)
        except ValueError as error:
            raise UserError(f"model: {str(error).replace('`cell`', f'`{name}`')}") from None


def build_model(config: Config, source: Tokenizer, target: Tokenizer, precision: str | None = None) -> TokenModel:
    """Builds the model that the settings describe, with random weights drawn from their seed.

    Args:
        config: the settings.
        source: tokenizer of the source language.
        target: tokenizer of the target language.
        precision: precision of the matrix products, a key of `POLICIES`; None for that of training.

    Returns:
        A `Seq2Seq`, or a `LanguageModel` of the target language.
    """
    return build_sized_model(config, source.vocabulary_size, target.vocabulary_size, precision)


def build_sized_model(config: Config, source_size: int, target_size: int, precision: str | None = None) -> TokenModel:
    """As `build_model`, from the sizes of the vocabularies alone.

    Args:
        config: the settings.
        source_size: int, the number of tokens of the source language.
        target_size: int, the number of tokens of the target language.
        precision: see `build_model`.
    """
    settings = config.model
    arguments: dict[str, Any] = {
        "units": settings.units,
        "cell": settings.cell,
        "embedding_dim": settings.embedding,
        "dropout": settings.dropout,
        "word_dropout": settings.word_dropout,
        "recurrent_dropout": settings.recurrent_dropout,
        "variational_dropout": settings.variational_dropout,
        "layer_normalization": settings.layer_normalization,
        "longest_memory": settings.longest_memory,
        "seed": config.seed,
        "dtype": POLICIES[precision or config.training.precision],
    }
    if config.task == "language_model":
        return LanguageModel(
            target_size,
            num_layers=settings.decoder_layers,
            tied_embeddings=settings.tied_embeddings != "none",
            **arguments,
        )
    return Seq2Seq(
        source_size,
        target_vocabulary_size=target_size,
        encoder_layers=settings.encoder_layers,
        decoder_layers=settings.decoder_layers,
        decoder_cell=settings.decoder_cell,
        attention=settings.attention,
        num_heads=settings.attention_heads,
        tied_embeddings=settings.tied_embeddings,
        **arguments,
    )


def load_model(
    run: RunFolder, config: Config, checkpoint: str | None = None, precision: str = "float32"
) -> tuple[Any, Tokenizer, Tokenizer]:
    """Loads the model of a run.

    Args:
        run: the run folder.
        config: its settings.
        checkpoint: name of the checkpoint; see `find_checkpoint`.
        precision: precision of the matrix products, a key of `POLICIES`, whichever the run was trained in.

    Returns:
        The model, a `Seq2Seq` or a `LanguageModel`, and the tokenizers of the source and the target language.

    Raises:
        UserError: if there is no such checkpoint, it cannot be read, or it was trained with other tokenizers.
    """
    path = find_checkpoint(run, checkpoint)
    arrays, state = load_arrays(path)
    check_identity(run, path, state, with_data=False)
    source, target = load_tokenizers(run.data, config.tokenizer.placeholders)
    model = build_model(config, source, target, precision)
    assign(named_weights(model), arrays, path)
    return model, source, target


def find_checkpoint(run: RunFolder, checkpoint: str | None = None) -> Path:
    """Finds the file of a checkpoint.

    Args:
        run: the run folder.
        checkpoint: `best`, `last`, `averaged` or `step-…`; None for the averaged one if it exists, otherwise the best.

    Raises:
        UserError: if there is none; the message names those that exist.
    """
    if checkpoint is None:
        checkpoint = "averaged" if run.averaged.exists() else "best"
    path = run.checkpoint(checkpoint)
    if not path.exists():
        have = sorted(path.stem for path in path.parent.glob("[!.]*.npz"))
        raise UserError(f"{run.path}: has no checkpoint `{checkpoint}`; it has {', '.join(have) or 'none yet'}")
    return path
