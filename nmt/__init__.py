"""Train your own translator: GRU sequence-to-sequence models in Keras, from parallel text to a SavedModel."""

import os

# TensorFlow's start-up chatter is silenced unless asked for; this must be set before TensorFlow is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The layers compute with TensorFlow's own operations, whatever backend the user's Keras is set to.
os.environ["KERAS_BACKEND"] = "tensorflow"

__version__ = "0.1.0"
