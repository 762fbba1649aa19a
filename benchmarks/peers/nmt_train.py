"""Trains this project's model with all that `nmt train` does for a step, without end, and prints the tokens so far.

    python nmt_train.py CONFIG RUN WORK_FOLDER EPOCH KEY=VALUE...

RUN is prepared already; EPOCH is where its data begins, so that each round sees other batches. One batch of each shape
comes first and is not counted, because TensorFlow or XLA compiles anew for some of them. What is left out of `nmt
train` is what does not happen at every step: validations and checkpoints.
"""

import sys
from pathlib import Path
from typing import Any

from nmt.config import load_config
from nmt.utils.silence import silenced

with silenced():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()

from nmt.data.batches import Position, batches_in_epoch, training_batches
from nmt.data.preparation import load_shapes
from nmt.data.vocabulary import load_tokenizers
from nmt.runs.folder import RunFolder
from nmt.runs.models import build_model
from nmt.training.make_trainer import make_trainer

EVERY = 5  # updates between lines
ENOUGH = 100_000  # updates; whoever started this ends it long before


class Tokens(keras.callbacks.Callback):
    """Prints the updates and target tokens so far, end marks included and padding not."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Prints now and then."""
        if (batch + 1) % EVERY == 0:
            print(f"update {batch + 1}: {int(logs['tokens'])} target tokens", flush=True)


def main() -> None:
    """Trains until it is ended from outside."""
    path, folder, work, epoch, *overrides = sys.argv[1:]
    config, run = load_config(Path(path), overrides), RunFolder(Path(folder))
    shapes = load_shapes(run.data)
    trainer = make_trainer(build_model(config, *load_tokenizers(run.data)), config.training)
    batches = training_batches(run.data, config, shapes, Position(int(epoch), 0))

    count = batches_in_epoch(run.data, config, shapes, int(epoch))
    one_of_each = {batch[1].shape: batch for batch in batches.take(count).as_numpy_iterator()}
    first = tf.data.Dataset.from_generator(one_of_each.values, output_signature=batches.element_spec)
    trainer.fit(first, shuffle=False, verbose=0)

    callbacks = [Tokens(), keras.callbacks.TensorBoard(work, write_graph=False)]
    trainer.fit(batches, steps_per_epoch=ENOUGH, callbacks=callbacks, shuffle=False, verbose=0)


if __name__ == "__main__":
    main()
