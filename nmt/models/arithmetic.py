"""How much arithmetic a training step takes: the matrix products that it cannot do without."""

from nmt.config import ModelSettings
from nmt.layers.cells import CELLS


def training_operations(
    settings: ModelSettings, vocabulary: int, sentences: float, source: float, target: float, pairs: float
) -> float:
    """Multiplications and additions in the matrix products of a training step, forward and backward.

    Each product of the forward pass has two in the backward pass, the gradients of its two operands.

    Args:
        settings: the model's shape.
        vocabulary: number of target tokens.
        sentences: of the batch.
        source: source tokens of the whole batch.
        target: target tokens of the whole batch.
        pairs: of a target and a source token in the same sentence, over the whole batch.

    Example:

    >>> operations = training_operations(ModelSettings(), 8000, 100, 1200, 1300, 100 * 12 * 13)
    >>> round(operations / 1300 / 1e6, 1)  # millions for a target token
    20.9
    """
    embedding, units = settings.embedding, settings.units
    cell, both = CELLS[settings.cell].cell_class, 2 * units
    gates, state = cell.gates * units, units if cell.reads_state else 0
    encoder = 0.0
    for index in range(settings.encoder_layers):
        inputs = both if index else embedding
        encoder += 2 * (inputs + state) * gates  # in both directions
    bridges = settings.decoder_layers * both * units * cell.states
    decoder = (embedding + state) * gates + (units + both) * embedding + embedding * vocabulary
    context = both
    match settings.attention:
        case "dot":
            keys, query, scores = both * units, 0, units
        case "additive":
            keys, query, scores = both * units, units * units, units
        case "multi_head":
            keys, query, scores = 2 * both * units, 2 * units * units, units
            context = units
            decoder -= (both - units) * embedding
    if settings.decoder_layers == 1 and settings.attention != "multi_head":  # see `Decoder.begin`
        keys += both * embedding
        decoder -= both * embedding
        context = embedding
    decoder += (settings.decoder_layers - 1) * (units + context + state) * gates
    forward = source * (encoder + keys) + sentences * bridges + target * (decoder + query) + pairs * (scores + context)
    return 2 * 3 * forward


def language_model_operations(settings: ModelSettings, vocabulary: int, tokens: float) -> float:
    """`training_operations` of a language model.

    Args:
        settings: the model's shape.
        vocabulary: number of tokens.
        tokens: of the whole batch.

    Example:

    >>> round(language_model_operations(ModelSettings(), 8000, 1) / 1e6, 1)  # millions for a token
    15.0
    """
    embedding, units = settings.embedding, settings.units
    cell = CELLS[settings.cell].cell_class
    gates, state = cell.gates * units, units if cell.reads_state else 0
    layers = (embedding + state) * gates + (settings.decoder_layers - 1) * (units + state) * gates
    return 2 * 3 * tokens * (layers + units * embedding + embedding * vocabulary)
