"""Where a training stands, and its way to the disk and back: exactly, to the last bit."""

from dataclasses import asdict, dataclass, field
from typing import Any

from nmt.data.batches import Position
from nmt.runs.checkpoints import Arrays, assign, load_arrays, named_weights, save_arrays
from nmt.runs.folder import RunFolder
from nmt.training.trainer import Extent, Trainer


@dataclass
class TrainingState:
    """All that a training remembers besides its variables."""

    batches: int = 0  # read so far
    position: Position = field(default_factory=lambda: Position(0, 0))  # of the next batch in the data
    seconds: float = 0.0  # spent, over all processes
    best: float | None = None  # the best validation's score: BLEU, or the negative loss
    best_step: int = 0
    stale: int = 0  # validations since the best
    lowest_loss: float | None = None
    stale_losses: int = 0  # validations since the lowest loss, or since the learning rate was lowered
    extent: Extent | None = None  # of compilation, which rounding depends on


def save_state(run: RunFolder, trainer: Trainer, state: TrainingState) -> None:
    """Writes the checkpoint from which training goes on."""
    save_arrays(run.last, _arrays(trainer), asdict(state))


def restore_state(run: RunFolder, trainer: Trainer) -> TrainingState:
    """Takes up the last checkpoint, or starts afresh where there is none.

    Raises:
        UserError: if the checkpoint is damaged or of another model.
    """
    if not run.last.exists():
        return TrainingState()
    arrays, plain = load_arrays(run.last)
    assign(variables_of(trainer), arrays, run.last)
    return TrainingState(**plain | {"position": Position(*plain["position"])})


def _arrays(trainer: Trainer) -> Arrays:
    return {name: variable.numpy() for name, variable in variables_of(trainer).items()}


def variables_of(trainer: Trainer) -> dict[str, Any]:
    """Every variable that the next step depends on: weights, random streams, optimizer, and schedule."""
    weights = named_weights(trainer.model)
    known = {id(weight) for weight in trainer.model.weights}
    random = [variable for variable in trainer.model.variables if id(variable) not in known]
    optimizer = trainer.optimizer.variables
    schedule = trainer.schedule.reduction
    return (
        weights
        | {f"random/{index}": variable for index, variable in enumerate(random)}
        | {f"optimizer/{index}": variable for index, variable in enumerate(optimizer)}
        | {"schedule/reduction": schedule}
    )
