"""Keras layers that anyone can use alone: recurrent cells and layers, attention, embeddings, dropout."""
# ruff: noqa: E402

from nmt.utils.backend import load_backend

load_backend()  # before the layers import Keras: quietly, and with an error that names a backend they cannot use

from nmt.layers.attention import AdditiveAttention, DotAttention, MultiHeadAttention, make_attention
from nmt.layers.cells import CELLS
from nmt.layers.cross_entropy import summed_losses
from nmt.layers.dropout import Dropout, EmbeddingDropout
from nmt.layers.embedding import TiedEmbedding
from nmt.layers.gru import GRU, GRUCell
from nmt.layers.lstm import LSTM, LSTMCell
from nmt.layers.min_gru import MinGRU, MinGRUCell
from nmt.layers.recurrent import Recurrent, RecurrentCell
from nmt.layers.scan import linear_scan, log_space_scan
from nmt.layers.simple_rnn import SimpleRNN, SimpleRNNCell
from nmt.layers.ssru import SSRU, SSRUCell

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "SSRU",
    "AdditiveAttention",
    "DotAttention",
    "Dropout",
    "EmbeddingDropout",
    "GRUCell",
    "LSTMCell",
    "MinGRU",
    "MinGRUCell",
    "MultiHeadAttention",
    "Recurrent",
    "RecurrentCell",
    "SSRUCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "TiedEmbedding",
    "linear_scan",
    "log_space_scan",
    "make_attention",
    "summed_losses",
]
