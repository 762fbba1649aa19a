"""Strings, configurations and bytes that nobody would write: does anything fall over, hang, or answer differently?

    python benchmarks/fuzz.py strings OUTPUT
    python benchmarks/fuzz.py settings OUTPUT
    python benchmarks/fuzz.py readers OUTPUT --corpora benchmarks/results/fuzz-corpora.tar.xz

`strings` generates texts of all classes of Unicode, and sends them through normalising, masking and tokenising, in
plain Python and in the graph, which have to agree, and through a small trained translator, twice: in their order, and
shuffled into batches of another size. `settings` mutates the files of `configs/`, value by value and as text. `readers`
fuzzes what reads bytes that others wrote, by atheris, which `pip install -e '.[fuzz]'` installs: one reader after the
other, ten minutes each, and keeps the smallest of what reached anything new. Whatever is refused has to be
refused in one line of at most 500 characters. OUTPUT has the results of all three; each goes on where it was stopped.
"""

import argparse
import contextlib
import io
import json
import random
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from machine import describe_machine

from nmt.utils.errors import UserError
from nmt.utils.files import written_whole

CHUNK = 500
SECONDS = 5  # of the processor's time, for a configuration; a chunk of strings may take it for each string
CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
LARGEST = 120_000  # bytes of a reader's corpus that are kept


