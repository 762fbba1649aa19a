"""Train your own translator or language model: recurrent models in Keras, from plain text to a SavedModel."""

import importlib
import importlib.abc
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

__version__ = "0.1.0"

# The public API, and where it lives. Loaded on first use: TensorFlow takes seconds to import.
_PUBLIC = {
    "AdditiveAttention": "nmt.layers.attention",
    "CELLS": "nmt.layers.cells",
    "Config": "nmt.config",
    "Decoder": "nmt.models.decoder",
    "DotAttention": "nmt.layers.attention",
    "Dropout": "nmt.layers.dropout",
    "Encoder": "nmt.models.encoder",
    "EnsembleScorer": "nmt.decoding.scorers",
    "FusedScorer": "nmt.decoding.scorers",
    "GRU": "nmt.layers.gru",
    "GRUCell": "nmt.layers.gru",
    "LSTM": "nmt.layers.lstm",
    "LSTMCell": "nmt.layers.lstm",
    "LanguageModel": "nmt.models.language_model",
    "MinGRU": "nmt.layers.min_gru",
    "MinGRUCell": "nmt.layers.min_gru",
    "ModelScorer": "nmt.decoding.scorers",
    "MultiHeadAttention": "nmt.layers.attention",
    "NoRepeatConstraint": "nmt.decoding.constraints",
    "PrefixConstraint": "nmt.decoding.constraints",
    "Recurrent": "nmt.layers.recurrent",
    "RecurrentCell": "nmt.layers.recurrent",
    "RepetitionConstraint": "nmt.decoding.repetition",
    "SSRU": "nmt.layers.ssru",
    "SSRUCell": "nmt.layers.ssru",
    "Seq2Seq": "nmt.models.seq2seq",
    "SimpleRNN": "nmt.layers.simple_rnn",
    "SimpleRNNCell": "nmt.layers.simple_rnn",
    "StepResult": "nmt.layers.recurrence",
    "SymbolConstraint": "nmt.decoding.constraints",
    "TagConstraint": "nmt.decoding.tags",
    "TiedEmbedding": "nmt.layers.embedding",
    "Tokenizer": "nmt.text.tokenizer",
    "Translator": "nmt.inference.translator",
    "Truecaser": "nmt.text.truecaser",
    "UserError": "nmt.utils.errors",
    "beam_search": "nmt.decoding.beam_search",
    "evaluate": "nmt.evaluation.metrics",
    "load_config": "nmt.config",
    "load_language_model": "nmt.runs.language_models",
    "load_translator": "nmt.runs.translation",
    "make_sampler": "nmt.decoding.sampling",
    "start_embeddings": "nmt.training.initial_embeddings",
    "train": "nmt.training.train",
    "train_tokenizer": "nmt.text.tokenizer",
    "train_truecaser": "nmt.text.truecaser",
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605 (all of them strings)

_WITHOUT_TENSORFLOW = ("nmt.config", "nmt.evaluation", "nmt.utils")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    module = _PUBLIC[name]
    if not module.startswith(_WITHOUT_TENSORFLOW):
        importlib.import_module("nmt.utils.backend").load_backend()
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])


class _WithKeras(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Registers the layers and models with Keras as soon as Keras is imported.

    `keras.saving.load_model` builds only what has been registered. In a program that says no more than `import nmt`,
    the classes are not even imported, so that saved models could not be loaded.
    """

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Steps in for Keras itself."""
        spec = PathFinder.find_spec(fullname, path) if fullname == "keras" else None
        if spec is not None and spec.loader is not None:
            self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> Any:
        """Leaves it to Keras's own loader."""
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Runs Keras, and then registers; that is done once."""
        sys.meta_path.remove(self)
        module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        _register(module)


def _register(keras: Any) -> None:
    """Imports what registers itself; with another backend there is nothing to register."""
    if keras.config.backend() == "tensorflow":
        for module in ("nmt.models.seq2seq", "nmt.models.language_model"):
            importlib.import_module(module)


if sys.modules.get("keras"):
    _register(sys.modules["keras"])
else:
    sys.meta_path.insert(0, _WithKeras())
