"""How much arithmetic a training step takes: the matrix products that it cannot do without."""

from nmt.layers.recurrent import RecurrentCell
from nmt.models.decoder import Decoder
from nmt.models.encoder import Encoder
from nmt.models.language_model import LanguageModel
from nmt.models.seq2seq import Seq2Seq
from nmt.models.token_model import TokenModel


def training_flops(model: TokenModel, sentences: float, source: float, target: float, pairs: float) -> float:
    """FLOPs of the matrix products of a training step, forward and backward.

    A product of `[n, i]` and `[i, o]` takes 2 n i o of them. Each product of the forward pass has two in the backward
    pass, the gradients of its two operands.

    Args:
        model: a `Seq2Seq` or `LanguageModel`.
        sentences: number of sentences of the batch.
        source: number of source tokens of the whole batch; a language model has none.
        target: number of target tokens of the whole batch.
        pairs: number of pairs of a target and a source token in the same sentence, over the whole batch.

    Returns:
        The number of multiplications and additions.

    Example:

    >>> model = Seq2Seq(8000, num_layers=1, attention="dot", layer_normalization=False)
    >>> round(training_flops(model, 100, 1200, 1300, 100 * 12 * 13) / 1300 / 1e6, 1)  # millions for a target token
    20.9
    >>> round(training_flops(LanguageModel(8000), 1, 0, 1, 0) / 1e6, 1)
    15.0
    """
    width = model.output_embedding.units
    output = target * width * model.output_embedding.vocabulary_size
    if isinstance(model, LanguageModel):
        forward = output + target * _decoder(model.decoder, width, 0)
    elif isinstance(model, Seq2Seq):
        encoder, decoder = model.encoder, model.decoder
        encoded = 2 * encoder.units
        bridges = decoder.num_layers * encoded * decoder.units * decoder.num_states
        of_source, of_target, of_pair, context = _attention(decoder, encoded)
        forward = (
            output
            + source * (_encoder(encoder, width) + of_source)
            + sentences * bridges
            + target * (_decoder(decoder, width, context) + of_target)
            + pairs * of_pair
        )
    else:
        raise TypeError(f"training_flops: expected a Seq2Seq or a LanguageModel, got {type(model).__name__}")
    return 2 * 3 * forward


def _encoder(encoder: Encoder, width: int) -> float:
    """Multiplications for each source token, in both directions."""
    gates, state = _gates(encoder.recurrent[0].forward_layer.cell)
    inputs = [width, *[2 * encoder.units] * (encoder.num_layers - 1)]
    return sum(2 * (one + state) * gates for one in inputs)


def _decoder(decoder: Decoder, width: int, context: int) -> float:
    """Multiplications for each target token, with a context of that width in the layers above and in the output."""
    gates, state = _gates(decoder.recurrent[0].cell)
    layers = (width + state) * gates + (decoder.num_layers - 1) * (decoder.units + context + state) * gates
    in_output = 0 if decoder.projects_values else context
    return layers + (decoder.units + in_output) * decoder.output_dim


def _attention(decoder: Decoder, encoded: int) -> tuple[float, float, float, int]:
    """Multiplications for each source token, target token and pair of both, and the context's width."""
    units = decoder.units
    if decoder.attention_kind == "multi_head":
        return 2 * encoded * units, 2 * units * units, 2 * units, units
    query = units * units if decoder.attention_kind == "additive" else 0
    if decoder.projects_values:
        return encoded * (units + decoder.output_dim), query, units + decoder.output_dim, encoded
    return encoded * units, query, units + encoded, encoded


def _gates(cell: RecurrentCell) -> tuple[int, int]:
    """Width of a cell's sums, and of the state that they read."""
    units = cell.units
    return cell.num_gates * units, units if cell.reads_state else 0
