"""Damages every file of a run and of its exports: is each damage refused by name, or are the answers provably the same?

    python benchmarks/damage_campaign.py FOLDER benchmarks/results/damage-campaign.json

In FOLDER two small runs are trained and exported, as SavedModel and for LiteRT, unless they are there. Each file of the
first is then damaged again and again: bits flipped, cut, two blocks exchanged, random bytes inserted, emptied, replaced
by the other run's file. After each damage the file is

* verified, by what `nmt verify` calls, until it says something of this file;
* opened, by what translating, or going on with the training, calls before it computes anything. What it is refused for,
  or warned of, has to name the file. Otherwise what was read has to be what was read before the damage (settings, every
  array, both tokenizers, in their bytes): the answers are computed from nothing else. With some of these, lines are
  translated nevertheless.

Of the damages to files that only a training reads, one in ten is opened, as a training does, and one in forty of an
epoch's segmentation, which is drawn again. A file that nothing reads, such as TensorBoard's, changes no answer. Weights
of a SavedModel, which TensorFlow Serving reads without comparing digests, are in addition read as TensorFlow does.
Results are written after every file; the same command goes on where it was stopped.
"""

import argparse
import functools
import json
import logging
import random
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.cli.options import load_tensorflow
from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

SECONDS = 5  # of the processor's time: more than verifying or opening may take
TRANSLATED = 2  # of the damages to each file that change nothing
LINES = ["1 2 3", "4 5 6 7", "9 8 1", ""]


