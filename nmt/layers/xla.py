"""Whether XLA compiles what is being written down."""

import tensorflow as tf
from tensorflow.python.ops import control_flow_util  # TensorFlow tells it in no public way


def inside_xla() -> bool:
    """Whether XLA compiles the function that is being traced: then all sizes have to be known beforehand.

    Example:

    >>> told = []
    >>> _ = tf.function(lambda: told.append(inside_xla()) or 0, jit_compile=True)()
    >>> told, inside_xla()
    ([True], False)
    """
    return bool(control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))
