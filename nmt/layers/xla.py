"""Whether XLA compiles the function that is being traced."""

import tensorflow as tf
from tensorflow.python.ops import control_flow_util  # TensorFlow has no public way to ask


def inside_xla() -> bool:
    """Whether XLA compiles the function that is being traced: then all sizes have to be known beforehand.

    Example:

    >>> seen = []
    >>> _ = tf.function(lambda: seen.append(inside_xla()) or 0, jit_compile=True)()
    >>> seen, inside_xla()
    ([True], False)
    """
    return bool(control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))
