"""A translation of a file that is killed again and again, and has to be what the uninterrupted one is.

    python benchmarks/killed_document.py RUN FOLDER OUTPUT [--units 5000] [--kills 20]

FOLDER gets a catalogue of texts of the run's corpus. `nmt translate RUN FILE --output OUT` translates it without
interruption, and then with a SIGKILL at a random moment, again and again: while it loads, and while it translates. The
output may be there only if it is complete; then the work begins anew. The last call is not killed.
"""

import argparse
import hashlib
import json
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from machine import describe_machine

from nmt.constants import SIDES
from nmt.data.token_store import read_sentences
from nmt.documents.journal import journal_path
from nmt.runs.folder import load_run_config
from nmt.utils.files import written_whole

# Seconds: the latest kill after the start, and the latest one after the first translations can be kept.
LOADING, TRANSLATING = 8.0, 15.0
HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Language: {}\\n"\n'


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--units", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    catalogue, whole, killed = (arguments.folder / name for name in ("big.po", "whole.po", "killed.po"))
    units = write_catalogue(arguments.run, catalogue, arguments.units)
    command = [str(Path(sys.executable).with_name("nmt")), "translate", str(arguments.run), str(catalogue)]
    subprocess.run([*command, "--output", str(whole)], check=True, capture_output=True)
    draw, kept, finished = random.Random(1), [], 0
    while len(kept) < arguments.kills:
        killed.unlink(missing_ok=True)
        found = kill([*command, "--output", str(killed)], killed, draw, loading=len(kept) % 5 == 4)
        if killed.exists():  # it was finished before the kill
            finished += 1
            assert killed.read_bytes() == whole.read_bytes(), "a killed call left another output"
        else:
            kept.append(found)
    subprocess.run([*command, "--output", str(killed)], check=True, capture_output=True)
    result = {
        "command": shlex.join(["python", "benchmarks/killed_document.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "units": units,
        "kills": len(kept),
        "calls finished before their kill": finished,
        "translations kept at each kill": kept,
        "equals the uninterrupted one": killed.read_bytes() == whole.read_bytes(),
        "sha256": hashlib.sha256(whole.read_bytes()).hexdigest(),
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps(result, indent=1))


def write_catalogue(run: Path, path: Path, units: int) -> int:
    """Writes a catalogue of short texts of the run's corpus, all different, and returns how many there are."""
    loaded, config = load_run_config(run)
    sources = dict.fromkeys(text for text in read_sentences(loaded.data, "train", SIDES[0]) if len(text) < 60)
    chosen = [text for text in sources if not set(text) & set('"\\\n')][:units]
    entries = "".join(f'\nmsgid "{text}"\nmsgstr ""\n' for text in chosen)
    path.write_text(HEADER.format(config.data.target_language) + entries, encoding="utf-8")
    return len(chosen)


def kill(command: list[str], output: Path, draw: random.Random, loading: bool) -> int:
    """Kills a call at a random moment; returns the number of translations kept so far."""
    journal = journal_path(output)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun = size(journal)
    while not loading and process.poll() is None and size(journal) == begun:
        time.sleep(0.05)
    time.sleep(draw.uniform(0, LOADING if loading else TRANSLATING))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def size(path: Path) -> int:
    """The bytes of a file; 0 if it is not there."""
    return path.stat().st_size if path.exists() else 0


if __name__ == "__main__":
    main()
