"""The systems that translation.py measures, and the processes in which they translate."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from peer_systems import CHECKOUT, ENVIRONMENT, SETTINGS

Task = Literal["all", "each"]

# In the folder of the peers: a copy of our run's tokenizer, for the peer whose weights are random.
OUR_TOKENIZER = "ours.model"

# What is tried for the peers: sentences of a batch.
BATCH_SIZES = (8, 16, 32, 64, 128)


@dataclass(frozen=True)
class System:
    """What is measured.

    Attributes:
        name: for people.
        beam_size: hypotheses kept open; 1 is greedy search.
        command: starts a worker; see peers/worker.py.
        place: the folder where the command runs.
        batch_size: sentences translated together, where it is not chosen by whoever made the model's export.
        tasks: whether it translates `all` sentences at once, or `each` for itself, or both in turn.
        ours: whether it is this project.
    """

    name: str
    beam_size: int
    command: tuple[str, ...]
    place: Path
    batch_size: int | None = None
    tasks: tuple[Task, ...] = ("all",)
    ours: bool = False

    @property
    def label(self) -> str:
        """Its name and what it is set to."""
        return f"{self.name}, beam {self.beam_size}"


def our_saved_model(export: Path, beam_size: int, name: str = "GRU NMT, SavedModel") -> System:
    """A SavedModel of this project, exported with this beam."""
    version = max((path for path in export.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))
    return System(
        name=name,
        beam_size=beam_size,
        command=(sys.executable, str(SETTINGS / "saved_model_translate.py"), str(version.resolve()), "translation"),
        place=CHECKOUT,
        tasks=("all", "each"),
        ours=True,
    )


def our_translator(run: Path, beam_size: int, settings: Sequence[str]) -> System:
    """This project's translator as a library."""
    overrides = [f"decoding.beam_size={beam_size}", *settings]
    return System(
        name="GRU NMT, translator",
        beam_size=beam_size,
        command=(sys.executable, str(SETTINGS / "nmt_translate.py"), str(run.resolve()), *overrides),
        place=CHECKOUT,
        ours=True,
    )


def opennmt_tf(folder: Path, beam_size: int, batch_size: int) -> System:
    """OpenNMT-tf as its `infer` translates a file."""
    return System(
        name="OpenNMT-tf",
        beam_size=beam_size,
        command=_peer(folder, "opennmt-tf", "opennmt_tf_translate.py", beam_size, batch_size),
        place=folder,
        batch_size=batch_size,
    )


def opennmt_tf_saved_model(folder: Path, beam_size: int) -> System:
    """OpenNMT-tf's own export, SentencePiece in its graph as in ours."""
    exported = folder / "exported" / f"opennmt-tf-{beam_size}"
    return System(
        name="OpenNMT-tf, SavedModel",
        beam_size=beam_size,
        command=_peer(folder, "opennmt-tf", "saved_model_translate.py", exported, "text"),
        place=folder,
        tasks=("each",),
    )


def marian(folder: Path, beam_size: int, batch_size: int) -> System:
    """Marian, each of its threads on batches of its own, all sentences sorted by length beforehand."""
    options = {
        "--beam-size": beam_size,
        "--normalize": 1,  # the score by the length, as the others do
        "--mini-batch": batch_size,
        "--maxi-batch": 100,
        "--maxi-batch-sort": "src",
        "--workspace": 512,
    }
    flat = [part for option in options.items() for part in option]
    if beam_size == 1:
        flat.append("--skip-cost")  # a greedy search needs no probabilities, only the highest score
    return System(
        name="Marian",
        beam_size=beam_size,
        command=_peer(folder, "marian", "marian_translate.py", folder / "trained" / "marian", *flat),
        place=folder,
        batch_size=batch_size,
    )


def ctranslate2(folder: Path, beam_size: int, batch_size: int, compute_type: str) -> System:
    """CTranslate2 with a Transformer of random weights, each core on batches of its own."""
    files = folder / OUR_TOKENIZER, folder / "trained" / "ctranslate2"
    options = compute_type, beam_size, batch_size
    return System(
        name=f"CTranslate2, {compute_type}",
        beam_size=beam_size,
        command=_peer(folder, "ctranslate2", "ctranslate2_translate.py", *files, *options),
        place=folder,
        batch_size=batch_size,
        tasks=("all", "each"),
    )


# Those whose batch size is chosen by trying.
TUNED = {
    "OpenNMT-tf": opennmt_tf,
    "Marian": marian,
    "CTranslate2, int8": partial(ctranslate2, compute_type="int8"),
    "CTranslate2, float32": partial(ctranslate2, compute_type="float32"),
}


def _peer(folder: Path, environment: str, script: str, *arguments: Any) -> tuple[str, ...]:
    return str(folder / environment / "bin" / "python"), str(SETTINGS / script), *map(str, arguments)


class Worker:
    """A process in which a system is loaded; it ends with the `with` block.

    Args:
        system: what it loads.
        logs: the folder for a file of what the system prints.

    Raises:
        SystemExit: if the process ends before it is asked to.
    """

    def __init__(self, system: System, logs: Path) -> None:
        self.system = system
        self._log = logs / f"{system.label}.log"
        logs.mkdir(parents=True, exist_ok=True)
        with open(self._log, "w", encoding="utf-8") as file:
            self._process = subprocess.Popen(
                system.command,
                cwd=system.place,
                env=ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                encoding="utf-8",
            )
        self._answer()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def translate(self, task: Task, file: Path) -> dict[str, Any]:
        """What peers/worker.py answers, and how many cores other processes kept busy meanwhile, `cores_of_others`."""
        others, start = _seconds_of_others(self._process.pid)
        print(json.dumps({"task": task, "input": str(file)}), file=self._process.stdin, flush=True)
        answer = self._answer()
        others_after, end = _seconds_of_others(self._process.pid)
        return answer | {"cores_of_others": round((others_after - others) / (end - start), 2)}

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit(f"{self.system.label} ended before it was measured; see {self._log}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _seconds_of_others(process: int) -> tuple[float, float]:
    """Processor time that all cores spent so far on anything but a process; and the time since the machine started."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    own = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]  # in user and in system mode
    busy = user + nice + system + sum(interrupts) - sum(map(int, own))
    return busy / os.sysconf("SC_CLK_TCK"), float(Path("/proc/uptime").read_text().split()[0])
