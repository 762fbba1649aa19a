"""Kills commands, and fails their file operations, again and again: is anything lost, and do they go on all the same?

    python benchmarks/crash_campaign.py benchmarks/results/crash-campaign.json.gz

Every trial begins in a fresh copy of a small world (a corpus, files of the user's, and what the command needs). It ends
the command by SIGKILL or SIGTERM, at a random time or at a random file operation, or has the file operation fail: no
space left on the device, an error of the device, a file system that becomes read-only, or a write that writes half.
Then it looks at every file, gives the same command again, and holds what is there against what the command leaves when
nothing happens. Results are written after every trial; the same command goes on where it was stopped.

A command is a fork of this process, which has loaded TensorFlow and executed nothing, so that it begins at once.
Where a trial leaves exactly the files that another one left, or all that the command shall leave, the command is not
given once more.
"""

import argparse
import errno
import gzip
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import crash_faults as faults
from crash_operations import (
    OPERATIONS,
    PART,
    Operation,
    contents,
    is_one_of,
    make_user_files,
    without_random_names,
)
from machine import describe_machine

import nmt
from nmt.utils.files import temporary_folder, written_whole

# How many kills of each operation: 300.
KILLS = {
    "prepare": 50, "prepare again": 38, "train": 22, "resume": 22, "fine-tune": 6, "average": 50, "tune": 8,
    "export": 16, "export litert": 28, "augment": 20, "translate": 30, "evaluate": 10,
}  # fmt: skip
THOROUGH = ("average", "translate", "evaluate")  # of whose file operations each fails in all ways, not in one
SECONDS = 180  # after which a command hangs
_MADE = faults.WRITE | faults.CREATE | faults.SYNC | faults.NAME
# How operations fail: the error, which kinds can fail so, and whether all later ones do too.
ERRORS = {
    "ENOSPC": (errno.ENOSPC, _MADE, True),
    "EIO": (errno.EIO, _MADE, False),
    "EROFS": (errno.EROFS, faults.ALL, True),
    "short": (0, faults.WRITE, False),
}
_TRANSLATE = "translations of an export"  # in place of a command
Json = dict[str, Any]


class Ended(NamedTuple):
    """How a command ended: its exit status, a negative one for a signal, None if it hung; and what it printed."""

    status: int | None
    stderr: str
    seconds: float


