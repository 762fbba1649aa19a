"""The recurrent layers that a model can be made of, by the names that select them."""

from typing import Any

from nmt.layers.gru import GRU
from nmt.layers.lstm import LSTM
from nmt.layers.min_gru import MinGRU
from nmt.layers.simple_rnn import SimpleRNN
from nmt.layers.ssru import SSRU

CELLS: dict[str, type[Any]] = {"gru": GRU, "lstm": LSTM, "rnn": SimpleRNN, "min_gru": MinGRU, "ssru": SSRU}
