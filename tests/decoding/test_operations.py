"""A step of the search is as few operations as it was: most of its time goes to small operations, not to arithmetic.

The numbers are of TensorFlow's operations in the body of the search's loop, those of branches included, before anything
optimises the graph. Whoever makes a step smaller lowers them.
"""

import pytest
import tensorflow as tf

from nmt.config import DecodingSettings
from nmt.decoding.beam_search import beam_search
from nmt.decoding.constraints import SymbolConstraint
from nmt.decoding.repetition import RepetitionConstraint
from nmt.models.seq2seq import Seq2Seq

VOCABULARY = 2048
BASE = {"units": 192, "num_layers": 2}
STUDENT = {"units": 128, "encoder_layers": 2, "decoder_layers": 1, "decoder_cell": "ssru", "attention": "dot"}
FREE = {"Const", "Identity", "NoOp", "_Arg", "_Retval"}  # take no time


def step_of(graph):
    """The operations of the loop's body that multiplies by the vocabulary, and of the branches in it, by name."""
    library = {function.signature.name: function.node_def for function in graph.library.function}

    def called(node):
        return [attribute.func.name for attribute in node.attr.values() if attribute.func.name in library]

    def operations(name):
        for node in library[name]:
            if node.op not in FREE:
                yield node.op
            for inner in called(node):
                yield from operations(inner)

    bodies = {node.attr["body"].func.name for nodes in library.values() for node in nodes if node.op.endswith("While")}
    steps = [list(operations(body)) for body in bodies]
    return max((step for step in steps if "MatMul" in step and not any(op.endswith("While") for op in step)), key=len)


@pytest.mark.parametrize(
    ("shape", "beam", "constrained", "most"),
    [
        (BASE, 1, False, 194),
        (BASE, 5, False, 233),
        (BASE, 5, True, 375),
        (STUDENT, 1, False, 119),
        (STUDENT, 1, True, 253),
    ],
)
def test_a_step_gains_no_operation(shape, beam, constrained, most):
    model = Seq2Seq(VOCABULARY, **shape)
    constraints = [SymbolConstraint(4, 10, 3, 14), RepetitionConstraint(tuple(range(4, 14)))] if constrained else []
    search = DecodingSettings(beam_size=beam).search_arguments()

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def translate(source):
        return beam_search(model, source, constraints, **search).ids

    operations = step_of(translate.get_concrete_function().graph.as_graph_def())
    assert len(operations) <= most, f"{len(operations)}: {sorted(operations)}"
