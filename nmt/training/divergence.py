"""A training whose numbers are no longer finite ends at once, before anything of it is saved."""

import math
from collections.abc import Mapping

import numpy as np

from nmt.utils.errors import UserError


def check_loss(loss: float, step: int, kind: str = "training") -> None:
    """Raises an error if a loss is no number.

    Args:
        loss: float, a loss, or a mean that contains it.
        step: int, the number of the update.
        kind: which loss it is.

    Raises:
        UserError: if the loss is NaN or infinite.

    Example:

    >>> check_loss(float("nan"), 1200)
    Traceback (most recent call last):
    nmt.utils.errors.UserError: step 1,200: the training loss is nan; ...
    """
    if not math.isfinite(loss):
        raise _diverged(step, f"the {kind} loss is {loss}")


def check_weights(arrays: Mapping[str, np.ndarray], step: int) -> None:
    """Raises an error if weights contain what is no number.

    Args:
        arrays: the arrays of a checkpoint by name; weights are those whose names begin with `weights/`.
        step: int, the number of updates so far.

    Raises:
        UserError: if a weight is NaN or infinite.
    """
    for name, array in arrays.items():
        if name.startswith("weights/") and not np.isfinite(array).all():
            raise _diverged(step, f"`{name}` has weights that are NaN or infinite")


def _diverged(step: int, what: str) -> UserError:
    return UserError(
        f"step {step:,}: {what}; train anew, in another run folder, with a lower training.learning_rate, a smaller "
        "training.clip_norm or training.precision float32; the checkpoints saved so far are sound"
    )
