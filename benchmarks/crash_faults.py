"""What crash_faults.c, preloaded into this process, does at the file operations of a child process."""

import ctypes
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

WRITE, CREATE, SYNC, NAME, REMOVE = 1, 2, 4, 8, 16  # kinds of operations
ALL = WRITE | CREATE | SYNC | NAME | REMOVE
COUNT, KILL_BEFORE, KILL_AFTER, FAIL, SHORT = range(5)  # what happens

_ENVIRONMENT = "CRASH_CONTROL"


class Control(ctypes.Structure):
    """The memory that crash_faults.c reads at each file operation; the fields are explained there."""

    _fields_ = (
        ("process", ctypes.c_int),
        ("action", ctypes.c_int),
        ("kinds", ctypes.c_int),
        ("number", ctypes.c_int),
        ("lasting", ctypes.c_int),
        ("named", ctypes.c_int),
        ("at", ctypes.c_int),
        ("count", ctypes.c_int),
        ("traced", ctypes.c_int),
        ("folder", ctypes.c_char * 512),
        ("operation", ctypes.c_char * 600),
    )

    def plan(
        self, folder: Path, action: int = COUNT, at: int = 0, kinds: int = ALL, number: int = 0, *,
        lasting: bool = False, named: bool = False, traced: bool = False,
    ) -> None:  # fmt: skip
        """Decides what happens at the operations below a folder, once `process` is set.

        Args:
            folder: the folder.
            action: one of `COUNT`, `KILL_BEFORE`, `KILL_AFTER`, `FAIL` and `SHORT`.
            at: int, the operation at which it happens, counted from 1.
            kinds: int, the kinds of operations that fail, added together.
            number: int, the signal or the error.
            lasting: whether all later operations fail too.
            named: whether files without a name are refused, as NFS refuses them.
            traced: whether the operations are written down; see `read_trace`.
        """
        self.process = self.count = 0
        self.action, self.at, self.kinds, self.number = action, at, kinds, number
        self.lasting, self.named, self.traced = lasting, named, traced
        self.folder, self.operation = os.fsencode(folder), b""


class Traced(NamedTuple):
    """A file operation: its kind, its name, the name that it replaces if it gives one, and the file's name."""

    kind: int
    name: str
    old: str
    path: str


def read_trace(folder: Path) -> list[Traced]:
    """Reads the operations that were written down, and forgets them.

    Args:
        folder: that of `preload`.
    """
    path = folder / "control.trace"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    return [Traced(int(kind), *rest) for kind, *rest in (line.split("\t") for line in lines)]


def preload(folder: Path) -> Control:
    """Returns the control of crash_faults.c, after starting this program anew with it if need be.

    Args:
        folder: where it is compiled.
    """
    control = folder / "control"
    if os.environ.get(_ENVIRONMENT) != str(control):
        folder.mkdir(parents=True, exist_ok=True)
        library = folder / "crash_faults.so"
        source = Path(__file__).with_suffix(".c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-o", library, source, "-ldl"], check=True)
        control.write_bytes(bytes(mmap.PAGESIZE))
        changes = {_ENVIRONMENT: str(control), "LD_PRELOAD": str(library)}
        os.execve(sys.executable, sys.orig_argv, os.environ | changes)
    with open(control, "r+b") as file:
        return Control.from_buffer(mmap.mmap(file.fileno(), 0))
