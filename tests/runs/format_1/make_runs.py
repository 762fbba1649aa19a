"""Makes the archives in this folder: small trained runs, with what the code that trained them made of them.

The archives here are by the last commit of format 1, 962853e. In a checkout of it:

    PYTHONPATH=. python .../tests/runs/format_1/make_runs.py FOLDER

Everything goes through the console command, whose words have stayed the same. Paths in the configurations are relative
to the folder in which an archive is unpacked.
"""

import json
import lzma
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

STEPS, MORE = 1200, 20
LETTERS = "abcdefghij"
UNUSUAL = ("", "Grüße, 世界", "1 {never seen} 2 {twice} {twice}", " ".join("31415926" * 20))  # the last is split
KEPT = (
    "config.yaml",
    "metrics.jsonl",
    "checkpoints/best.npz",
    "checkpoints/last.npz",
    f"checkpoints/step-{STEPS:08}.npz",
)
TRAINING = {
    "max_steps": STEPS, "validate_every": STEPS // 4, "learning_rate": 0.01, "warmup_steps": 10, "monitor": "loss",
    "schedule": "constant", "xla": "none",
}  # fmt: skip


def nmt(folder: Path, *arguments: str) -> str:
    """What a command prints, run in a folder."""
    command = [sys.executable, "-c", "from nmt.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def digits(generator: random.Random) -> list[str]:
    """Three to seven digits."""
    return generator.choices("0123456789", k=generator.randint(3, 7))


def with_placeholders(generator: random.Random) -> list[str]:
    """Two to five digits, now and then a placeholder in the place of one."""
    words = generator.choices("0123456789", k=generator.randint(2, 5))
    return [f"{{{generator.randbytes(2).hex()}}}" if generator.random() < 0.2 else word for word in words]


def as_letters(words: list[str]) -> list[str]:
    """What the digits are translated to; placeholders stay."""
    return [LETTERS[int(word)] if word.isdecimal() else word for word in words]


def write_corpus(folder: Path, make: Any, translate: Any) -> dict[str, Any]:
    """Writes tab-separated files and returns `data.corpus`."""
    folder.mkdir(parents=True)
    corpus: dict[str, Any] = {"kind": "tsv"}
    for seed, (split, count) in enumerate((("train", 400), ("validation", 50), ("test", 60))):
        generator = random.Random(seed)
        sources = [make(generator) for _ in range(count)]
        pairs = (f"{' '.join(source)}\t{' '.join(translate(source))}\n" for source in sources)
        (folder / f"{split}.tsv").write_text("".join(pairs), encoding="utf-8")
        corpus[split] = [f"corpus/{split}.tsv"]
    return corpus


def one_layer(folder: Path) -> dict[str, Any]:
    """A joint vocabulary, one layer each side, dot attention; digit strings are reversed."""
    return {
        "data": {
            "source_language": "digits",
            "target_language": "reversed",
            "corpus": write_corpus(folder / "corpus", digits, lambda words: words[::-1]),
        },
        "tokenizer": {"vocabulary_size": 300},
        "batches": {"tokens": 600, "shapes": 2},
        "model": {"units": 8, "embedding": 8, "dropout": 0.05, "attention": "dot"},
        "training": TRAINING,
        "decoding": {"beam_size": 3},
    }


def two_layers(folder: Path) -> dict[str, Any]:
    """Two vocabularies, two normalised layers each side, multi-head attention, averaged weights, placeholders."""
    return {
        "data": {
            "source_language": "digits",
            "target_language": "letters",
            "corpus": write_corpus(folder / "corpus", with_placeholders, as_letters),
        },
        "tokenizer": {"vocabulary_size": 300, "joint": False, "placeholders": ["braces"]},
        "batches": {"tokens": 600, "shapes": 2},
        "model": {
            "units": 6,
            "embedding": 4,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "attention": "multi_head",
            "attention_heads": 2,
            "layer_normalization": True,
            "tied_embeddings": "target",
            "dropout": 0.0,
        },
        "training": TRAINING | {"average_decay": 0.98},
        "decoding": {"beam_size": 3, "coverage_penalty": 0.2},
    }


def language_model(folder: Path) -> dict[str, Any]:
    """The same digit strings as `one_layer`, of one language."""
    corpus = write_corpus(folder / "corpus", digits, lambda words: words[::-1])
    return {
        "task": "language_model",
        "data": {"target_language": "reversed", "corpus": corpus, "cleaning": {"drop_duplicates": False}},
        "tokenizer": {"vocabulary_size": 300},
        "batches": {"tokens": 600, "shapes": 2},
        "model": {"units": 8, "embedding": 8, "dropout": 0.05},
        "training": TRAINING,
    }


def record(folder: Path, task: str) -> None:
    """Writes beside the run what this code makes of its test split, and where some more training leads."""
    data = folder / "run" / "data"
    if task == "language_model":
        (folder / "scores.tsv").write_text(nmt(folder, "score", "run", str(data / "test.target.txt")), encoding="utf-8")
    else:
        texts = [str(data / f"test.{side}.txt") for side in ("source", "target")]
        (folder / "scores.tsv").write_text(nmt(folder, "score", "run", *texts), encoding="utf-8")
        lines = Path(texts[0]).read_text(encoding="utf-8").splitlines()
        sources = folder / "sources.txt"
        sources.write_text("".join(f"{line}\n" for line in (*lines, *UNUSUAL)), encoding="utf-8")
        for name, beam in (("beam", 3), ("greedy", 1)):
            options = ("--input", str(sources), "--format", "json", "--n-best", str(beam))
            found = nmt(folder, "translate", "run", *options, "--set", f"decoding.beam_size={beam}")
            (folder / f"{name}.jsonl").write_text(found, encoding="utf-8")
    subprocess.run(["cp", "-r", "run", "longer"], cwd=folder, check=True)
    nmt(folder, "train", "run/config.yaml", "--run", "longer", "--set", f"training.max_steps={STEPS + MORE}")
    last = (folder / "longer" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    names = ("step", "training_loss", "validation_loss", "bleu", "perplexity")
    metrics = {name: value for name, value in json.loads(last).items() if name in names}
    (folder / "continued.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def pack(folder: Path, archive: Path) -> None:
    """Packs the run and what was recorded."""
    paths = [folder / "run" / name for name in KEPT]
    paths += [path for path in sorted((folder / "run" / "data").iterdir()) if "epoch" not in path.name]
    paths += [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != "config.yaml"]
    with tarfile.open(archive, "w:xz", preset=9 | lzma.PRESET_EXTREME) as packed:
        for path in paths:
            packed.add(path, path.relative_to(folder), filter=anonymous)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry without its time and owner."""
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def main(to: Path) -> None:
    """Makes all archives in a folder."""
    for make in (one_layer, two_layers, language_model):
        folder = to.resolve() / make.__name__
        config = make(folder)
        (folder / "config.yaml").write_text(json.dumps(config, indent=1), encoding="utf-8")  # JSON is YAML
        nmt(folder, "train", "config.yaml", "--run", "run")
        record(folder, config.get("task", "translation"))
        pack(folder, to / f"{make.__name__}.tar.xz")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
