"""Processes of their own for tests, forked from one that has imported TensorFlow: to import it takes seconds each time.

What a test says of starting up (what is printed, imported or set) takes a process that starts anew, by `subprocess`.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["nmt.training.train", "nmt.inference.translator", "nmt.cli"])


class Forked:
    """A process that calls a function; what it and TensorFlow print goes to files.

    Args:
        folder: where the files of standard output and standard error are made.
        target: the function, of a module that a test can import.
        arguments: the function's.
        environment: the environment; that of this process by default.
    """

    def __init__(
        self,
        folder: Path,
        target: Callable[..., Any],
        *arguments: object,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("*.stdout")))
        self._files = tuple(folder / f"{number}.{name}" for name in ("stdout", "stderr"))
        for file in self._files:
            file.touch()
        environment = dict(os.environ if environment is None else environment)
        self.process = FORKED.Process(target=_call, args=(self._files, environment, target, arguments))
        self.process.start()

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def stdout(self) -> str:
        """What it has printed."""
        return self._files[0].read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has said."""
        return self._files[1].read_text(encoding="utf-8")

    @property
    def returncode(self) -> int | None:
        """Its exit status, as `subprocess` has it; None while it runs."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """Sends it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Ends it, if it has not ended, with no time to do anything."""
        if self.process.is_alive():
            self.send_signal(signal.SIGKILL)
        self.process.join()

    def wait(self, timeout: float = 240) -> int:
        """Waits until it has ended, and returns its exit status."""
        self.process.join(timeout)
        assert self.returncode is not None, f"still running after {timeout} seconds"
        return self.returncode


def start_command(folder: Path, *arguments: object, environment: Mapping[str, str] | None = None) -> Forked:
    """Starts the console command."""
    return Forked(folder, _command, [str(argument) for argument in arguments], environment=environment)


def _command(arguments: list[str]) -> None:
    from nmt.cli import main

    main(arguments)


def _call(
    files: tuple[Path, Path], environment: dict[str, str], target: Callable[..., Any], arguments: tuple[object, ...]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files, start=1):
        opened = os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    target(*arguments)
