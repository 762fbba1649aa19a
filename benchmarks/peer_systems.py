"""The systems that peers.py measures: how each is trained, and which lines of its log show its progress."""

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import nmt
from nmt.utils.files import written_whole

CHECKOUT = Path(__file__).resolve().parent.parent
CONFIG = CHECKOUT / "configs" / "ref-256.yaml"
SETTINGS = CHECKOUT / "benchmarks" / "peers"
ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "PYTHONUNBUFFERED": "1"}

_VERSIONS = """
import importlib.metadata, json, platform, sys
versions = {name: importlib.metadata.version(name) for name in sys.argv[1:]}
print(json.dumps({"python": platform.python_version()} | versions))
"""


@dataclass(frozen=True)
class System:
    """What is measured.

    Attributes:
        name: for people.
        python: of its environment.
        packages: the packages whose versions are reported.
        command: makes the command that trains, from a seed and an empty folder for what it writes.
        place: the folder where the command runs.
        line: matches the lines of its log that count, with groups `update` and either `total` (target tokens so far)
            or `rate` (target tokens a second since the line before).
        target_tokens_per_pair: of the training data, the end mark included, in its vocabulary.
        ours: whether it is this project.
    """

    name: str
    python: Path
    packages: tuple[str, ...]
    command: Callable[[int, Path], list[str]]
    place: Path
    line: re.Pattern[str]
    target_tokens_per_pair: float
    ours: bool = False

    def versions(self) -> dict[str, str]:
        """Of its Python and its packages."""
        own = {"nmt": nmt.__version__} if self.ours else {}
        return own | versions_in(self.python, self.packages)


def our_system(label: str, folder: Path, multi30k: Path, changes: list[str]) -> System:
    """A configuration of this project, its data prepared in `folder`."""
    files = [
        f"data.corpus.{split}.{side}=[{multi30k / f'{name}.{language}.gz'}]"
        for split, name in (("train", "train"), ("validation", "val"), ("test", "test_2016_flickr"))
        for side, language in (("source", "en"), ("target", "de"))
    ]
    settings = [*files, *changes]
    run = folder / "prepared" / label
    options = [part for setting in settings for part in ("--set", setting)]
    report = json.loads(output_of([sys.executable, "-m", "nmt", "prepare", CONFIG, "--run", run, *options]))
    python, script = sys.executable, str(SETTINGS / "nmt_train.py")
    return System(
        name=f"GRU NMT, {label}",
        python=Path(python),
        packages=("tensorflow", "tensorflow-text", "keras", "numpy"),
        command=lambda seed, work: [python, script, str(CONFIG), str(run), str(work), str(seed), *settings],
        place=CHECKOUT,
        line=re.compile(r"update (?P<update>\d+): (?P<total>\d+) target tokens"),
        target_tokens_per_pair=round(report["tokens"]["train"]["target"] / report["pairs"]["train"], 2),
        ours=True,
    )


def peer_systems(folder: Path) -> list[System]:
    """The other systems, as peers/setup.sh leaves them in `folder`."""
    with open(folder / "bpe.train.de", encoding="utf-8") as file:
        tokens = round(statistics.fmean(len(line.split()) + 1 for line in file), 2)
    common: dict[str, Any] = {"place": folder, "target_tokens_per_pair": tokens}
    opennmt_tf, marian, joeynmt = (folder / name / "bin" / "python" for name in ("opennmt-tf", "marian", "joeynmt"))

    def train_opennmt_tf(seed: int, work: Path) -> list[str]:
        files = {"model": SETTINGS / "opennmt_tf_model.py", "config": SETTINGS / "opennmt_tf.yml", "model_dir": work}
        options = [f"--{name}={value}" for name, value in files.items()]
        return [str(opennmt_tf.with_name("onmt-main")), *options, f"--seed={seed}", "train"]

    def train_joeynmt(seed: int, work: Path) -> list[str]:
        settings = yaml.safe_load((SETTINGS / "joeynmt.yaml").read_text(encoding="utf-8"))
        config = work / "config.yaml"
        with written_whole(config) as file:
            yaml.safe_dump(settings | {"random_seed": seed, "model_dir": str(work / "model")}, file)
        return [str(joeynmt), "-m", "joeynmt", "train", str(config)]

    return [
        System(
            name="OpenNMT-tf",
            python=opennmt_tf,
            packages=("OpenNMT-tf", "tensorflow-cpu", "tensorflow-addons", "numpy"),
            command=train_opennmt_tf,
            line=re.compile(r"Step = (?P<update>\d+) ;.* (?P<rate>\d+) target\)"),
            **common,
        ),
        System(
            name="Marian",
            python=marian,
            packages=("pymarian",),
            command=lambda seed, work: [str(marian), str(SETTINGS / "marian_train.py"), str(work), str(seed)],
            line=re.compile(r"Up\. (?P<update>\d+) :.* after (?P<total>[\d,]+) :"),
            **common,
        ),
        System(
            name="JoeyNMT",
            python=joeynmt,
            packages=("joeynmt", "torch", "numpy", "sentencepiece"),
            command=train_joeynmt,
            line=re.compile(r"Step: +(?P<update>\d+),.* Tokens per Sec: +(?P<rate>\d+),"),
            **common,
        ),
    ]


def start(system: System, command: list[str]) -> subprocess.Popen[str]:
    """Starts what a system's `command` made; all that it prints comes through `stdout`."""
    return subprocess.Popen(
        command,
        cwd=system.place,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def versions_in(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Of a Python and packages that it has."""
    versions: dict[str, str] = json.loads(output_of([python, "-c", _VERSIONS, *packages]))
    return versions


def output_of(command: list[Any]) -> str:
    """What a command prints."""
    return subprocess.run(command, cwd=CHECKOUT, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True).stdout