def main() -> None:
    """Runs the campaign, or prints its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the results, compressed by gzip")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/crash-campaign"))
    parser.add_argument("--operation", action="append", choices=OPERATIONS, help="only these")
    parser.add_argument("--failed", action="store_true", help="try again what failed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--match", default="", help="a regular expression: only trials whose names have it")
    parser.add_argument("--only", choices=["kills", "faults"])
    parser.add_argument("--table", action="store_true", help="print what came out, and try nothing")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(read_results(arguments.output)))
        return
    control = faults.preload(arguments.folder)
    load()
    campaign = Campaign(arguments.output, arguments.folder, control)
    for name in arguments.operation or OPERATIONS:
        campaign.run(name, arguments)


def load() -> None:
    """Imports all that commands import, and executes nothing: threads would not survive the fork."""
    from nmt.utils.backend import load_backend

    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    load_backend()
    import nmt.augmentation.augment
    import nmt.augmentation.parts
    import nmt.runs.tuning
    import nmt.runs.verification
    import nmt.serving.lite.export
    import nmt.serving.saved_model
    import nmt.training.train

    nmt.augmentation.parts._PART_LINES = 10  # instead of 10,000: several parts of a short text
    nmt.runs.tuning.GRID = {"length_penalty": (1.0, 1.2)}


class Campaign:
    """The trials and where they are kept.

    Args:
        output: the file of the results.
        folder: where the worlds are made.
        control: decides about the file operations of a command.
    """

    def __init__(self, output: Path, folder: Path, control: faults.Control) -> None:
        self.output, self.folder, self.control = output, folder, control
        self.world = folder / "world"
        self.results = read_results(output) if output.exists() else {"references": {}, "trials": {}}
        checkout = ["git", "-C", Path(nmt.__file__).parent, "rev-parse", "--short", "HEAD"]
        self.commit = subprocess.run(checkout, check=True, capture_output=True, text=True).stdout.strip()
        self.repeated: dict[
            str, list[str]
        ] = {}  # from the files of a world to what was wrong with them, and after that

    def run(self, name: str, arguments: argparse.Namespace) -> None:
        """Makes all trials of an operation that have not been made."""
        operation = OPERATIONS[name]
        begin, self.former, self.final, reference = self.make_reference(name, operation)
        reference = self.results["references"].setdefault(name, reference)
        trials = [*kills(name, reference, arguments.seed), *failures(name, reference, arguments.seed)]
        self.repeated.clear()
        for trial in trials:
            key = f"{name}: {trial['key']}"
            known = self.results["trials"].get(key)
            if known is not None and not (arguments.failed and known["problems"]):
                continue
            if not re.search(arguments.match, key):
                continue
            if arguments.only is not None and (arguments.only == "kills") != ("signal" in trial):
                continue
            result = self.try_once(operation, begin, trial) | {"commit": self.commit}
            self.results["trials"][key] = result
            print(key, "|", result["met"], "|", result["status"], *result["problems"], flush=True)
            self.write()

    def make_reference(self, name: str, operation: Operation) -> tuple[Path, Json, Json, Json]:
        """Makes the world in which an operation begins, and lets it end undisturbed, twice."""
        begin = self.folder / "begin"
        shutil.rmtree(begin, ignore_errors=True)
        self.set_up(operation.setup)
        for file, more in operation.edit.items():
            with open(self.world / file, "a", encoding="utf-8") as opened:
                opened.write(more)
        shutil.copytree(self.world, begin)
        former, finals, traces, seconds = contents(begin), [], {}, []
        for key in ("nameless", "named"):
            self.renew(begin)
            seconds.append(self.undisturbed(operation.arguments, named=key == "named", traced=True).seconds)
            traces[key] = sites(faults.read_trace(self.folder), self.world)
            finals.append(contents(self.world))
        self.translated = self.translations(operation)
        one, other = finals
        assert one == other, [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
        return begin, former, one, {"operations": traces, "seconds": round(min(seconds), 2)}

    def set_up(self, commands: Sequence[Sequence[str]]) -> None:
        """Makes a world by some commands, or takes one that they have made for another operation."""
        made = self.folder / hashlib.sha256(json.dumps([self.commit, commands]).encode()).hexdigest()[:16]
        shutil.rmtree(self.world, ignore_errors=True)
        if not made.exists():
            make_user_files(self.world)
            for setup in commands:
                self.undisturbed(setup)
            with temporary_folder(self.folder) as complete:
                shutil.copytree(self.world, complete, dirs_exist_ok=True)
                complete.rename(made)
            return
        shutil.copytree(made, self.world)

    def undisturbed(self, arguments: Sequence[str], **plan: bool) -> Ended:
        """Runs a command to its end."""
        self.control.plan(self.world, **plan)
        ended = self.command(arguments)
        assert ended.status == 0, ended
        return ended

    def renew(self, begin: Path) -> None:
        """Puts the world back to its beginning."""
        shutil.rmtree(self.world)
        shutil.copytree(begin, self.world)

    def try_once(self, operation: Operation, begin: Path, trial: Json) -> Json:
        """Makes one trial, and says what was wrong."""
        self.renew(begin)
        plan = trial["plan"]
        self.control.plan(self.world, **plan)
        ended = self.command(operation.arguments, trial.get("seconds"), trial.get("signal"))
        met = self.control.operation.decode(errors="replace").replace(f"{self.world}/", "")
        self.control.plan(self.world)
        found = contents(self.world)
        problems = self.check_ended(ended, trial) + self.check_kept(operation, found)
        if trial.get("error") in ("ENOSPC", "EIO"):
            problems += [f"litter at once: {one}" for one in found if PART.search(one)]
        left = sorted(without_random_names(contents(self.world, epochs=True)).items())
        state = hashlib.sha256(json.dumps(left).encode()).hexdigest()
        repeated = False
        if operation.exported or state not in self.repeated:  # of an export, only names are known
            problems += self.verify(operation)
        if state not in self.repeated:
            repeated = found != self.final
            self.repeated[state] = self.check_again(operation) if repeated else []
        problems += self.repeated[state]
        return {
            "met": PART.sub(".part", met), "status": ended.status, "given_again": repeated, "problems": problems,
        }  # fmt: skip

    def check_ended(self, ended: Ended, trial: Json) -> list[str]:
        """Says whether a command that was disturbed ended as it should."""
        lines = ended.stderr.splitlines()
        if ended.status is None:
            return [f"hung: {lines[-1:]}"]
        if "Traceback" in ended.stderr:
            return [f"traceback: {lines[-1]}"]
        if "signal" in trial:
            expected = {0, -trial["signal"], 128 + trial["signal"]}
            return [] if ended.status in expected else [f"status {ended.status}: {lines[-1:]}"]
        if ended.status == 0:
            return []
        errors = [line for line in lines if line.startswith("nmt: ")]
        if ended.status != 2 or len(errors) != 1 or lines[-1] != errors[0] or len(errors[0]) > 505:
            return [f"status {ended.status}: {lines[-3:]}"]
        names = (
            self.world.name,
            *(path.name for path in self.world.iterdir()),
            "run",
            "model",
            "lite",
            "more",
            "tuned",
        )
        return [] if any(name in errors[0] for name in names) else [f"names no file: {errors[0]}"]

    def check_kept(self, operation: Operation, found: Mapping[str, str]) -> list[str]:
        """Says what of the user's is not as it was, and what is damaged, after a command was disturbed."""
        problems = []
        for name, content in self.former.items():
            now, new = found.get(name), self.final.get(name)
            if not is_one_of(name, operation.writes):
                allowed = [content]
            elif is_one_of(name, operation.kept):
                allowed = [content, new]
            else:
                allowed = [content, new, now] if now or not is_one_of(name, operation.there) else [content, new]
            if now not in allowed:
                problems.append(f"{'changed' if now else 'lost'}: {name}")
        problems += [f"{content}: {name}" for name, content in found.items() if content.startswith("damaged")]
        return problems

    def verify(self, operation: Operation) -> list[str]:
        """Says which files are not whole, by `nmt verify`."""
        if not operation.verified or self.command(("verify", operation.verified)).status == 0:
            return []
        lines = (self.folder / "stdout").read_text(encoding="utf-8").splitlines()
        return [f"verify: {line}" for line in lines if not line.endswith(": ok")] or ["verify: failed"]

    def translations(self, operation: Operation) -> str:
        """Returns what an exported model translates."""
        if not operation.exported:
            return ""
        ended = self.command((_TRANSLATE, operation.exported))
        return (self.folder / "stdout").read_text(encoding="utf-8") if ended.status == 0 else ended.stderr[-300:]

    def check_again(self, operation: Operation) -> list[str]:
        """Gives the command again, and holds what is there against what an undisturbed one leaves."""
        self.control.plan(self.world)
        ended = self.command(operation.arguments)
        problems = []
        if ended.status != 0:
            problems.append(f"again: status {ended.status}: {ended.stderr.splitlines()[-1:]}")
        found = contents(self.world)
        for name in sorted(found.keys() | self.final.keys()):
            if found.get(name) != self.final.get(name):
                word = "litter" if name not in self.final else "missing" if name not in found else "differs"
                problems.append(f"again: {word}: {PART.sub('.part', name)}")
        if self.translations(operation) != self.translated:
            problems.append("again: translates otherwise")
        return problems + self.verify(operation)

    def command(self, arguments: Sequence[str], seconds: float | None = None, number: int | None = None) -> Ended:
        """Runs a command in a fork; if `seconds` are given, it gets the signal `number` after them."""
        sys.stdout.flush()
        sys.stderr.flush()
        started = time.perf_counter()
        process = os.fork()
        if process == 0:
            self.become_command(arguments)
        deadline = started + SECONDS
        while True:
            found, status = os.waitpid(process, os.WNOHANG)
            now = time.perf_counter()
            if found:
                break
            if seconds is not None and now >= started + seconds:
                os.kill(process, number)
                seconds = None
            if now > deadline:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                break
            time.sleep(0.002)
        self.control.process = 0
        stderr = (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")
        return Ended(os.waitstatus_to_exitcode(status) if found else None, stderr, time.perf_counter() - started)

    def become_command(self, arguments: Sequence[str]) -> None:
        """Turns a fork of this process into a command, and ends it."""
        status = 1
        try:
            os.setsid()
            os.chdir(self.world)
            for number, name in enumerate(("/dev/null", self.folder / "stdout", self.folder / "stderr")):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
            os.environ |= {"HOME": str(self.folder / "home"), "TMPDIR": str(self.world / "tmp")}
            os.environ |= {"XDG_CACHE_HOME": str(self.folder / "home")}
            random.seed()
            self.control.process = os.getpid()
            from nmt.cli import main as command

            if arguments[0] == _TRANSLATE:
                translate_export(*arguments[1:])
            else:
                command(list(arguments))
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            self.control.process = 0
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def write(self) -> None:
        """Writes the results so far."""
        described = {
            "command": shlex.join(["python", "benchmarks/crash_campaign.py", str(self.output)]),
            "machine": describe_machine(),
            "versions": {name: version(name) for name in ("tensorflow", "tensorflow-text", "keras", "numpy")},
        }
        text = json.dumps(described | self.results, indent=0)
        with written_whole(self.output, "wb") as file:
            file.write(gzip.compress(text.encode(), mtime=0))


def translate_export(folder: str) -> None:
    """Prints what a SavedModel translates."""
    import tensorflow as tf

    model = tf.saved_model.load(folder)
    found = model.signatures["nbest"](tf.constant(Path("text.txt").read_text(encoding="utf-8").splitlines()))
    print({name: value.numpy().tolist() for name, value in sorted(found.items())})


def read_results(path: Path) -> Json:
    """Reads what a campaign has written."""
    return dict(json.loads(gzip.decompress(path.read_bytes())))


def table(results: Json) -> str:
    """Returns the numbers of trials by operation and kind, and how many of them showed a fault."""
    kinds = ["SIGKILL", "SIGTERM", "short", *(error for error in ERRORS if error != "short")]
    lines = [["operation", *(f"{kind} writes" if kind == "short" else kind for kind in kinds), "given again", "faults"]]
    counts: Counter[tuple[str, str]] = Counter()
    for key, trial in results["trials"].items():
        name, _, rest = key.partition(": ")
        for row in (name, "all"):
            counts[row, rest.split()[0]] += 1
            counts[row, "given again"] += trial["given_again"]
            counts[row, "faults"] += bool(trial["problems"])
    for name in (*OPERATIONS, "all"):
        lines.append([name, *(f"{counts[name, kind]:,}" for kind in [*kinds, "given again", "faults"])])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sites(trace: Sequence[faults.Traced], world: Path) -> list[tuple[int, str]]:
    """Returns the kind of each file operation, and its name with the name that its file gets in the end.

    Numbers of steps and epochs are left out, so that the same operation on files of the same kind has the same name.
    """
    final: dict[str, str] = {}
    for one in reversed(trace):
        if one.kind == faults.NAME and one.old:
            final[one.old] = renamed(one.path, final)
    begin = f"{world}/"
    return [
        (
            one.kind,
            f"{one.name} {re.sub(r'[0-9]+', 'N', PART.sub('.part', renamed(one.path, final).replace(begin, '')))}",
        )
        for one in trace
    ]


def renamed(path: str, final: Mapping[str, str]) -> str:
    """Returns the name that a file gets in the end, or the folder that it is in."""
    for place in (path, *map(str, Path(path).parents)):
        if place in final:
            return final[place] + path.removeprefix(place)
    return path


def kills(name: str, reference: Json, seed: int) -> Iterator[Json]:
    """The kills of an operation: half of them at random times, half at random file operations."""
    generator = random.Random(f"{seed} {name}")
    for index in range(KILLS[name]):
        number = (signal.SIGKILL, signal.SIGTERM)[index % 2]
        named = index % 4 >= 2
        trial: Json = {"signal": int(number), "plan": {"named": named}}
        draw, after = generator.random(), generator.random() < 0.5
        if index % 8 < 4:
            trial["seconds"] = draw * reference["seconds"]
            when = f"{draw:.3f} of its time"
        else:
            at = 1 + int(draw * len(reference["operations"]["named" if named else "nameless"]))
            action = faults.KILL_AFTER if after else faults.KILL_BEFORE
            trial["plan"] |= {"at": at, "action": action, "number": int(number)}
            when = f"{'after' if after else 'before'} file operation {at}"
        yield trial | {"key": f"{number.name} {index + 1}, {when}"}


def failures(name: str, reference: Json, seed: int) -> Iterator[Json]:
    """The failures of an operation: every file operation on every file fails, in one of the ways possible or in each.

    Of a file that is written more than once, such as one for each step, a write is drawn at random.
    """
    generator = random.Random(f"{seed} {name}")
    for key, operations in reference["operations"].items():
        places: dict[tuple[int, str], list[int]] = {}
        for at, (kind, site) in enumerate(operations, 1):
            places.setdefault((kind, site), []).append(at)
        for index, ((kind, site), found) in enumerate(sorted(places.items(), key=lambda item: item[1][0])):
            if index % 2 == (key == "named"):
                continue  # half of them on a file system with, half on one without files that have no name
            at = generator.choice(found)
            ways = [error for error, (_, kinds, _) in ERRORS.items() if kinds & kind]
            for error in ways if name in THOROUGH else [ways[index // 2 % len(ways)]]:
                number, kinds, lasting = ERRORS[error]
                action = faults.SHORT if error == "short" else faults.FAIL
                plan = {"action": action, "at": at, "kinds": kinds, "number": number, "lasting": lasting}
                yield {"key": f"{error} {at}, {site}", "error": error, "plan": plan | {"named": key == "named"}}


if __name__ == "__main__":
    main()
