"""Compiles the training step and the beam search for a TPU and a GPU on a machine that has neither.

    pip install -c constraints.txt -e '.[tpu,gpu-compiler]'
    python benchmarks/accelerators.py benchmarks/results/accelerators.json

XLA's compilers for both come in Python packages, and JAX reaches them without a chip. They are given the programs that
TensorFlow makes with `jit_compile`: the whole training step of configs/base.yaml, that is forward, backward, clipping,
Adam, dropout and metrics; and the whole search of its model and of the student that `nmt distill` makes of it, with the
constraints of symbols and of repetition. That they compile shows that all sizes are known beforehand and all operations
exist there; what they say of memory and operations comes with it.

`most_sentences_per_second` is the roofline of a search (Williams et al. 2009): what the device could reach if every
step took no longer than its arithmetic at the chip's highest rate, or its bytes at that of the memory. It is no
measurement, and leaves out the start of each kernel, which on a GPU takes longer than either. With constraints, XLA
counts in each step what forbids tokens, which runs only where a hypothesis repeats something; without, it is left out.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from nmt.utils.silence import silenced

os.environ["TPU_SKIP_MDS_QUERY"] = "1"  # libtpu would ask the network what machine this is

with silenced():
    import jax
    import tensorflow as tf

    # Only JAX's own inside takes a program that JAX did not make; hence the exact versions in pyproject.toml.
    from jax._src import compiler
    from jax._src.interpreters.mlir import make_ir_context
    from jax._src.lib import _jax
    from jax.experimental import topologies
    from jaxlib.mlir import ir

    tf.config.list_physical_devices()

from machine import describe_machine

from nmt.augmentation.distillation import student_units
from nmt.config import BatchSettings, Config, DecodingSettings, ModelSettings, TrainingSettings, load_config
from nmt.constants import END
from nmt.decoding.beam_search import Hypotheses, beam_search
from nmt.decoding.constraints import SymbolConstraint
from nmt.decoding.repetition import RepetitionConstraint
from nmt.inference.translator import sentences_at_once
from nmt.layers.cross_entropy import CHUNK
from nmt.models.flops import training_flops
from nmt.models.seq2seq import Seq2Seq
from nmt.runs.models import POLICIES, build_sized_model
from nmt.text.placeholders import SYMBOLS
from nmt.training.make_trainer import make_trainer
from nmt.training.trainer import Trainer
from nmt.utils.files import written_whole

jax.config.update("jax_platforms", "cpu")  # nothing is run on a device

BASE = load_config(Path(__file__).parent.parent / "configs" / "base.yaml")
UNITS = student_units(BASE.model.units)
STUDENT = BASE.model_copy(
    update={
        "model": ModelSettings(
            embedding=UNITS, units=UNITS, encoder_layers=2, decoder_layers=1, decoder_cell="ssru", attention="dot"
        )
    }
)
VOCABULARY = BASE.tokenizer.vocabulary_size
LONGEST = BatchSettings().max_length
# Sentences, source tokens, target tokens; the last is a batch of 3,000 tokens of the longest sentences.
SHAPES = ((128, 16, 16), (32, 64, 64), (3000 // LONGEST, LONGEST, LONGEST))
# FLOPs of bfloat16 and bytes of memory per second, from the vendors' data sheets; TPUs multiply float32 so, too.
RATES = {"TPU v5e": (197e12, 819e9), "NVIDIA H100 80GB": (989e12, 3352e9)}
# What XLA asks of a GPU, here an NVIDIA H100 SXM with 80 GB, and of the libraries that it is to find there.
H100 = """
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  memory_bandwidth: 3352320000000
  device_memory_size: 84942979072
  l2_cache_size: 52428800
  shared_memory_per_core: 233472
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  threads_per_core_limit: 2048
  threads_per_block_limit: 1024
  threads_per_warp: 32
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
}
platform_name: "CUDA"
runtime_version { major: 12 minor: 8 }
dnn_version_info { major: 9 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""


class Compiled(NamedTuple):
    """What a compiler says of a program; bytes are those of the device's memory."""

    compile_seconds: float  # of processors, all cores together
    arguments: int
    outputs: int
    argument_bytes: int
    output_bytes: int
    in_place_bytes: int  # of the outputs, those that take the place of arguments
    temporary_bytes: int
    code_bytes: int
    flops: int  # with the body of each loop counted once
    accessed_bytes: int  # the same


def main() -> None:
    """Compiles all and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"], choices=sorted(POLICIES))
    arguments = parser.parse_args()
    output, precisions = arguments.output, arguments.precision
    programs: dict[str, dict[str, Any]] = {}

    def keep(device: str, precision: str, program: str, shape: Sequence[int], **figures: Any) -> None:
        label = ", ".join([device, precision, program, " x ".join(map(str, shape))])
        programs[label] = figures
        print(label, json.dumps(figures), flush=True)

    for name, device in (("TPU v5e", tpu()), ("NVIDIA H100 80GB", gpu())):
        for precision in precisions:
            _, step = training_step(precision)
            for shape in SHAPES:
                sentences, source, target = shape
                compiled = compile_for(device, step, ids(sentences, source), ids(sentences, target))
                flops = {"matrix_flops": step_flops(*shape), "matrix_flops_loops_once": step_flops(*shape, once=True)}
                keep(name, precision, "training step of base.yaml", shape, **flops, **compiled._asdict())
            for model, config, beam in (("base.yaml", BASE, 5), ("base.yaml", BASE, 1), ("its student", STUDENT, 1)):
                built = build_sized_model(config, VOCABULARY, VOCABULARY, precision)
                for source in sorted({source for _, source, _ in SHAPES}):
                    shape = sentences_at_once(beam), source
                    reading = compile_for(device, reading_of(built), ids(*shape))
                    for constrained in (True, False):
                        whole = compile_for(device, search_of(built, beam, constrained), ids(*shape))
                        most = round(roofline(*RATES[name], shape, whole, reading))
                        program = f"search of {model}, beam {beam}, {'constrained' if constrained else 'free'}"
                        keep(name, precision, program, shape, most_sentences_per_second=most, **whole._asdict())
    result = {
        "command": f"python benchmarks/accelerators.py {output} --precision {' '.join(precisions)}",
        "machine": describe_machine(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "jax", "libtpu", "jax-cuda12-pjrt")},
        "models": {
            name: config.model.model_dump(mode="json") | {"vocabulary": VOCABULARY}
            for name, config in (("base.yaml", BASE), ("its student", STUDENT))
        },
        "rates": RATES,
        "programs": programs,
    }
    with written_whole(output) as file:
        json.dump(result, file, indent=1)


def roofline(peak: float, bandwidth: float, shape: tuple[int, int], whole: Compiled, reading: Compiled) -> float:
    """Sentences per second that a device could reach at most, translations being as long as their sources.

    Args:
        peak: FLOPs per second.
        bandwidth: bytes of memory per second.
        shape: sentences, and tokens of each.
        whole: the search, each loop counted once.
        reading: its part before the first step.
    """
    sentences, source = shape

    def seconds(flops: float, accessed: float) -> float:
        return max(flops / peak, accessed / bandwidth)

    step = seconds(whole.flops - reading.flops, whole.accessed_bytes - reading.accessed_bytes)
    return sentences / (seconds(reading.flops, reading.accessed_bytes) + source * step)


def tpu(topology: str = "v5e:1x1") -> Any:
    """A TPU that is not there, by default a single v5e."""
    with silenced():
        return topologies.get_topology_desc(topology, "tpu").devices[0]


def gpu(description: str = H100) -> Any:
    """A GPU that is not there, from XLA's description of it (`GpuTargetConfigProto`)."""
    with silenced():
        return topologies.get_topology_desc("gpu", "cuda", topology="1x1x1", target_config=description).devices[0]


def compile_for(device: Any, function: Callable[..., Any], *specs: tf.TensorSpec) -> Compiled:
    """Compiles a function for a device.

    Args:
        device: from `tpu` or `gpu`.
        function: a `tf.function` with `jit_compile=True`. The variables that it writes are further outputs.
        specs: specifications of its arguments, all sizes known.

    Returns:
        `Compiled`.
    """
    program = function.experimental_get_compiler_ir(*specs)(stage="stablehlo_serialized")
    options = compiler.get_compile_options(num_replicas=1, num_partitions=1)
    with make_ir_context(), silenced():
        module = ir.Module.parse(program)
        drop_copies(module)
        start = time.process_time()
        executable = compiler.backend_compile_and_load(
            device.client, module, _jax.DeviceList((device,)), options, host_callbacks=[]
        )
        seconds = time.process_time() - start
    memory = executable.get_compiled_memory_stats()
    costs = costs_of(executable, device)
    return Compiled(
        compile_seconds=round(seconds, 1),
        arguments=len(executable.get_parameter_layouts()),
        outputs=len(executable.get_output_layouts()),
        argument_bytes=memory.argument_size_in_bytes,
        output_bytes=memory.output_size_in_bytes,
        in_place_bytes=memory.alias_size_in_bytes,
        temporary_bytes=memory.temp_size_in_bytes,
        code_bytes=memory.generated_code_size_in_bytes or len(executable.serialize()),
        flops=int(costs["flops"]),
        accessed_bytes=int(costs["bytes accessed"]),
    )


def costs_of(executable: Any, device: Any) -> dict[str, float]:
    """XLA's count of a compiled program's operations and bytes, with the body of each loop counted once."""
    if device.platform == "tpu":
        return dict(executable.cost_analysis())
    (module,) = executable.hlo_modules()  # the GPU's plug-in does not count; XLA on the CPU counts what it compiled
    return dict(_jax.hlo_module_cost_analysis(jax.devices("cpu")[0].client, module))


def drop_copies(module: ir.Module) -> None:
    """Takes out TensorFlow's copies of outputs, an operation that JAX does not pass on; XLA copies where need be."""
    copies = []

    def collect(operation: ir.Operation) -> ir.WalkResult:
        if operation.name == "mhlo.copy":
            copies.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(collect)
    for copy in copies:
        copy.results[0].replace_all_uses_with(copy.operands[0])
        copy.erase()


def ids(sentences: int, time: int) -> tf.TensorSpec:
    """A batch of token ids."""
    return tf.TensorSpec((sentences, time), tf.int32)


def training_step(precision: str) -> tuple[Trainer, Callable[..., Any]]:
    """The trainer of base.yaml's model, and the step that `fit` makes of each batch, from source and target ids."""
    settings = TrainingSettings(precision=precision, average_decay=BASE.training.average_decay)
    trainer = make_trainer(build_sized_model(BASE, VOCABULARY, VOCABULARY, precision), settings)

    @tf.function(jit_compile=True)
    def step(source: tf.Tensor, target: tf.Tensor) -> dict[str, tf.Tensor]:
        return trainer.train_step((source, target))

    return trainer, step


def search_of(model: Seq2Seq, beam: int, constrained: bool = True) -> Callable[[tf.Tensor], Hypotheses]:
    """The search from source ids, with the constraints of a run that masks placeholders and limits repetition."""
    first = END + 1
    symbols = tuple(range(first, first + len(SYMBOLS)))
    constraints = (
        SymbolConstraint(first, len(SYMBOLS), END, symbols[-1] + 1),
        RepetitionConstraint(exempt_ids=symbols),
    )
    if not constrained:
        constraints = ()

    @tf.function(jit_compile=True)
    def search(source: tf.Tensor) -> Hypotheses:
        return beam_search(model, source, constraints, **DecodingSettings(beam_size=beam).search_arguments())

    return search


def reading_of(model: Seq2Seq) -> Callable[[tf.Tensor], Any]:
    """What a search computes before its first step."""
    return tf.function(model.start, jit_compile=True)


def step_flops(sentences: int, source: int, target: int, once: bool = False) -> int:
    """FLOPs of the matrix products of base.yaml's training step; see `nmt.models.flops`.

    Args:
        sentences: int, the number of sentences of the batch.
        source: int, the number of source tokens of each sentence.
        target: int, the number of target tokens of each sentence.
        once: bool, whether the body of each loop counts once, as XLA counts it. The loops are the recurrences over
            time, which compute all but the gradient of the recurrent weights, and the loss over chunks of tokens.
    """
    settings, read, written = BASE.model, sentences * source, sentences * target
    model = build_sized_model(BASE, VOCABULARY, VOCABULARY, "float32")
    flops = int(training_flops(model, sentences, read, written, written * source))
    if once:
        of_step = 2 * _recurrence(settings, sentences)  # forward and back
        flops -= of_step * 2 * settings.encoder_layers * (source - 1)
        flops -= of_step * settings.decoder_layers * (target - 1)
        flops -= 3 * 2 * max(0, written - CHUNK) * settings.embedding * VOCABULARY
    return flops


def search_flops(config: Config, beam: int, sentences: int, source: int) -> int:
    """FLOPs of the matrix products of a search, the body of each loop counted once."""
    model, hypotheses = build_sized_model(config, VOCABULARY, VOCABULARY, "float32"), sentences * beam
    once = training_flops(model, sentences, sentences * source, hypotheses, hypotheses * source) / 3
    return int(once) - _recurrence(config.model, sentences) * 2 * config.model.encoder_layers * (source - 1)


def _recurrence(settings: ModelSettings, sentences: int) -> int:
    """FLOPs of a GRU's products with its state, for one token of each sentence."""
    return 2 * settings.units * 3 * settings.units * sentences


if __name__ == "__main__":
    main()
