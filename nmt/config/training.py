"""The settings of training: those of the loss, the learning rate, the devices and the clock."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from nmt.config.corpora import Fraction, Settings


class TrainingSettings(Settings):
    """What training begins with, and its clock."""

    start_from: Path | None = Field(None, description="a run whose weights training begins with: fine-tuning")
    start_vocabulary: Literal["keep", "new"] = Field(
        "keep", description="of fine-tuning: keep takes the run's tokenizers, new makes them as `tokenizer` says"
    )
    curriculum_epochs: int = Field(
        0, ge=0, description="first epochs without the longest sentences, ever fewer of them left out; 0 is off"
    )
    max_steps: int = Field(20_000, ge=1, description="optimizer updates")
    max_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="stop at the first validation past this"
    )
    validate_every: int = Field(500, ge=1, description="steps between validations by loss and BLEU")
    save_every: int = Field(250, ge=1, description="steps between checkpoints from which a killed training goes on")
    learning_rate: float = Field(1e-3, gt=0, description="the highest, reached after the warm-up")
    warmup_steps: int = Field(300, ge=0, description="over which the learning rate rises from zero")
    schedule: Literal["constant", "inverse_square_root", "linear", "plateau"] = Field(
        "inverse_square_root", description="after the warm-up; linear falls to zero at max_steps"
    )
    plateau_patience: int = Field(3, ge=1, description="validations without a lower loss before the rate is lowered")
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="by which a plateau multiplies the learning rate")
    label_smoothing: Fraction = Field(0.1, description="share of the target spread over the vocabulary (Szegedy 2016)")
    consistency: float = Field(
        0.0, ge=0, le=100, description="weight of R-Drop (Liang et al. 2021): each batch passes twice; 0 is off"
    )
    clip_norm: float = Field(1.0, gt=0, description="upper bound of the whole gradient's norm")
    average_decay: Fraction = Field(0.0, description="exponential moving average of the weights, as 0.999; 0 is off")
    accumulate: int = Field(1, ge=1, le=1024, description="batches whose gradients make one update")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "float32", description="of products; states and loss stay float32. auto is bfloat16 where that is faster"
    )
    strategy: Literal["one_device", "mirrored", "multi_worker", "tpu"] = Field(
        "one_device",
        description="the devices: one, all GPUs here, those of all workers of TF_CONFIG or Slurm, or TPUs",
    )
    xla: Literal["auto", "none", "parts", "step"] = Field(
        "auto", description="what of a step XLA compiles for each batch shape; auto measures which takes the least time"
    )
    monitor: Literal["bleu", "loss"] = Field(
        "bleu", description="what tells the best checkpoint and when to stop early; of a language model, the loss"
    )
    patience: int = Field(10, ge=1, description="validations without a better one before training stops")
    keep: int = Field(5, ge=1, description="checkpoints of the latest validations that stay for averaging")
    validation_sentences: int = Field(1000, ge=1, description="of the validation split that are translated for BLEU")

    @property
    def tokenizers_of(self) -> Path | None:
        """The run whose tokenizers are taken, if any."""
        return self.start_from if self.start_vocabulary == "keep" else None
