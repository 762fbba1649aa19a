"""A run's `metrics.jsonl`: what each process runs on, and the metrics of each validation."""

import platform
import resource
import sys
from importlib.metadata import version
from typing import Any

import tensorflow as tf

import nmt
from nmt.config import Config
from nmt.runs.folder import RunFolder
from nmt.runs.metrics import read_metrics, write_metrics
from nmt.training.state import TrainingState

_PACKAGES = ("tensorflow", "tensorflow-text", "keras", "sentencepiece", "sacrebleu", "numpy")


def begin_metrics(run: RunFolder, config: Config, state: TrainingState, choosing_seconds: float) -> None:
    """Drops the lines of steps that will be made again, and adds one about this process.

    Args:
        run: the run folder.
        config: the settings.
        state: the state from which training goes on.
        choosing_seconds: float, the time that measuring what XLA should compile took.

    Raises:
        UserError: if the file is damaged or cannot be written.
    """
    steps = state.batches // config.training.accumulate
    valid = [line for line in read_metrics(run) if line.get("step", 0) <= steps]
    process = {
        "nmt": nmt.__version__,
        "versions": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "xla": {"extent": state.extent, "seconds": choosing_seconds},
        "config": config.model_dump(mode="json"),
    }
    write_metrics(run, [*valid, process])


def append_metrics(run: RunFolder, metrics: dict[str, Any]) -> None:
    """Adds a line to a run's metrics; the file is never half-written.

    Args:
        run: the run folder.
        metrics: plain values by name.

    Raises:
        UserError: if the file is damaged or cannot be written.
    """
    write_metrics(run, [*read_metrics(run), metrics])


def describe_validation(metrics: dict[str, Any]) -> str:
    """Writes the metrics of a validation as one line, with a star if it is the best so far.

    Args:
        metrics: the values of one validation's line of `metrics.jsonl`.

    Example:

    >>> metrics = {"step": 1500, "epoch": 4, "training_loss": 2.1, "validation_loss": 1.9, "bleu": 21.5}
    >>> describe_validation(metrics | {"best": True, "target_tokens_per_second": 9000.0, "seconds": 90.0})
    'step   1,500  epoch   4  loss 2.100  validation 1.900  BLEU 21.50 *  9,000 target tokens/s  1.5 min'
    """
    quality = f"BLEU {metrics['bleu']:5.2f}" if "bleu" in metrics else f"perplexity {metrics['perplexity']:.2f}"
    return (
        f"step {metrics['step']:>7,}  epoch {metrics['epoch']:>3}  loss {metrics['training_loss']:.3f}  "
        f"validation {metrics['validation_loss']:.3f}  {quality}{' *' if metrics['best'] else '  '}  "
        f"{metrics['target_tokens_per_second']:,.0f} target tokens/s  {metrics['seconds'] / 60:.1f} min"
    )


def peak_memory() -> int:
    """Returns the most memory that this process has held so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # Linux counts in KiB