def main() -> None:
    """Runs one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("strings", "settings", "readers"))
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, help="100,000 strings or 20,000 configurations if absent.")
    parser.add_argument("--seconds", type=int, default=600, help="For each reader.")
    parser.add_argument("--readers", nargs="*", help="Which; all if absent.")
    parser.add_argument("--corpora", type=Path, help="An archive of corpora to begin with and to keep.")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    result: dict[str, Any] = {}
    if arguments.output.exists():
        result = json.loads(arguments.output.read_text(encoding="utf-8"))
    packages = ("tensorflow", "tensorflow-text", "sentencepiece", "pydantic", "pyyaml")
    versions = {name: version(name) for name in packages}
    command = shlex.join(["python", "benchmarks/fuzz.py", sys.argv[1], "OUTPUT", *sys.argv[3:]])
    part = result.setdefault(arguments.part, {"command": command, "machine": describe_machine(), "versions": versions})
    if part["command"] != command:
        raise SystemExit(f"{arguments.output}: {arguments.part} were begun by {part['command']}")

    def save() -> None:
        with written_whole(arguments.output) as file:
            json.dump(result, file, indent=1)

    {"strings": _strings, "settings": _settings, "readers": _readers}[arguments.part](part, arguments, save)


# Strings


def _strings(part: dict[str, Any], arguments: argparse.Namespace, save: Callable[[], None]) -> None:
    from nmt.cli.options import load_tensorflow

    load_tensorflow()
    with tempfile.TemporaryDirectory() as temporary:
        checks = _checks(Path(temporary), arguments.seed)
        _in_chunks(
            part, arguments, arguments.count or 100_000, save, lambda chunk, generator: _check(checks, generator)
        )


def _in_chunks(
    part: dict[str, Any],
    arguments: argparse.Namespace,
    count: int,
    save: Callable[[], None],
    check: Callable[[int, random.Random], tuple[Counter[str], list[str]]],
) -> None:
    """Checks chunk after chunk, and saves what was found after each."""
    part.setdefault("done", 0)
    part.setdefault("outcomes", {})
    part.setdefault("faults", [])
    while part["done"] < count:
        number = part["done"] // CHUNK
        found, faults = check(number, random.Random(f"{arguments.seed} {arguments.part} {number}"))
        part["outcomes"] = dict(Counter(part["outcomes"]) + found)
        part["faults"] = (part["faults"] + faults)[:100]
        part["done"] += CHUNK
        save()
        print(arguments.part, part["done"], part["outcomes"], len(part["faults"]), file=sys.stderr, flush=True)


def _check(
    checks: dict[str, Callable[[Sequence[str]], list[str]]], generator: random.Random
) -> tuple[Counter[str], list[str]]:
    """Has each check look at a chunk of strings; if one raises, at each string alone."""
    texts, found, faults = [random_text(generator) for _ in range(CHUNK)], Counter[str](), []
    for name, check in checks.items():
        start = time.process_time()
        try:
            with _deadline(CHUNK):
                wrong = check(texts)
        except Exception:
            wrong = [fault for text in texts for fault in _alone(check, text)] or ["fails together only"]
        if time.process_time() - start > SECONDS * CHUNK:
            wrong.append("took too long")
        found[name] += CHUNK
        found[f"{name}: wrong"] += len(wrong)
        faults += [f"{name}: {fault}" for fault in wrong[:5]]
    return found, faults


def _alone(check: Callable[[Sequence[str]], list[str]], text: str) -> list[str]:
    try:
        with _deadline(60):
            return check([text])
    except Exception as error:
        return [f"{text[:200]!a}: {type(error).__name__}: {str(error)[:200]}"]


@contextlib.contextmanager
def _deadline(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _checks(folder: Path, seed: int) -> dict[str, Callable[[Sequence[str]], list[str]]]:
    """Makes a small translator, and returns what to check of each text."""
    import tensorflow as tf

    from nmt.inference.translator import Translator
    from nmt.runs.translation import load_for_search
    from nmt.text.graph_normalization import normalize_in_graph
    from nmt.text.masking import mask as mask_in_graph
    from nmt.text.masking import restore as restore_in_graph
    from nmt.text.normalization import normalize
    from nmt.text.placeholders import KINDS, mask, restore

    run = _train(folder)
    model, (source, target), config = load_for_search(run, None, [])
    common: dict[str, Any] = {"frozen": True, "max_tokens": config.batches.max_length, "beam_size": 2}
    common |= {"max_length_factor": 0.2, "max_length_offset": 4, "limit_repetition": True}
    in_order = Translator(model, source, target, batch_size=128, **common)
    shuffled = Translator(model, source, target, batch_size=37, **common)
    kinds = list(KINDS)

    def utf8(text: str) -> str:
        return text.encode(errors="replace").decode()

    def encoded(texts: Sequence[str]) -> tf.Tensor:
        return tf.constant([utf8(text).encode() for text in texts])

    def differing(texts: Sequence[str], ours: Sequence[Any], theirs: Sequence[Any]) -> list[str]:
        triples = zip(texts, ours, theirs, strict=True)
        return [f"{text[:300]!a}: {ascii(a)[:200]}, {ascii(b)[:200]}" for text, a, b in triples if a != b]

    def normalising(texts: Sequence[str]) -> list[str]:
        plain = [normalize(utf8(text)) for text in texts]
        graph = [text.decode() for text in normalize_in_graph(encoded(texts)).numpy()]
        return differing(texts, plain, graph) + differing(texts, plain, list(map(normalize, plain)))

    def masked(texts: Sequence[str]) -> list[str]:
        plain = [mask(utf8(text), kinds) for text in texts]
        found = mask_in_graph(kinds, encoded(texts))
        graph = [text.decode() for text in found.source.numpy()]
        restored = [text.decode() for text in restore_in_graph(found.source[:, None], found.placeholders).numpy()[:, 0]]
        again = [restore(text, names) for text, names in plain]
        return differing(texts, [text for text, _ in plain], graph) + differing(texts, again, restored)

    def tokenising(texts: Sequence[str]) -> list[str]:
        decoded = [text.decode() for text in source.decode(source.encode(encoded(texts))).numpy()]
        return differing(texts, [normalize(utf8(text)) for text in texts], decoded)

    def translating(texts: Sequence[str]) -> list[str]:
        order = random.Random(seed).sample(range(len(texts)), len(texts))
        other = dict(zip(order, shuffled.hypotheses([texts[index] for index in order]), strict=True))
        wrong = []
        for index, ours in enumerate(in_order.hypotheses(list(texts))):
            same = [one.text for one in ours] == [one.text for one in other[index]]
            near = all(abs(a.score - b.score) < 1e-3 for a, b in zip(ours, other[index], strict=False))
            if not (same and near):
                wrong.append(f"{texts[index][:300]!a}: {ours[:1]!a}, {other[index][:1]!a}")
        return wrong

    return {"normalising": normalising, "masking": masked, "tokenising": tokenising, "translating": translating}


def _train(folder: Path) -> Path:
    """Trains a small translator of digits and words, some of them rare."""
    from nmt.config import parse_config
    from nmt.training.train import train

    generator, words = random.Random(1), [*"123456789éü日本", "the", "a", "of"]
    corpus: dict[str, Any] = {"kind": "text"}
    for split, count in (("train", 600), ("validation", 30), ("test", 30)):
        lines = [" ".join(generator.choices(words, k=5)) for _ in range(count)]
        corpus[split] = {}
        for side, texts in (("source", lines), ("target", [line[::-1] for line in lines])):
            path = folder / f"{split}.{side}.txt"
            path.write_text("\n".join(texts) + "\n", encoding="utf-8")
            corpus[split][side] = [str(path)]
    training = {"max_steps": 40, "validate_every": 20, "warmup_steps": 4, "precision": "float32", "xla": "none"}
    tree = {
        "data": {"source_language": "en", "target_language": "de", "corpus": corpus},
        "tokenizer": {"vocabulary_size": 300},
        "model": {"units": 8, "embedding": 8, "encoder_layers": 1, "decoder_layers": 1},
        "training": training,
    }
    return train(parse_config(tree), folder / "run").path


_CODES: dict[str, list[int]] = {}
_SCRIPTS = ("Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Thai", "Hangul", "CJK", "Mongolian")
_ODD = [
    "{name}", "%s", "%1$d", "<b>", "</b>", "<br/>", "&amp;", "${x}", "{{y}}", "{", "}", "%", "<", "http://a.b/c?d=e#f",
    "a@b.c", "\ufdd0", "\ufdd9", "\ufffd", "\ufeff", "\u2581", "\u200b", "\u200d", "\u202e", "\u2028", "\x85", "\0",
    "\x1b[31m", "\r", "\n", "\t", "\ud800", "\udfff", "\U0001f469\u200d\U0001f467", "\U0001f3f4\U000e0067\U000e007f",
    "\U0001f1e9\U0001f1ea", "e\u0301\u0301\u0301", "\u1100\u1161\u11a8", "\ufb01", "\u0130", "ß", "1,234.5", "\u0663",
    "</s>", "<pad>", "<unk>", "<0x41>", "the", "1 2 3",
]  # fmt: skip


def random_text(generator: random.Random) -> str:
    """Draws a text of all classes of Unicode, of one script, of what is odd, or of all mixed; or one very long word."""
    if not _CODES:
        for code in range(sys.maxunicode + 1):
            name = unicodedata.name(chr(code), "")
            _CODES.setdefault(unicodedata.category(chr(code)), []).append(code)
            for script in _SCRIPTS:
                if name.startswith(script.upper()):
                    _CODES.setdefault(script, []).append(code)
    classes = list(_CODES)

    def piece() -> str:
        match generator.randrange(6):
            case 0:
                return generator.choice(_ODD)
            case 1:
                return generator.choice((" ", "  ", ". ", "? ", ""))
            case 2:
                return chr(generator.choice(_CODES["Mn"])) * generator.randint(1, 4)
            case 3:
                chosen = _CODES[generator.choice(_SCRIPTS)]
                return "".join(chr(generator.choice(chosen)) for _ in range(generator.randint(1, 8)))
            case _:
                return chr(generator.choice(_CODES[generator.choice(classes)]))

    kind = generator.random()
    if kind < 0.01:
        return piece() * generator.randint(1, 400)
    if kind < 0.02:
        return "".join(generator.choices("abcdefgh日", k=generator.randint(100, 2000)))
    return "".join(piece() for _ in range(generator.randint(0, 14)))


# Configurations

_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 2**31, 2**63, 2**70, -(2**40), 0.0, -0.0, 1e-300, 1e300, float("inf"),
    float("-inf"), float("nan"), "", " ", "no", "yes", "auto", "1", "1e3", "x" * 700, "\0", "\ud800", "日本", "a\nb",
    "../../..", "/dev/null", "/dev/zero", [], [[]], ["x"], [1] * 50, {}, {"x": 1}, {1: 2}, {None: None},
    {"kind": "tsv"}, {"kind": "text"}, b"\xff", 10**400, 5e-324, "nan", ".inf", "null", "~", [None], {"train": None},
]  # fmt: skip
_TOKENS = [
    "&a", "*a", "<<: *a", "!!python/object/apply:os.system [id]", "!!binary x", "!!set {a}", "!!float x", "!x",
    "%YAML 9", "---", "...", "{", "}", "[", "]", ": ", "- ", "? ", "|", ">", "'", '"', "#", "\t", "\0", "\ufeff",
    "\x85", "\u2028", "\r", "2024-13-45", "0o9", "0x", "1:60", "=", "~", ".inf", ".nan", "1_0", "  ", "\n", "é",
    "\ud800", "@", "`", "999" * 99,
]  # fmt: skip


def _settings(part: dict[str, Any], arguments: argparse.Namespace, save: Callable[[], None]) -> None:
    from nmt.config import load_config, load_saved_config, parse_config

    texts = [path.read_text(encoding="utf-8") for path in CONFIGS]
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "config.yaml"

        def check(number: int, generator: random.Random) -> tuple[Counter[str], list[str]]:
            found, faults = Counter[str](), []
            for _ in range(CHUNK):
                text, overrides = generator.choice(texts), [_override(generator)] * (generator.random() < 0.1)
                if generator.random() < 0.5:
                    tree = yaml.safe_load(text)
                    for _ in range(generator.choice((1, 1, 2, 5))):
                        _mutate_tree(tree, generator)
                    how, call = "values", lambda tree=tree: parse_config(tree, "config.yaml")
                else:
                    path.write_bytes(_mutate_text(text, generator))
                    load = load_saved_config if generator.random() < 0.2 else load_config
                    how, call = "text", lambda load=load, overrides=overrides: load(path, overrides)
                outcome = _refusal(call)
                found[f"{how}: {outcome.partition(':')[0]}"] += 1
                if ":" in outcome:
                    shown = repr(tree) if how == "values" else repr(path.read_bytes())
                    faults.append(f"{outcome}: {ascii(shown)[-1500:]}")
            return found, faults

        _in_chunks(part, arguments, arguments.count or 20_000, save, check)


def _refusal(call: Callable[[], object]) -> str:
    """Returns what became of a configuration; with a colon if that is a fault."""
    start = time.process_time()
    try:
        with _deadline(60), warnings.catch_warnings():
            warnings.simplefilter("error")  # a warning of pydantic's would be printed with its lines of code
            call()
        outcome = "accepted"
    except UserError as error:
        outcome = "refused"
        if len(str(error)) > 500 or len(str(error).splitlines()) != 1:
            return f"too long: {len(str(error))} characters"
    except TimeoutError:
        return "hang: no end"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {str(error)[:200]}"
    return outcome if time.process_time() - start < SECONDS else "hang: too long"


def _override(generator: random.Random) -> str:
    key = generator.choice(
        ("model.units", "data.corpus.train", "decoding", "seed", "a.b.c", "", ".", "model..", "training.xla")
    )
    return f"{key}{generator.choice(('=', '', '==', ' ='))}{generator.choice([*_TOKENS, *map(str, _VALUES)])}"


def _mutate_tree(tree: dict[Any, Any], generator: random.Random) -> None:
    """Changes, removes, renames or adds one setting."""
    group: Any = tree
    while isinstance(group, dict) and group:
        key = generator.choice(list(group))
        if isinstance(group[key], dict) and group[key] and generator.random() < 0.8:
            group = group[key]
            continue
        match generator.randrange(6):
            case 0:
                del group[key]
            case 1:
                name = str(key)
                place = generator.randrange(len(name) + 1)
                group[name[:place] + generator.choice("aeiou_é\0 .") + name[place:]] = group.pop(key)
            case 2:
                group[generator.choice(_VALUES[:30:2]) if generator.random() < 0.3 else "added"] = generator.choice(
                    _VALUES
                )
            case 3 if isinstance(group[key], int | float) and abs(group[key]) < 1e100:
                group[key] *= generator.choice((-1, 0, 10, 1e6, 1e18, 0.001))
            case _:
                group[key] = generator.choice(_VALUES)
        return


def _mutate_text(text: str, generator: random.Random) -> bytes:
    """Changes a file as bytes, as characters or as lines."""
    for _ in range(generator.choice((1, 1, 2, 4))):
        place = generator.randrange(len(text) + 1)
        lines = text.splitlines(keepends=True) or [""]
        line = generator.randrange(len(lines))
        match generator.randrange(6):
            case 0:
                text = text[:place] + generator.choice(_TOKENS) + text[place:]
            case 1:
                text = text[:place]
            case 2:
                text = "".join([*lines[:line], *lines[line + 1 :]])
            case 3:
                text = "".join([*lines[: line + 1], *lines[line:]])
            case 4:
                other = generator.randrange(len(lines))
                lines[line], lines[other] = lines[other], lines[line]
                text = "".join(lines)
            case _:
                text = text[:place] + chr(generator.randrange(0x300)) + text[place + 1 :]
    content = bytearray(text.encode("utf-8", "surrogatepass"))
    if content and generator.random() < 0.2:
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    return bytes(content)


# Readers


def _readers(part: dict[str, Any], arguments: argparse.Namespace, save: Callable[[], None]) -> None:
    from fuzz_readers import READERS

    part["versions"]["atheris"] = version("atheris")
    part.setdefault("readers", {})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.corpora and arguments.corpora.exists():
            with tarfile.open(arguments.corpora) as archive:
                archive.extractall(folder, filter="data")
        for name in arguments.readers or READERS:
            if name in part["readers"]:
                continue
            part["readers"][name] = _fuzz(name, folder, arguments.seconds)
            print(name, part["readers"][name], file=sys.stderr, flush=True)
            if arguments.corpora:
                _pack(folder, list(READERS), arguments.corpora)
            save()


def _fuzz(name: str, folder: Path, seconds: int) -> dict[str, Any]:
    """Fuzzes one reader, and keeps the smallest of what reached anything new."""
    from fuzz_seeds import SEEDS

    corpus, found, faults = folder / name, folder / f"{name}.found", folder / f"{name}.faults"
    for each in (corpus, found, faults):
        each.mkdir(exist_ok=True)
    for number, seed in enumerate(SEEDS[name]()):
        (found / f"seed-{number}").write_bytes(seed)
    script = [sys.executable, str(Path(__file__).with_name("fuzz_readers.py")), name]
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={faults}/", "-timeout=20", "-rss_limit_mb=6000"]
    options += ["-max_len=8192", "-print_final_stats=1", "-reduce_inputs=1"]
    finished = subprocess.run(
        [*script, str(found), str(corpus), *options], capture_output=True, check=False, text=True, errors="replace"
    )
    size = 0
    for path in sorted(found.iterdir(), key=lambda path: path.stat().st_size):  # each reaches what no other does
        size += path.stat().st_size
        if size <= LARGEST:
            path.rename(corpus / path.name)
    statistics = dict(re.findall(r"^stat::(\w+):\s+(\d+)", finished.stderr, re.MULTILINE))
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", finished.stderr)
    result: dict[str, Any] = {"seconds": seconds, "executions": int(statistics.get("number_of_executed_units", 0))}
    result |= {
        "coverage": [int(value) for value in coverage[-1]] if coverage else None,
        "kept": len(list(corpus.iterdir())),
    }
    if finished.returncode or list(faults.iterdir()):
        trace = [
            line for line in finished.stderr.splitlines() if re.match(r"\s*(File|\w+Error|=+ ERROR|[\w.]+:)", line)
        ]
        result["faults"] = {path.name: path.read_bytes().hex() for path in faults.iterdir()}
        result["status"], result["trace"] = finished.returncode, trace[-12:]
        for path in faults.iterdir():  # what was a fault is read again by the tests
            path.rename(corpus / path.name)
    return result


def _pack(folder: Path, names: Sequence[str], archive: Path) -> None:
    """Writes all corpora to one archive, equal for equal corpora."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz", preset=9) as packed:
        for name in names:
            for number, path in enumerate(sorted((folder / name).iterdir()) if (folder / name).is_dir() else ()):
                information = tarfile.TarInfo(f"{name}/{number:04}")
                information.size = path.stat().st_size
                packed.addfile(information, io.BytesIO(path.read_bytes()))
    with written_whole(archive, "wb") as file:
        file.write(content.getvalue())


if __name__ == "__main__":
    main()
