"""A translation memory of 2 GB, with a million units with inline elements, read in constant memory.

    python benchmarks/large_memory.py OUTPUT [--folder FOLDER] [--units 1000000] [--bytes 2000000000]

The memory is generated in FOLDER, and deleted afterwards. A process of its own reads it as `nmt prepare` does, and
reports its peak of memory, and a checksum of the pairs in their order, which has to be that of the texts generated.
"""

import argparse
import hashlib
import json
import random
import resource
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import describe_machine

from nmt.config import MemoryCorpus
from nmt.data.formats.units import Languages
from nmt.data.memories import read_memories
from nmt.utils.files import written_whole

WORDS = [
    "press",
    "hold",
    "key",
    "door",
    "light",
    "lamp",
    "scene",
    "room",
    "blue",
    "time",
    "zone",
    "state",
    "wire",
    "glass",
]
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><header '
    'creationtool="x" creationtoolversion="1" segtype="sentence" o-tmf="x" adminlang="en" srclang="en" '
    'datatype="plaintext"/>\n<body>\n'
)
UNIT = (
    '<tu tuid="{number}"><prop type="x-note">{note}</prop>\n  <tuv xml:lang="en"><seg>{source}</seg></tuv>\n'
    '  <tuv xml:lang="de"><seg>{target}</seg></tuv>\n</tu>\n'
)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--units", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=2_000_000_000)
    parser.add_argument("--read", action="store_true", help="read OUTPUT, a memory, and print what was found")
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.output)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        memory = Path(folder) / "memory.tmx"
        digest = generate(memory, arguments.units, arguments.bytes)
        size = memory.stat().st_size
        command = [sys.executable, __file__, str(memory), "--read"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    result = {
        "command": shlex.join(["python", "benchmarks/large_memory.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "bytes": size,
        "units": arguments.units,
        "pairs read": found["pairs"],
        "units left out": found["left out"],
        "all texts are those generated": found["digest"] == digest,
        "peak of memory, MB": found["peak"],
    }
    with written_whole(arguments.output) as file:
        json.dump(result, file, indent=1)
    print(json.dumps(result, indent=1))


def generate(path: Path, units: int, size: int) -> str:
    """Writes a memory, and returns the checksum of its pairs."""
    draw, digest = random.Random(1), hashlib.sha256()
    note = "n" * max(0, size // units - 565)
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD)
        for number in range(units):
            first, second, third = (" ".join(draw.choices(WORDS, k=8)) for _ in range(3))
            pair = []
            for side in "ab":
                file_text = (
                    f'{side}{number} {first} <bpt i="1" x="1">&lt;b&gt;</bpt>{second} &amp; <ph x="2">{{0}}</ph>'
                    f'<ept i="1">&lt;/b&gt;</ept> {third} \u00e4\U0001f642'
                )
                pair.append(file_text)
                digest.update(f"{side}{number} {first} <g1>{second} & <x2/></g1> {third} \u00e4\U0001f642\n".encode())
            file.write(UNIT.format(number=number, note=note, source=pair[0], target=pair[1]))
        file.write("</body></tmx>\n")
    return digest.hexdigest()


def read(path: Path) -> dict[str, Any]:
    """Reads a memory as a corpus, and returns its number of pairs, their checksum, and the peak of memory in MB."""
    digest, pairs, left_out = hashlib.sha256(), 0, 0
    for pair in read_memories([path], Languages("en", "de"), MemoryCorpus(kind="memory", train=[str(path)])):
        if pair.left_out:
            left_out += 1
            continue
        pairs += 1
        digest.update(pair.source + b"\n" + pair.target + b"\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"pairs": pairs, "left out": left_out, "digest": digest.hexdigest(), "peak": peak}


if __name__ == "__main__":
    main()
