"""The whole training step and the beam search compile for a TPU and a GPU, and need what their sizes say."""

import importlib

import pytest

from nmt.decoding.beam_search import Hypotheses

pytest.importorskip("jax", reason="pip install -c constraints.txt -e '.[dev,tpu,gpu-compiler]'")
accelerators = importlib.import_module("accelerators")  # of benchmarks/

SENTENCES, SOURCE, TARGET = 128, 16, 16
FLOAT = 4  # bytes


@pytest.fixture(params=["tpu", "gpu"], scope="module")
def device(request):
    pytest.importorskip({"tpu": "libtpu", "gpu": "jax_plugins.xla_cuda12"}[request.param])
    return getattr(accelerators, request.param)()


@pytest.fixture(scope="module")
def training():
    return accelerators.training_step("float32")


def test_the_training_step_compiles(device, training):
    trainer, step = training
    specs = accelerators.ids(SENTENCES, SOURCE), accelerators.ids(SENTENCES, TARGET)
    compiled = accelerators.compile_for(device, step, *specs)

    # Every variable is read and written in place; in addition, `fit` gets the loss, the plain loss and the tokens.
    variables = [*trainer.variables, *trainer.optimizer.variables, *trainer.metrics_variables]
    assert compiled.arguments == len(variables) + len(specs)
    assert compiled.outputs == len(variables) + 3
    size = sum(variable.numpy().nbytes for variable in variables)
    assert size <= compiled.in_place_bytes < 1.06 * size  # a TPU fills up tiles, also those of short vectors

    # The logits of a chunk once (a GPU's kernels keep them twice); for each recurrence the products of the inputs
    # (three arrays), what its loop keeps (seven, normalised ones among them) and its gradients (three); and the
    # gradients of the weights, whose long sums a GPU's compiler divides into up to 128 parts.
    tokens, settings = SENTENCES * TARGET, accelerators.BASE.model
    logits = accelerators.CHUNK * accelerators.VOCABULARY * FLOAT
    layers = 2 * settings.encoder_layers + settings.decoder_layers
    recurrences = layers * 13 * tokens * settings.units * FLOAT
    gradients = trainer.model.count_params() * FLOAT
    copies, parts = (1, 0) if device.platform == "tpu" else (2, 128 * 2 * settings.units**2 * FLOAT)
    assert logits < compiled.temporary_bytes < copies * logits + recurrences + gradients + parts

    if device.platform == "tpu":
        expected = accelerators.step_flops(SENTENCES, SOURCE, TARGET, once=True)
        assert compiled.flops == pytest.approx(expected, rel=0.05)  # what is no matrix product comes on top


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("config", "beam"), [("BASE", 5), ("BASE", 1), ("STUDENT", 1)])
def test_the_search_compiles(device, precision, config, beam):
    config = getattr(accelerators, config)
    model = accelerators.build_sized_model(config, accelerators.VOCABULARY, accelerators.VOCABULARY, precision)
    compiled = accelerators.compile_for(
        device, accelerators.search_of(model, beam), accelerators.ids(SENTENCES, SOURCE)
    )
    assert compiled.outputs == len(Hypotheses._fields)
    scores = SENTENCES * beam * accelerators.VOCABULARY * FLOAT
    # Of each source token the two directions' inputs, products and outputs in a layer, keys and values.
    reading = SENTENCES * SOURCE * 20 * config.model.units * FLOAT
    assert compiled.temporary_bytes < 3 * scores + reading
    expected = accelerators.search_flops(config, beam, SENTENCES, SOURCE)
    assert compiled.flops == pytest.approx(expected, rel=0.05)
