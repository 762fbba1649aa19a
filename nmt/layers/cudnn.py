"""cuDNN's kernel for the gated recurrent unit with the reset gate after the product.

cuDNN computes h' = (1 - i) h~ + i h (NVIDIA, cudnnRNNMode_t): its i is 1 - z, so the weights of z are negated. Its
weights lie in the order r, i, h, each transposed, first those of the inputs, then those of the state, then both biases.
"""

import tensorflow as tf

from nmt.layers.recurrence import Tensors
from nmt.layers.xla import inside_xla


def has_cudnn() -> bool:
    """Whether the kernel can be used here: there is a GPU, and XLA, which does not have the kernel, compiles nothing.

    Example:

    >>> tf.function(has_cudnn, jit_compile=True)().numpy().item()
    False
    """
    return bool(tf.config.list_logical_devices("GPU")) and not inside_xla()


def cudnn_gru(
    sequence: tf.Tensor, initial_state: tf.Tensor, weights: Tensors, mask: tf.Tensor | None, reverse: bool
) -> tuple[tf.Tensor, Tensors]:
    """Runs the whole sequence in one kernel.

    Args:
        sequence: float `[batch, time, features]`.
        initial_state: float `[batch, units]`.
        weights: kernel, recurrent kernel, bias, and candidate bias, as `GRUCell` has them.
        mask: boolean `[batch, time]`, True where a step is real; in every row the real steps come first, as cuDNN knows
            no other padding.
        reverse: bool, whether the sequence is read from its end.

    Returns:
        The states after each step, float `[batch, time, units]`, in the order in which the sequence is read, and a
        tuple of the last state, `[batch, units]`.

    Raises:
        tf.errors.InvalidArgumentError: if there is padding before a real step.
    """
    sequence = tf.cast(sequence, initial_state.dtype)
    batch, time = tf.shape(sequence)[0], tf.shape(sequence)[1]
    if mask is None:
        mask = tf.ones((batch, time), tf.bool)
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
    padded_last = tf.reduce_all(mask == tf.sequence_mask(lengths, time))
    with tf.control_dependencies([tf.debugging.Assert(padded_last, ["cudnn_gru: expected padding at the end only"])]):
        read = tf.maximum(lengths, 1)  # cuDNN takes no empty rows
    states, last, *_ = tf.raw_ops.CudnnRNNV3(
        input=tf.reverse_sequence(sequence, read, seq_axis=1) if reverse else sequence,
        input_h=initial_state[:, None],
        input_c=0.0,
        params=cudnn_parameters(*weights),
        is_training=True,
        rnn_mode="gru",
        sequence_lengths=read,
        time_major=False,
    )
    last = tf.where((lengths > 0)[:, None], last[:, 0], initial_state)
    if reverse:
        # Read from the end, the padding comes first and leaves the state as it began.
        states = tf.reverse(tf.reverse_sequence(states, read, seq_axis=1), (1,))
        return tf.where(mask[:, ::-1, None], states, initial_state[:, None]), (last,)
    return tf.where(mask[..., None], states, last[:, None]), (last,)


def cudnn_parameters(
    kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor, candidate_bias: tf.Tensor
) -> tf.Tensor:
    """The flat array of weights that cuDNN takes.

    Args:
        kernel: float `[features, 3 * units]`, the gates as z, r, h.
        recurrent_kernel: float `[units, 3 * units]`.
        bias: float `[3 * units]`.
        candidate_bias: float `[units]`.

    Returns:
        Float of one axis.

    Example:

    >>> cudnn_parameters(tf.zeros((5, 6)), tf.zeros((2, 6)), tf.zeros((6,)), tf.zeros((2,))).shape
    TensorShape([54])
    """
    flat = []
    for matrix in (kernel, recurrent_kernel):
        z, r, h = tf.split(tf.transpose(matrix), 3)
        flat += [r, -z, h]
    z, r, h = tf.split(tf.convert_to_tensor(bias), 3)
    zeros = tf.zeros_like(z)
    flat += [r, -z, h, zeros, zeros, tf.convert_to_tensor(candidate_bias)]
    return tf.concat([tf.reshape(part, (-1,)) for part in flat], 0)
