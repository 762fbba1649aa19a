"""Translates with CTranslate2 and a Transformer of random weights, which say nothing but take as long as others.

python ctranslate2_translate.py TOKENIZER MODEL_FOLDER COMPUTE_TYPE BEAM_SIZE BATCH_SIZE

The Transformer has 4 encoder and 4 decoder layers, 128 wide with 4 heads, one embedding for all, and the tokenizer's
vocabulary: 2.4 million parameters with 4,000 pieces, and 2.9 million with 8,000. It is written to MODEL_FOLDER each
time. Random weights end no sentence, so each translation is forced to 15 pieces. COMPUTE_TYPE is `float32` or `int8`,
whose weights CTranslate2 makes when it loads them.
"""

import os
import shutil
import sys
from pathlib import Path

import ctranslate2
import numpy as np
import sentencepiece
from ctranslate2.specs import transformer_spec
from worker import FileTranslator, LineTranslator, read_lines, serve

LAYERS, HEADS, WIDTH, HIDDEN = 4, 4, 128, 512
PIECES = 15


def make_model(tokenizer: sentencepiece.SentencePieceProcessor, folder: Path) -> None:
    """Writes a Transformer of random weights, as one has them before training."""
    pieces = [tokenizer.id_to_piece(number) for number in range(len(tokenizer))]
    spec = transformer_spec.TransformerSpec.from_config(LAYERS, HEADS)
    draw = np.random.default_rng(1)
    embedding = draw.normal(0, WIDTH**-0.5, (len(pieces), WIDTH)).astype(np.float32)
    for name, value in spec.variables().items():
        if value is not None:
            continue
        *_, layer, part = name.split("/")
        if layer in ("embeddings", "embeddings_0", "projection"):
            weight = embedding
        elif part == "gamma":
            weight = np.ones(WIDTH, np.float32)
        elif part == "beta":
            weight = np.zeros(WIDTH, np.float32)
        else:
            weight = matrix(name, draw)
        owner = spec
        for attribute in name.split("/")[:-1]:
            prefix, _, number = attribute.rpartition("_")
            listed = number.isdecimal() and isinstance(getattr(owner, prefix, None), list)
            owner = getattr(owner, prefix)[int(number)] if listed else getattr(owner, attribute)
        setattr(owner, part, weight)
    for register in (spec.register_source_vocabulary, spec.register_target_vocabulary):
        register(pieces)
    spec.config.unk_token = pieces[tokenizer.unk_id()]
    spec.config.bos_token, spec.config.eos_token = pieces[tokenizer.bos_id()], pieces[tokenizer.eos_id()]
    spec.validate()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spec.save(str(folder))


def matrix(name: str, draw: np.random.Generator) -> np.ndarray:
    """A layer's weights, `[outputs, inputs]`: query, key and value are one product where the input is one."""
    _, attention, linear = name.rsplit("/", 1)[0].rsplit("/", 2)
    if attention == "ffn":
        shape = (HIDDEN, WIDTH) if linear == "linear_0" else (WIDTH, HIDDEN)
    elif attention == "self_attention":
        shape = (3 * WIDTH, WIDTH) if linear == "linear_0" else (WIDTH, WIDTH)
    else:
        shape = (2 * WIDTH, WIDTH) if linear == "linear_1" else (WIDTH, WIDTH)
    return draw.normal(0, shape[1] ** -0.5, shape).astype(np.float32)


def load() -> tuple[FileTranslator, LineTranslator]:
    """Loads the model of the command line."""
    tokenizer, folder, compute_type, beam_size, batch_size = sys.argv[1:]
    processor = sentencepiece.SentencePieceProcessor(model_file=tokenizer)
    make_model(processor, Path(folder))
    end = processor.id_to_piece(processor.eos_id())

    def translator(threads: dict[str, int]) -> ctranslate2.Translator:
        return ctranslate2.Translator(folder, device="cpu", compute_type=compute_type, **threads)

    # A batch for each core, and one core for one sentence: with two it took three to six times as long.
    many = translator({"inter_threads": os.cpu_count() or 1, "intra_threads": 1})
    one = translator({"intra_threads": 1})

    def translate(chosen: ctranslate2.Translator, lines: list[str]) -> list[str]:
        found = chosen.translate_batch(
            [[*pieces, end] for pieces in processor.encode(lines, out_type=str)],
            beam_size=int(beam_size), max_batch_size=int(batch_size),
            min_decoding_length=PIECES, max_decoding_length=PIECES,
        )  # fmt: skip
        texts: list[str] = processor.decode([result.hypotheses[0] for result in found])
        return texts

    return lambda path: translate(many, read_lines(path)), lambda line: translate(one, [line])[0]


if __name__ == "__main__":
    serve(load)
