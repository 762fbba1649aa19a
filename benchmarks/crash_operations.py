"""What crash_campaign.py kills: commands on a tiny corpus, each in a world made for it, and what a world holds."""

import hashlib
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

RUN = ("config.yaml", "--run", "run")
SETTINGS = ("run/config.yaml", "run/run.json")
STATE = (*SETTINGS, "run/checkpoints/best.npz", "run/checkpoints/last.npz", "run/metrics.jsonl")
DATA = ("run/data/report.json", "run/data/*.model", "run/data/*.txt", "run/data/[tv]*.npy")
EPOCHS = re.compile(r"(run|tuned)/data/epoch-\d{4}(/.*)?")  # drawn ahead of the steps, kept for some epochs
EVENTS = "tensorboard/"  # what TensorBoard shows; each process adds a file
PART = re.compile(r"\.nmt-[^/]*\.part|#\d+ \(deleted\)")
# What differs between processes, and the losses, which are means over the steps since the process began.
PER_PROCESS = (
    "sha256",
    "seconds",
    "target_tokens_per_second",
    "peak_memory_gib",
    "training_loss",
    "training_plain_loss",
)


class Operation(NamedTuple):
    """A command that is tried, in a world of its own.

    Attributes:
        arguments: the command's, relative to the world.
        setup: the commands that make the world.
        writes: patterns of the files that it may change or make; all others are the user's.
        kept: patterns of files among them: where there is one before, there is one at every moment, the former or the
            whole new one.
        there: patterns of files that must exist at every moment, in whichever of their versions.
        edit: what a person does in the world after that, by the name of the file and what is added to it.
        verified: a folder that `nmt verify` must find whole at every moment.
        exported: a SavedModel that it makes, which translates as that of any other process, though its bytes differ.
    """

    arguments: tuple[str, ...]
    setup: tuple[tuple[str, ...], ...]
    writes: tuple[str, ...]
    kept: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    edit: Mapping[str, str] = {}
    verified: str = ""
    exported: str = ""


_PREPARE = ("prepare", *RUN)
_TRAIN = ("train", *RUN)
_HALF = (*_TRAIN, "--set", "training.max_steps=7")
_TRAINED = (_TRAIN, ("average", "run"))
_OWN_RUN = ("run/*",)

OPERATIONS = {
    "prepare": Operation(_PREPARE, (), _OWN_RUN),
    "prepare again": Operation(
        _PREPARE, (_PREPARE,), _OWN_RUN, SETTINGS,
        edit={"corpus/train.source.txt": "1 2 3\n", "corpus/train.target.txt": "3 2 1\n"},
    ),
    "train": Operation(_TRAIN, (_PREPARE,), _OWN_RUN, DATA, STATE, verified="run"),
    "resume": Operation(_TRAIN, (_HALF,), _OWN_RUN, DATA, STATE, verified="run"),
    "fine-tune": Operation(
        ("train", "config.yaml", "--run", "tuned", "--set", "training.start_from=run", "--set", "training.max_steps=4"),
        _TRAINED, ("tuned/*",),
    ),
    "average": Operation(
        ("average", "run", "best", "last"), _TRAINED, ("run/checkpoints/averaged.npz",),
        ("run/checkpoints/averaged.npz",), verified="run",
    ),
    "tune": Operation(
        ("tune", "run", "--sentences", "100"), _TRAINED, (*SETTINGS, "run/tuning.json"), ("run/config.yaml",),
        ("run/run.json",), verified="run",
    ),
    "export": Operation(
        ("export", "run", "--to", "model"), (*_TRAINED, ("export", "run", "--to", "model")), ("model/2/*",),
        verified="model", exported="model/2",
    ),
    "export litert": Operation(("export", "run", "--to", "lite", "--format", "litert"), _TRAINED, ("lite/*",)),
    "augment": Operation(
        ("augment", "run", "text.txt.gz", "--method", "self-training", "--to", "more", "--set", "decoding.beam_size=1"),
        _TRAINED, ("more/*",),
    ),
    "translate": Operation(
        ("translate", "run", "--input", "text.txt", "--output", "translated.txt"), _TRAINED, ("translated.txt",),
        ("translated.txt",),
    ),
    "evaluate": Operation(
        ("evaluate", "run", "--samples", "0", "--save", "translated.txt"), _TRAINED, ("translated.txt",),
        ("translated.txt",),
    ),
}  # fmt: skip


