"""What TensorFlow has no public way to ask for where XLA compiles a function."""

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util

_ALIGNED = 2**18  # more names than are given before a training, and counted in less than 0.1 s


def inside_xla() -> bool:
    """Whether XLA compiles the function that is being traced: then all sizes have to be known beforehand.

    Example:

    >>> seen = []
    >>> _ = tf.function(lambda: seen.append(inside_xla()) or 0, jit_compile=True)()
    >>> seen, inside_xla()
    ([True], False)
    """
    return bool(control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def align_names() -> None:
    """Makes the names of the functions that are traced next the same in every process that traces the same ones.

    TensorFlow numbers functions and tensors by one counter of the process, which depends on all that came before, such
    as whether data was prepared. XLA's cache finds a program by all that it is made of, names included. So the counter
    is moved on to a number that all processes come to.

    Example:

    >>> align_names()
    >>> tf.function(lambda: 0).get_concrete_function().name
    b'__inference_<lambda>_...'
    """
    while ops.uid() % _ALIGNED:
        pass
