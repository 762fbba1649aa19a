"""A journal of finished translations, beside the file that is being made: a killed call goes on where it was."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nmt.utils.errors import UserError


class Journal:
    """Translations by their sources, each kept on the disk once it is made.

    Attributes:
        known: dict, the translations.
        begun: str, what was given as `begun` when the work began.
    """

    def __init__(self, file: IO[bytes], known: dict[str, str], begun: str) -> None:
        self._file = file
        self.known = known
        self.begun = begun

    def add(self, translations: Mapping[str, str]) -> None:
        """Keeps further translations.

        Args:
            translations: the translations by their sources.
        """
        rows = [json.dumps([source, target]) + "\n" for source, target in translations.items()]
        self._file.write("".join(rows).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.known.update(translations)


def journal_path(output: str | Path) -> Path:
    """Returns where the journal of a file is."""
    output = Path(output)
    return output.with_name(f".{output.name}.translating.jsonl")


@contextmanager
def open_journal(output: str | Path, digest: str, begun: str) -> Iterator[Journal]:
    """Opens the journal of a file that is being made; it is removed when the block ends without an error.

    Args:
        output: the file.
        digest: str, of all that the translations depend on. A journal with another one is begun anew.
        begun: str, a moment that is kept for as long as the work takes, whatever kills it.

    Raises:
        UserError: if it cannot be written, or another process makes the same file.

    Example:

    >>> import tempfile
    >>> output = Path(tempfile.mkdtemp()) / "out.po"
    >>> with open_journal(output, "digest", "today") as journal:
    ...     journal.add({"one": "eins"})
    ...     journal_path(output).exists()
    True
    >>> journal_path(output).exists()
    False
    """
    path = journal_path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(f"{output}: is being made by another process") from None
            known, begun = _resume(file, digest, begun)
            yield Journal(file, known, begun)
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def _resume(file: IO[bytes], digest: str, begun: str) -> tuple[dict[str, str], str]:
    """Reads a journal, and cuts off a line that was not finished."""
    file.seek(0)
    known: dict[str, str] = {}
    whole = 0
    for number, line in enumerate(file):
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
            if row is None or (number == 0 and row["digest"] != digest):
                break
            if number == 0:
                begun = str(row["begun"])
            else:
                source, target = row
                known[source] = target
        except (ValueError, TypeError, KeyError):
            break
        whole += len(line)
    file.truncate(whole)
    if not whole:
        file.write((json.dumps({"digest": digest, "begun": begun}) + "\n").encode())
        file.flush()
    return known, begun
