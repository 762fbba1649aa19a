"""A whole training from a translation memory that this project has written."""

import random

import pytest

from nmt.config import parse_config
from nmt.data.formats.units import Languages, Unit
from nmt.data.named_corpus import corpus_settings
from nmt.data.token_store import read_sentences
from nmt.documents.memory import write_memory
from nmt.runs.folder import RunFolder
from nmt.training.train import train
from tests.helpers import PLAIN_MODEL, PLAIN_TRAINING


@pytest.mark.usefixtures("quick_validation")
def test_a_memory_alone_makes_a_run(tmp_path):
    draw = random.Random(1)
    texts = [" ".join("".join(draw.choices("abdeilmnorst", k=5)) for _ in range(4)) for _ in range(100)]
    units = [
        Unit(str(number), 1, f"<g1>{text}</g1>", (f"<g1>{text[::-1]}</g1>",), "translated", ("<g1>", "</g1>"))
        for number, text in enumerate(texts)
    ]
    units += [Unit("machine", 1, "0 0", ("0 0 0",), "machine"), Unit("none", 1, "1 1")]
    with open(tmp_path / "memory.tmx", "wb") as file:
        write_memory(units, [None] * len(units), Languages("en", "de"), file, "20260101T000000Z")
    tree = {
        "data": corpus_settings([str(tmp_path / "memory.tmx")], "en", "de") | {"held_out": 10},
        "tokenizer": {"vocabulary_size": 300, "placeholders": ["tags"]},
        "batches": {"tokens": 600, "shapes": 1},
        "model": PLAIN_MODEL | {"units": 8, "embedding": 8},
        "training": PLAIN_TRAINING | {"max_steps": 3, "validate_every": 3, "warmup_steps": 1},
    }
    train(parse_config(tree, "test"), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    pairs = list(zip(*(read_sentences(run.data, "train", side) for side in ("source", "target")), strict=True))
    assert len(pairs) == 80
    assert all(source[4:-5] == target[4:-5][::-1] for source, target in pairs)
    assert (tmp_path / "run" / "checkpoints" / "best.npz").exists()
