"""The state of a training, saved and restored to the last bit."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nmt.data.batches import Position
from nmt.runs.checkpoints import assign, load_arrays, named_weights, save_arrays
from nmt.runs.data import check_identity, identity
from nmt.runs.folder import RunFolder
from nmt.training.divergence import check_weights
from nmt.training.trainer import Extent, Trainer
from nmt.utils.errors import UserError


@dataclass
class TrainingState:
    """All that a checkpoint of a training holds in addition to variables.

    Attributes:
        batches: int, the number of batches read so far.
        position: the place of the next batch in the data.
        seconds: float, the time spent so far, over all processes.
        best: float, the score of the best validation, BLEU or the negative loss; None before the first.
        best_loss: float, the loss of the best validation; None before the first.
        best_step: int, the number of updates before the best validation.
        stale: int, the number of validations since the best one.
        lowest_loss: float, the lowest validation loss; None before the first validation.
        stale_losses: int, the number of validations since the lowest loss, or since the learning rate was lowered.
        extent: how much of a training step XLA compiles, since rounding depends on it; None if not chosen yet.
    """

    batches: int = 0
    position: Position = field(default_factory=lambda: Position(0, 0))
    seconds: float = 0.0
    best: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    stale: int = 0
    lowest_loss: float | None = None
    stale_losses: int = 0
    extent: Extent | None = None


def save_state(run: RunFolder, trainer: Trainer, state: TrainingState, steps: int) -> None:
    """Writes the checkpoint from which training goes on.

    Args:
        run: the run folder.
        trainer: the trainer, whose variables are written.
        state: the state.
        steps: int, the number of updates so far, for errors.

    Raises:
        UserError: if the file cannot be written, or a weight is NaN or infinite; the older one then stays.
    """
    arrays = {name: variable.numpy() for name, variable in variables_of(trainer).items()}
    check_weights(arrays, steps)
    save_arrays(run.last, arrays, asdict(state) | {"belongs_to": identity(run)})


def restore_state(run: RunFolder, trainer: Trainer) -> TrainingState:
    """Reads the checkpoint from which training goes on.

    Args:
        run: the run folder.
        trainer: the trainer, whose variables are given the values of the checkpoint.

    Returns:
        The state; a new one if there is no checkpoint.

    Raises:
        UserError: if the checkpoint is damaged, or is of another model, other tokenizers or other data.
    """
    if not run.last.exists():
        return TrainingState()
    arrays, plain = load_arrays(run.last)
    check_identity(run, run.last, plain, with_data=True)
    plain.pop("belongs_to", None)
    assign(variables_of(trainer), arrays, run.last)
    unknown = sorted(plain.keys() - {known.name for known in fields(TrainingState)})
    if unknown or "position" not in plain:
        raise UserError(
            f"{run.last}: expected the state of a training by this version, got {', '.join(unknown) or 'none'}"
        )
    return TrainingState(**plain | {"position": Position(*plain["position"])})


def variables_of(trainer: Trainer) -> dict[str, Any]:
    """Returns every variable that the next training step depends on, by its name in a checkpoint.

    These are the weights, the random streams of dropout, the optimizer's variables, and the schedule's.
    """
    weights = named_weights(trainer.model)
    known = {id(weight) for weight in trainer.model.weights}
    random = [variable for variable in trainer.model.variables if id(variable) not in known]
    return (
        weights
        | {f"random/{index}": variable for index, variable in enumerate(random)}
        | {f"optimizer/{index}": variable for index, variable in enumerate(trainer.optimizer.variables)}
        | {"schedule/reduction": trainer.schedule.reduction}
    )
