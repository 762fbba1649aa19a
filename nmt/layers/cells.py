"""The recurrent layers that a model can be made of, by the names that select them."""

from typing import Any

from nmt.layers.gru import GRU
from nmt.layers.lstm import LSTM
from nmt.layers.min_gru import MinGRU
from nmt.layers.recurrent import Recurrent
from nmt.layers.simple_rnn import SimpleRNN
from nmt.layers.ssru import SSRU

CELLS: dict[str, type[Any]] = {"gru": GRU, "lstm": LSTM, "rnn": SimpleRNN, "min_gru": MinGRU, "ssru": SSRU}


def make_recurrent(cell: str, units: int, **arguments: Any) -> Recurrent:
    """Makes a recurrent layer by the name of its cell.

    Args:
        cell: str, a key of `CELLS`.
        units: int, width of the state.
        **arguments: further arguments of the layer, such as `return_sequences`.

    Returns:
        The layer.

    Raises:
        ValueError: if there is no such cell, or it does not have one of the arguments.

    Example:

    >>> make_recurrent("gru", 8).cell.units
    8
    """
    if cell not in CELLS:
        raise ValueError(f"expected `cell` to be one of {', '.join(CELLS)}, got {cell!r}")
    return CELLS[cell](units, **arguments)