def make_user_files(world: Path) -> None:
    """Writes what is the user's before any command: a corpus, its configuration, and files that nothing reads."""
    import gzip

    (world / "corpus").mkdir(parents=True)
    corpus: dict[str, Any] = {"kind": "text"}
    for seed, (split, count) in enumerate((("train", 300), ("validation", 100), ("test", 30))):
        generator = random.Random(seed)
        sources = [" ".join(generator.choices("0123456789", k=generator.randrange(3, 8))) for _ in range(count)]
        corpus[split] = {}
        for side, lines in (("source", sources), ("target", [line[::-1] for line in sources])):
            name = f"corpus/{split}.{side}.txt"
            (world / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            corpus[split][side] = [name]
    text = (world / "corpus/test.source.txt").read_bytes()
    (world / "text.txt").write_bytes(text)
    (world / "text.txt.gz").write_bytes(gzip.compress(text, mtime=0))
    (world / "translated.txt").write_text("an older translation\n", encoding="utf-8")
    (world / "notes.txt").write_text("mine\n", encoding="utf-8")
    (world / "tmp").mkdir()
    config = {
        "data": {"source_language": "digits", "target_language": "reversed", "corpus": corpus},
        "tokenizer": {"algorithm": "unigram", "vocabulary_size": 300, "sampling": 0.2},
        "batches": {"tokens": 600, "shapes": 1},
        "model": {
            "encoder_layers": 1, "decoder_layers": 1, "attention": "dot", "layer_normalization": False, "units": 16,
            "embedding": 16, "dropout": 0.1,
        },
        "training": {
            "learning_rate": 0.01, "average_decay": 0.0, "precision": "float32", "xla": "none", "max_steps": 12,
            "validate_every": 4, "save_every": 3, "warmup_steps": 2, "validation_sentences": 20,
            "schedule": "inverse_square_root",
        },
        "decoding": {"beam_size": 2},
    }  # fmt: skip
    (world / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def contents(world: Path, *, epochs: bool = False) -> dict[str, str]:
    """Returns a digest of each file's content, and `folder` for each folder, by their names relative to the world.

    Left out are seconds, and what else no two processes have alike, files for TensorBoard and, unless
    `epochs`, what was drawn for epochs. Of a SavedModel, which numbers its names anew in each process, only the
    names of its files count.
    """
    found = {}
    for path in sorted(world.rglob("*")):
        name = str(path.relative_to(world))
        if EVENTS not in f"{name}/" and (epochs or not EPOCHS.fullmatch(name)):
            found[name] = "folder" if path.is_dir() else _content(path)
    return found


def is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    """Returns whether a name fits one of some patterns, in which a star stands for any characters."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def without_random_names(found: Mapping[str, str]) -> dict[str, str]:
    """Gives temporary files names that no process number is part of."""
    return {PART.sub(".part", name): content for name, content in found.items()}


def _content(path: Path) -> str:
    read: dict[str, Callable[[bytes], bytes]] = {".npz": _archive, ".jsonl": _metrics}
    content = path.read_bytes()
    if re.search(r"/model/\d+/", str(path)):
        return "there"
    convert = read.get(path.suffix)
    if convert is not None and not PART.search(str(path)):
        try:
            content = convert(content)
        except (ValueError, KeyError, zipfile.BadZipFile, EOFError, OSError) as error:
            return f"damaged: {error}"
    if path.suffix == ".json" and not PART.search(str(path)):
        try:
            json.loads(content)
        except ValueError as error:
            return f"damaged: {error}"
    return hashlib.sha256(content).hexdigest()


def _archive(content: bytes) -> bytes:
    """A checkpoint without the seconds that it took."""
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    state = json.loads(arrays.pop("state").tobytes())
    kept = {name: value for name, value in state.items() if name not in PER_PROCESS}
    digests = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    return json.dumps([kept, digests], sort_keys=True).encode()


def _metrics(content: bytes) -> bytes:
    """The validations of a training, without their speed; or the lines of any other file."""
    lines = [json.loads(line) for line in content.decode().splitlines()]
    if lines and isinstance(lines[0], dict):
        lines = [{k: v for k, v in line.items() if k not in PER_PROCESS} for line in lines if "step" in line]
    return json.dumps(lines, sort_keys=True).encode()
