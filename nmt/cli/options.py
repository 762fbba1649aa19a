"""What the console commands share: arguments, and the loading of TensorFlow."""

import os
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.compilation_cache import keep_compiled
from nmt.utils.backend import load_backend
from nmt.utils.silence import silenced

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.", show_default=False)]
RunOption = Annotated[Path, typer.Option("--run", help="The run folder; made if need be.", show_default=False)]
ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.", show_default=False)]
SettingsOption = Annotated[
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
    """Loads TensorFlow without its start-up lines, and has it keep what XLA compiles for the next process.

    The environment is that of the command's own process, so that, unlike the library, it may be changed here.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    keep_compiled()
    load_backend()
    with silenced():
        import tensorflow as tf

        devices = tf.config.list_physical_devices()  # loads the drivers, which write lines of their own
    if all(device.device_type == "CPU" for device in devices):  # on others it has not been measured
        rewrite_no_graphs()


def rewrite_no_graphs() -> None:
    """Has TensorFlow run graphs as they were traced, in the whole process.

    To rewrite them takes a third of the first translation, and of a training's start a part for each batch shape anew;
    neither is faster afterwards (`benchmarks/graph_rewriting.py`). XLA optimises by itself.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
