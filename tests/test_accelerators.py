"""The whole training step and the beam search compile for a TPU and a GPU, and need what their sizes say."""

import importlib

import pytest

from nmt.decoding.beam_search import Hypotheses

pytest.importorskip("jax", reason="pip install -c constraints.txt -e '.[dev,tpu,gpu-compiler]'")
accelerators = importlib.import_module("accelerators")  # of benchmarks/

SENTENCES, SOURCE, TARGET, UNITS = 128, 16, 16, 256
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
    assert size <= compiled.in_place_bytes < 1.01 * size  # a TPU fills up the last tiles

    # The logits of a chunk once (a GPU's kernels keep them twice); for each of three recurrences the products of the
    # inputs (three arrays), what its loop keeps (four) and its gradients (three); and the gradients of the weights,
    # whose long sums a GPU's compiler divides into up to 128 parts.
    tokens = SENTENCES * TARGET
    logits = accelerators.CHUNK * accelerators.VOCABULARY * FLOAT
    recurrences = 3 * 10 * tokens * UNITS * FLOAT
    gradients = trainer.model.count_params() * FLOAT
    copies, parts = (1, 0) if device.platform == "tpu" else (2, 128 * 2 * UNITS * UNITS * FLOAT)
    assert logits < compiled.temporary_bytes < copies * logits + recurrences + gradients + parts

    if device.platform == "tpu":
        expected = accelerators.step_flops(SENTENCES, SOURCE, TARGET, once=True)
        assert compiled.flops == pytest.approx(expected, rel=0.05)  # what is no matrix product comes on top


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_search_compiles(device, precision):
    trainer, _ = accelerators.training_step(precision)
    search = accelerators.beam_search_of(trainer.model)
    compiled = accelerators.compile_for(device, search, accelerators.ids(SENTENCES, SOURCE))
    assert compiled.outputs == len(Hypotheses._fields)
    scores = SENTENCES * accelerators.DecodingSettings().beam_size * accelerators.VOCABULARY * FLOAT
    assert compiled.temporary_bytes < 3 * scores
    if device.platform == "tpu":
        assert compiled.flops == pytest.approx(accelerators.search_flops(SENTENCES, SOURCE), rel=0.05)
