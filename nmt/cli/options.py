"""What the console commands share: arguments, and the loading of TensorFlow."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.compilation_cache import keep_compiled
from nmt.utils.silence import silenced

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.", show_default=False)]
RunOption = Annotated[Path, typer.Option("--run", help="The run folder; made if need be.", show_default=False)]
ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.", show_default=False)]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as model.units=512.")
]
DecodingOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the search, as decoding.beam_size=1."),
]
CheckpointOption = Annotated[
    str | None, typer.Option(help="best, last, averaged or step-...; the averaged one if there is one, else the best.")
]


def load_tensorflow() -> None:
    """Loads TensorFlow and its devices without their chatter, and has it keep what XLA compiles."""
    keep_compiled()
    with silenced():
        import tensorflow as tf

        tf.config.list_physical_devices()
        import tensorflow_text  # noqa: F401 (loads its operations)


def say(line: str) -> None:
    """Tells a person something, on stderr."""
    print(line, file=sys.stderr, flush=True)


def warn_split(line: int, tokens: int, parts: int) -> None:
    """Tells a person that a line, counted from 0, was too long to be translated as one."""
    say(f"warning: line {line + 1}: {tokens:,} tokens are more than the model has seen; translated in {parts} parts")
