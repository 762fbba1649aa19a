"""Translates with OpenNMT-tf, trained by train.sh, in the folder that setup.sh makes.

python opennmt_tf_translate.py BEAM_SIZE BATCH_SIZE

Does what its `infer` does for a file, with its own parts: batches of sentences of like length, text in and text out by
SentencePiece inside the graph, translations in the order of the file. Only the graph is kept from one file to the next,
where `infer` would load the weights and trace it anew each time.
"""

import io
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from opennmt.config import load_config, load_model_from_file
from opennmt.models import Model
from opennmt.utils import misc
from opennmt.utils.checkpoint import Checkpoint
from worker import FileTranslator, serve

SETTINGS = Path(__file__).parent
CONFIG = load_config([str(SETTINGS / "opennmt_tf.yml"), str(SETTINGS / "opennmt_tf_text.yml")])


def load_trained(beam_size: int) -> Model:
    """The model with its latest weights."""
    model = load_model_from_file(str(SETTINGS / "opennmt_tf_model.py"))
    model.initialize(CONFIG["data"], params=CONFIG["params"] | {"beam_width": beam_size})
    if Checkpoint.from_config(CONFIG, model).restore(weights_only=True) is None:
        raise SystemExit(f"{CONFIG['model_dir']}: no checkpoint; train.sh makes one")
    return model


def load() -> tuple[FileTranslator, None]:
    """Loads the model, to search with the beam and batch size of the command line."""
    beam_size, batch_size = map(int, sys.argv[1:])
    model = load_trained(beam_size)

    def read(path: str) -> tf.data.Dataset:
        return model.examples_inputter.make_inference_dataset(path, batch_size, **CONFIG["infer"])

    infer = tf.function(model.infer, input_signature=(read(os.devnull).element_spec,))
    infer.get_concrete_function()

    def translate_file(path: str) -> list[str]:
        stream = io.BytesIO()
        writer = misc.OrderRestorer(
            lambda prediction: prediction.get("index"),
            lambda prediction: model.print_prediction(prediction, params=CONFIG["infer"], stream=stream),
        )
        for features in read(path):
            predictions = tf.nest.map_structure(lambda tensor: tensor.numpy(), infer(features))
            for prediction in misc.extract_batches(predictions):
                writer.push(prediction)
        return stream.getvalue().decode("utf-8", errors="replace").splitlines()

    return translate_file, None


if __name__ == "__main__":
    serve(load)
