"""Train your own translator or language model: recurrent models in Keras, from plain text to a SavedModel."""

import importlib
import os
from typing import Any

# TensorFlow's start-up chatter is silenced unless asked for; this must be set before TensorFlow is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The layers compute with TensorFlow's own operations, whatever backend the user's Keras is set to.
os.environ["KERAS_BACKEND"] = "tensorflow"

__version__ = "0.1.0"

# The public API, and where it lives. Loaded on first use: TensorFlow takes seconds to import.
_PUBLIC = {
    "AdditiveAttention": "nmt.layers.attention",
    "Config": "nmt.config",
    "Decoder": "nmt.models.decoder",
    "DecodingSettings": "nmt.config",
    "DotAttention": "nmt.layers.attention",
    "Encoded": "nmt.models.encoder",
    "Encoder": "nmt.models.encoder",
    "GRU": "nmt.layers.gru",
    "GRUCell": "nmt.layers.gru",
    "LanguageModel": "nmt.models.language_model",
    "LSTM": "nmt.layers.lstm",
    "LSTMCell": "nmt.layers.lstm",
    "MinGRU": "nmt.layers.min_gru",
    "MinGRUCell": "nmt.layers.min_gru",
    "ModelSettings": "nmt.config",
    "MultiHeadAttention": "nmt.layers.attention",
    "SSRU": "nmt.layers.ssru",
    "SSRUCell": "nmt.layers.ssru",
    "Seq2Seq": "nmt.models.seq2seq",
    "SimpleRNN": "nmt.layers.simple_rnn",
    "SimpleRNNCell": "nmt.layers.simple_rnn",
    "TiedEmbedding": "nmt.layers.embedding",
    "Translator": "nmt.inference.translator",
    "UserError": "nmt.utils.errors",
    "beam_search": "nmt.decoding.beam_search",
    "evaluate": "nmt.evaluation.metrics",
    "load_config": "nmt.config",
    "load_language_model": "nmt.runs.language_models",
    "load_translator": "nmt.runs.translation",
    "train": "nmt.training.train",
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605 (all of them strings)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
