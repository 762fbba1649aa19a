"""The settings of training: loss, learning rate, devices, and how often to validate and save."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from nmt.config.corpora import Fraction, Settings

# Settings that are no more, and the value with which they did nothing: the run folders that name them still load.
_REMOVED = {"curriculum_epochs": 0}  # a curriculum by length gained nothing (benchmarks/quality.md)


class TrainingSettings(Settings):
    """How a model is trained."""

    start_from: Path | None = Field(None, description="a run whose weights are the initial ones, for fine-tuning")
    start_vocabulary: Literal["keep", "new"] = Field(
        "keep", description="for fine-tuning: keep takes that run's tokenizers, new follows the `tokenizer` settings"
    )
    initial_embeddings: Literal["cooccurrence", "random"] = Field(
        "cooccurrence",
        description="cooccurrence: tokens of the same sentence pairs begin alike (Levy 2017); a language model's are "
        "always random",
    )
    max_steps: int = Field(20_000, ge=1, le=1_000_000_000, description="updates of the weights")
    max_minutes: Annotated[float, Field(gt=0, le=1_000_000)] | None = Field(
        None, description="training stops at the first validation after this time"
    )
    validate_every: int = Field(500, ge=1, le=1_000_000_000, description="updates between validations by loss and BLEU")
    save_every: int = Field(
        250,
        ge=1,
        le=1_000_000_000,
        description="updates between the checkpoints from which a killed training continues",
    )
    learning_rate: float = Field(4e-3, gt=0, le=1000, description="the highest rate, reached after the warm-up")
    warmup_steps: int = Field(
        500, ge=0, le=1_000_000_000, description="updates over which the learning rate rises from zero"
    )
    schedule: Literal["constant", "inverse_square_root", "linear", "plateau"] = Field(
        "linear", description="the rate after the warm-up; linear falls to zero at max_steps"
    )
    plateau_patience: int = Field(
        3, ge=1, le=1_000_000, description="validations without a lower loss before plateau lowers the rate"
    )
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="factor by which plateau lowers the rate")
    label_smoothing: Fraction = Field(
        0.1, description="share of the target probability spread over the vocabulary (Szegedy 2016)"
    )
    consistency: float = Field(
        0.0, ge=0, le=100, description="weight of R-Drop (Liang et al. 2021), which computes each batch twice; 0 is off"
    )
    clip_norm: float = Field(1.0, gt=0, le=1_000_000, description="upper bound of the gradient's norm over all weights")
    average_decay: Fraction = Field(0.999, description="decay of the moving average of the weights; 0 is off")
    accumulate: int = Field(1, ge=1, le=1024, description="batches whose gradients are combined for one update")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="type of the matrix products; states and loss stay float32. auto is bfloat16 where it is faster",
    )
    strategy: Literal["one_device", "mirrored", "multi_worker", "tpu"] = Field(
        "one_device",
        description="devices: one, all GPUs of this machine, all workers of TF_CONFIG or Slurm, or TPUs",
    )
    xla: Literal["auto", "none", "parts", "step"] = Field(
        "auto", description="how much of a step XLA compiles for each batch shape; auto measures what is fastest"
    )
    monitor: Literal["bleu", "loss"] = Field(
        "bleu", description="measure for the best checkpoint and early stopping; always loss for a language model"
    )
    patience: int = Field(10, ge=1, le=1_000_000, description="validations without improvement before training stops")
    keep: int = Field(5, ge=1, le=1_000_000, description="latest checkpoints to keep, for averaging")
    validation_sentences: int = Field(
        1000, ge=1, le=1_000_000, description="sentences of the validation split to translate for BLEU"
    )

    @model_validator(mode="before")
    @classmethod
    def _without_removed(cls, tree: Any) -> Any:
        if not isinstance(tree, Mapping):
            return tree
        return {key: value for key, value in tree.items() if key not in _REMOVED or value != _REMOVED[key]}

    @property
    def tokenizers_of(self) -> Path | None:
        """The run whose tokenizers are taken over, or None."""
        return self.start_from if self.start_vocabulary == "keep" else None