def main() -> None:
    """Runs the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--mutations", type=int, default=2000, help="Of each file.")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    load_tensorflow()
    logging.getLogger("nmt").setLevel(logging.WARNING)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    own, other = (_make(arguments.folder / name, seed) for seed, name in enumerate(("own", "other"), 1))
    result = _begin(arguments)
    work = arguments.folder / "damaged"  # a copy, because this may be killed while a file is damaged
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(own, work)
    targets = {"run": Run(work / "run"), "savedmodel": SavedModel(work / "translator"), "litert": Lite(work / "lite")}
    paths = [(name, path) for name, opened in targets.items() for path in sorted(opened.root.rglob("*"))]
    for target, path in sorted(paths, key=lambda pair: "tensorboard" in pair[1].parts):  # which takes longest, last
        opened, relative = targets[target], path.relative_to(targets[target].root)
        name = f"{target}/{relative}"
        if name in result["files"] or not path.is_file():
            continue
        generator, theirs = random.Random(f"{arguments.seed} {name}"), other / opened.root.name / relative
        result["files"][name] = _damage(opened, path, theirs, arguments.mutations, generator)
        print(name, json.dumps(result["files"][name]["outcomes"]), file=sys.stderr, flush=True)
        _write(arguments.output, result)
    _write(arguments.output, result)


def _begin(arguments: argparse.Namespace) -> dict[str, Any]:
    command = shlex.join(["python", "benchmarks/damage_campaign.py", "FOLDER", "OUTPUT", *sys.argv[3:]])
    if arguments.output.exists():
        before: dict[str, Any] = json.loads(arguments.output.read_text(encoding="utf-8"))
        if before["command"] != command:
            raise SystemExit(f"{arguments.output}: is of another command: {before['command']}")
        return before
    versions = {name: version(name) for name in ("tensorflow", "keras", "sentencepiece", "ai-edge-litert")}
    return {"command": command, "machine": describe_machine(), "versions": versions, "files": {}}


def _write(output: Path, result: dict[str, Any]) -> None:
    files = result["files"].values()
    result["mutations"] = sum(file["mutations"] for file in files)
    result["outcomes"] = dict(sum((Counter(file["outcomes"]) for file in files), Counter()))
    result["not_allowed"] = [example for file in files for example in file["not_allowed"]]
    with written_whole(output) as file:
        json.dump(result, file, indent=1)


def _make(folder: Path, seed: int) -> Path:
    """Trains and exports a small run, with everything that a run folder can hold."""
    import nmt.runs.tuning
    from nmt.config import parse_config
    from nmt.data.epochs import epoch_folders
    from nmt.runs.checkpoints import average_run
    from nmt.serving.lite.export import export_lite
    from nmt.serving.saved_model import export_saved_model
    from nmt.training.train import train

    if (folder / "lite").exists():
        return folder
    generator = random.Random(seed)
    corpus: dict[str, Any] = {"kind": "text"}
    for split, count in (("train", 200), ("validation", 60), ("test", 40)):
        sources = [" ".join(generator.choices("0123456789", k=generator.randint(3, 7))) for _ in range(count)]
        corpus[split] = {}
        for side, lines in (("source", sources), ("target", [line[::-1] for line in sources])):
            path = folder / "corpus" / f"{split}.{side}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
            corpus[split][side] = [str(path)]
    tree = {
        "seed": seed,
        "data": {"source_language": "digits", "target_language": "reversed", "corpus": corpus},
        "tokenizer": {"vocabulary_size": 300, "sampling": 0.2},
        "batches": {"tokens": 600, "shapes": 2},
        "model": {"units": 8, "embedding": 8, "encoder_layers": 1, "decoder_layers": 1},
        "training": {
            "max_steps": 60,
            "validate_every": 30,
            "learning_rate": 0.01,
            "warmup_steps": 4,
            "precision": "float32",
            "xla": "none",
        },
        "decoding": {"beam_size": 2},
    }
    train(parse_config(tree), folder / "run")
    average_run(folder / "run")
    tuning = nmt.runs.tuning
    tuning.FEWEST = 10
    tuning.GRID = {}
    tuning.tune_search(folder / "run", sentences=20)
    for epoch in epoch_folders(folder / "run" / "data")[:-1]:  # one shows what all do
        shutil.rmtree(epoch)
    export_saved_model(folder / "run", folder / "translator")
    export_lite(folder / "run", folder / "lite")
    return folder


class Run:
    """A run folder: how it is verified, opened, and translates."""

    def __init__(self, root: Path) -> None:
        import nmt.runs.folder
        import nmt.runs.verification as module
        from nmt.config import load_saved_config

        self.root = root

        # Half of the time would go into the YAML of one unchanged file: what it says depends on its bytes alone.
        @functools.cache
        def parsed(_: bytes) -> Any:
            return load_saved_config(root / "config.yaml")

        self.parsed = parsed
        module.load_saved_config = lambda path: parsed(Path(path).read_bytes())
        nmt.runs.folder.load_saved_config = module.load_saved_config
        self.verify = lambda: module.verify_run(root)

    def every(self, path: Path) -> int:
        """Returns how many damages to a file there are for each that is opened.

        Each, where a translation reads the file. A training that goes on reads the whole folder of data, and draws an
        epoch that is damaged again.
        """
        if self.translates_with(path):
            return 1
        return 40 if path.parent.name.startswith("epoch-") else 10

    def open(self, path: Path) -> Any:
        """Reads what the answers are computed from, or what a training reads that goes on."""
        from nmt.data.vocabulary import load_tokenizers
        from nmt.runs.checkpoints import load_arrays
        from nmt.runs.data import check_identity
        from nmt.runs.folder import load_run_config

        if not self.translates_with(path):
            return self._open_to_train(path)
        run, config = load_run_config(self.root)
        checkpoint = path if path.suffix == ".npz" else run.averaged
        arrays, state = load_arrays(checkpoint)
        check_identity(run, checkpoint, state, with_data=checkpoint == run.last)
        tokenizers = [tokenizer.model for tokenizer in load_tokenizers(run.data)]
        return config, {name: (each.dtype.str, each.shape, each.tobytes()) for name, each in arrays.items()}, tokenizers

    def _open_to_train(self, path: Path) -> Any:
        from nmt.data.epochs import training_epoch
        from nmt.data.token_store import TokenizedCorpus
        from nmt.runs.data import prepare_data
        from nmt.runs.folder import RunFolder
        from nmt.runs.metrics import read_metrics

        run, name = RunFolder(self.root), path.relative_to(self.root).as_posix()
        config = self.parsed((self.root / "config.yaml").read_bytes())
        if name == "metrics.jsonl":
            return [line for line in read_metrics(run) if "config" in line][:1]  # the lines that training reads
        if name.startswith("data/epoch-"):
            corpus = training_epoch(run.data, config, int(path.parent.name.partition("-")[2]))
        elif name.startswith("data/"):
            prepare_data(config, run)
            corpus = TokenizedCorpus.open(run.data, "train")
        else:
            return None  # nothing reads it
        return [side.tobytes() for side in (corpus.source_ids, corpus.source_offsets, corpus.target_ids)]

    def translates_with(self, path: Path) -> bool:
        """Returns whether a translation reads a file."""
        return path.suffix in (".npz", ".model") or path.name in ("config.yaml", "run.json")

    def translations(self, path: Path) -> list[str]:
        """Translates."""
        from nmt.runs.translation import load_translator

        return list(load_translator(self.root, path.stem if path.suffix == ".npz" else None).best(LINES))


class Export:
    """What both kinds of export have in common."""

    def __init__(self, root: Path) -> None:
        from nmt.serving.verification import verify_folder

        self.root = root
        self.verify = lambda: verify_folder(root)

    def every(self, path: Path) -> int:
        """Returns how many damages to a file there are for each that is opened."""
        return 1


class SavedModel(Export):
    """An export for TensorFlow Serving: how it is verified, opened, and translates."""

    def open(self, path: Path) -> Any:
        """Compares the digests."""
        from nmt.serving.saved_model import DIGESTS
        from nmt.utils.digests import check_files

        return check_files(self.root / "1", DIGESTS)

    def translates_with(self, path: Path) -> bool:
        """Returns whether a translation reads a file: every file is looked at."""
        return True

    def translations(self, path: Path) -> list[str]:
        """Translates."""
        import tensorflow as tf

        signature = tf.saved_model.load(str(self.root / "1")).signatures["serving_default"]
        return [text.decode() for text in signature(text=tf.constant(LINES))["translation"].numpy()]

    def weights(self) -> dict[str, bytes]:
        """Reads the weights as TensorFlow Serving does."""
        import tensorflow as tf

        reader = tf.train.load_checkpoint(str(self.root / "1" / "variables" / "variables"))
        return {name: _bytes(reader.get_tensor(name)) for name in sorted(reader.get_variable_to_shape_map())}


class Lite(Export):
    """An export for LiteRT: how it is verified, opened, and translates."""

    def open(self, path: Path) -> Any:
        """Opens the translator, which reads every file wholly."""
        from nmt.serving.lite.translator import LiteTranslator

        return LiteTranslator(self.root).settings

    def translates_with(self, path: Path) -> bool:
        """Returns whether a translation reads a file: every file is looked at."""
        return True

    def translations(self, path: Path) -> list[str]:
        """Translates."""
        from nmt.serving.lite.translator import LiteTranslator

        return list(map(LiteTranslator(self.root).translate, LINES))


def _bytes(tensor: Any) -> bytes:
    return tensor.tobytes() if hasattr(tensor, "tobytes") else bytes(tensor)


def _damage(opened: Any, path: Path, theirs: Path, count: int, generator: random.Random) -> dict[str, Any]:
    """Damages a file `count` times; returns what noticed it, by the kind of damage."""
    content = path.read_bytes()
    before = opened.open(path)
    translations = opened.translations(path) if opened.translates_with(path) else None
    serving = isinstance(opened, SavedModel) and path.parent.name == "variables"
    weights = opened.weights() if serving else None
    by_kind: dict[str, Counter[str]] = {}
    not_allowed: list[str] = []
    translated = 0
    try:
        for number, (kind, damaged) in enumerate(_damages(content, theirs, count, generator)):
            path.write_bytes(damaged)
            verified = _outcome(path, lambda: _verify(opened, path))
            found = "not tried"
            if number % opened.every(path) == 0:
                found = _outcome(path, lambda: "same" if opened.open(path) == before else "WRONG")
            outcomes = [f"verify: {verified}", f"open: {found}"]
            if found == "same" and translations is not None and translated < TRANSLATED:
                translated += 1
                outcomes.append(
                    "translate: "
                    + _outcome(path, lambda: "same" if opened.translations(path) == translations else "WRONG", True)
                )
            if serving:
                read = _outcome(path, lambda: "same" if opened.weights() == weights else "WRONG")
                outcomes.append(f"TensorFlow Serving's reader: {read}")
            by_kind.setdefault(kind, Counter()).update(outcomes)
            if any("WRONG" in outcome or "CRASH" in outcome or "HANG" in outcome for outcome in outcomes):
                not_allowed.append(f"{path.name}: {kind}: {'; '.join(outcomes)}")
    finally:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    assert opened.open(path) == before
    return {
        "mutations": count,
        "outcomes": dict(sum(by_kind.values(), Counter())),
        "by_kind": {kind: dict(found) for kind, found in by_kind.items()},
        "not_allowed": not_allowed[:20],
    }


def _verify(opened: Any, path: Path) -> str:
    """Verifies until something is said of a file; returns what."""
    others = []
    for file in opened.verify():
        if file.path == path and (file.problem or file.note):
            return "refused by name" if file.problem else "an edit, by name"
        if file.problem:
            others.append(file.path.name)
    return f"refused for {others[0]}" if others else "not noticed"


def _outcome(path: Path, call: Callable[[], str], translates: bool = False) -> str:
    """Calls something; returns what it says, or what became of it."""
    try:
        with _deadline(), _warnings() as warnings:
            start = time.process_time()  # wall time would depend on what else runs on the machine
            said = call()
            if time.process_time() - start > SECONDS and not translates:
                return "HANG"
        if said == "WRONG" and any(path.name in warning or path.parent.name in warning for warning in warnings):
            said = "a warning by name"
    except UserError as error:
        said = "refused by name" if path.name in str(error) else f"refused: {str(error)[-60:]}"
        if len(str(error)) > 500 or "\n" in str(error):
            said = f"CRASH: an error of {len(str(error))} characters"
    except TimeoutError:
        said = "HANG"
    except Exception as error:
        # TensorFlow's own reader raises its own errors; nothing of ours may.
        ours = "in weights" not in traceback.format_exc()
        said = f"CRASH: {type(error).__name__}: {str(error)[:200]}" if ours else "refused by TensorFlow"
    return said


@contextmanager
def _deadline() -> Iterator[None]:
    """Raises `TimeoutError` if the block does not end."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(100)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects the warnings of the block."""
    from nmt.runs.folder import _warn_once

    _warn_once.cache_clear()
    found: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler, logger = Collect(), logging.getLogger("nmt")
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def _damages(content: bytes, theirs: Path, count: int, generator: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yields damaged contents and the kind of damage: each differs from what was there."""
    left = count
    for kind, fixed in (("empty", b""), ("of the other run", theirs.read_bytes() if theirs.exists() else content)):
        if fixed != content:
            left -= 1
            yield kind, fixed
    kinds: dict[str, Callable[[bytes, random.Random], bytes]] = {
        "bits flipped": _flip, "cut": _cut, "blocks exchanged": _exchange, "bytes inserted": _insert,
    }  # fmt: skip
    while left:
        kind = generator.choice(list(kinds))
        damaged = kinds[kind](content, generator)
        if damaged != content:
            left -= 1
            yield kind, damaged


def _flip(content: bytes, generator: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
    return bytes(damaged)


def _cut(content: bytes, generator: random.Random) -> bytes:
    return content[: generator.randrange(len(content))]


def _exchange(content: bytes, generator: random.Random) -> bytes:
    size = generator.randint(1, max(1, min(512, len(content) // 4)))
    first, second = sorted(generator.randrange(len(content) - size + 1) for _ in range(2))
    second = max(second, min(first + size, len(content) - size))
    if second < first + size:
        return content
    blocks = content[:first], content[first : first + size], content[first + size : second]
    return blocks[0] + content[second : second + size] + blocks[2] + blocks[1] + content[second + size :]


def _insert(content: bytes, generator: random.Random) -> bytes:
    place = generator.randrange(len(content) + 1)
    return content[:place] + generator.randbytes(generator.randint(1, 16)) + content[place:]


if __name__ == "__main__":
    main()
