"""The search of a whole model: in every precision, and as compilers for accelerators want it."""

import pytest
import tensorflow as tf

from nmt.decoding.beam_search import beam_search
from nmt.models.seq2seq import Seq2Seq


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_search_runs_in_every_precision(policy):
    model = Seq2Seq(300, units=8, seed=1, dtype=policy)
    found = tf.function(lambda source: beam_search(model, source, beam_size=2), autograph=False)(
        tf.constant([[5, 6, 3]])
    )
    assert found.ids.shape[:2] == (1, 2)
    assert found.scores.dtype == tf.float32


def test_all_sizes_are_known_from_the_shape_of_the_source_alone():
    model = Seq2Seq(300, units=8, seed=1)
    compiled = tf.function(lambda source: beam_search(model, source), jit_compile=True, autograph=False)
    # XLA refuses to lower what depends on values; here it is given none.
    program = compiled.experimental_get_compiler_ir(tf.TensorSpec((2, 5), tf.int32))(stage="hlo")
    assert "while" in program
