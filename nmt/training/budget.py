"""What there is time for: how fast a machine trains, and the steps and the course of a training in some minutes."""

import math
import statistics
from typing import Any, NamedTuple

from nmt.config import Config
from nmt.data.counts import TokenCounts
from nmt.data.shapes import Shape
from nmt.models.flops import training_flops
from nmt.runs.models import build_sized_model
from nmt.training.compilation import time_steps
from nmt.training.distribution import Distribution
from nmt.training.make_trainer import make_trainer
from nmt.training.precision import settle_precision

PAIRS = 25_000  # where the rules give the settings of configs/base.yaml
_EPOCHS = 30
_TIMED_STEPS, _TIMED_SECONDS, _MOST_TIMED = 5, 5.0, 60  # other programs slow down a machine for moments
_PADDING = 1.4  # by the number of shapes, see `with_padding`
_OF_ALL_SHAPES = 0.85  # of the rate of steps whose sentences all have the mean length


class Machine(NamedTuple):
    """How fast this machine trains.

    Attributes:
        flops_per_second: float, matrix products of a training step.
        compile_seconds: float, for each batch shape.
    """

    flops_per_second: float
    compile_seconds: float


def measure_machine(config: Config, tokens: TokenCounts) -> Machine:
    """Makes training steps of a configuration on random tokens for some seconds, and measures them.

    Args:
        config: the settings.
        tokens: how long the sentences of a batch are to be.
    """
    config = settle_precision(config)
    size = config.tokenizer.vocabulary_size
    trainer = make_trainer(build_sized_model(config, size, size), config.training)
    source, target = (max(round(mean), 2) for mean in (tokens.source, tokens.target))
    sentences = max(config.batches.tokens // max(source, target), 1)
    # The very first step is traced as well. The first of the second shape tells what a shape costs.
    other, shape = Shape(sentences, source + 1, target + 1), Shape(sentences, source, target)
    _, first, *few = time_steps(trainer, Distribution(), [other, *[shape] * (1 + _TIMED_STEPS)])
    further = min(int(_TIMED_SECONDS / statistics.median(few)), _MOST_TIMED)
    later = time_steps(trainer, Distribution(), [shape] * further) if further else few
    seconds = statistics.median(later)
    pairs = sentences * source * target
    flops = training_flops(trainer.model, sentences, sentences * source, sentences * target, pairs)
    passes = 2 if config.training.consistency else 1
    return Machine(_OF_ALL_SHAPES * passes * flops / seconds, max(first - seconds, 0.1))


def suitable_epochs(pairs: int) -> float:
    """How often a training goes through a corpus where time is no matter.

    Example:

    >>> [round(suitable_epochs(pairs)) for pairs in (1_000, 25_000, 1_000_000)]
    [93, 30, 8]
    """
    return min(max(_EPOCHS * (PAIRS / pairs) ** 0.35, 4), 150)


def suitable_rate(units: int) -> float:
    """The highest learning rate for a width.

    Example:

    >>> suitable_rate(192), suitable_rate(768)
    (0.004, 0.002)
    """
    return round(0.004 * (192 / units) ** 0.5, 5)


def course(steps: int, minutes: float | None = None) -> dict[str, Any]:
    """The settings of `training` that depend on the number of steps.

    Args:
        steps: int, the updates of the training.
        minutes: float, how long they may take: a validation takes seconds, so there is one in two minutes at most,
            but three in all.

    Example:

    >>> course(2000)["validate_every"], course(2000)["warmup_steps"]
    (250, 400)
    """
    most = 12 if minutes is None else min(max(minutes / 2, 3), 12)
    return {
        "max_steps": steps,
        "validate_every": math.ceil(steps / round(min(max(steps / 250, 3), most))),
        "warmup_steps": min(500, steps // 5),
        "schedule": "linear",
        "average_decay": round(min(max(1 - 7 / steps, 0.9), 0.9995), 5),
    }


def with_padding(tokens: float, shapes: int) -> float:
    """The positions that batches of that many shapes take for some tokens.

    4 shapes pad Multi30k by 22%, and ui_strings, whose lengths vary more, by 41%.

    Example:

    >>> round(with_padding(1000, shapes=14))
    1100
    """
    return tokens * (1 + _PADDING / shapes)


def suitable_shapes(seconds: float, machine: Machine) -> int:
    """How many shapes of batches take the least time: each further one needs less padding, but is compiled.

    Args:
        seconds: float, how long the training takes.
        machine: how fast the machine compiles.

    Example:

    >>> [suitable_shapes(60 * minutes, Machine(5e10, 4.0)) for minutes in (2, 7, 30, 120)]
    [6, 12, 25, 40]
    """
    return round(min(max((_PADDING * seconds / machine.compile_seconds) ** 0.5, 6), 40))


def count_steps(config: Config, tokens: TokenCounts, machine: Machine, minutes: float) -> int:
    """How many training steps of a configuration there is time for.

    Args:
        config: the settings.
        tokens: how long the sentences of the corpus are.
        machine: how fast the machine trains.
        minutes: float, how long the training may take.
    """
    size, shapes = config.tokenizer.vocabulary_size, config.batches.shapes
    longer = with_padding(max(tokens.source, tokens.target), shapes)
    positions = config.batches.tokens
    flops = training_flops(
        build_sized_model(config, size, size, "float32"), positions / longer, positions, positions, positions * longer
    )
    passes = 2 if config.training.consistency else 1
    return max(round(seconds_of_steps(minutes, shapes, machine) * machine.flops_per_second / (passes * flops)), 20)


def seconds_of_steps(minutes: float, shapes: int, machine: Machine) -> float:
    """The time that validations, the search's tuning and the compilation leave for steps.

    Args:
        minutes: float, how long the training may take.
        shapes: int, the shapes of batches.
        machine: how fast the machine trains.

    Example:

    >>> seconds_of_steps(30, 12, Machine(5e10, 4.0))
    1526.0
    """
    return max(60 * minutes * 0.88 - shapes * machine.compile_seconds - 10, 10)
