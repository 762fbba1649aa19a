"""The search of a whole model: in every precision, and as compilers for accelerators want it."""

import keras
import pytest
import tensorflow as tf

from nmt.config import DecodingSettings, ModelSettings
from nmt.inference.text_to_text import search
from nmt.models.seq2seq import make_model


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_search_runs_in_every_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = make_model(ModelSettings(units=8, embedding=8), 300, 300, seed=1)
    finally:
        keras.config.set_dtype_policy("float32")
    found = tf.function(lambda source: search(model, source, DecodingSettings(beam_size=2)))(tf.constant([[5, 6, 3]]))
    assert found.ids.shape[:2] == (1, 2)
    assert found.scores.dtype == tf.float32


def test_all_sizes_are_known_from_the_shape_of_the_source_alone():
    model = make_model(ModelSettings(units=8, embedding=8), 300, 300, seed=1)

    @tf.function(jit_compile=True)
    def compiled(source):
        return search(model, source, DecodingSettings())

    # XLA refuses to lower what depends on values; here it is given none.
    program = compiled.experimental_get_compiler_ir(tf.TensorSpec((2, 5), tf.int32))(stage="hlo")
    assert "while" in program
