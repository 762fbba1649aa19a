"""Digests of files, by which damage and exchange are noticed."""

import hashlib
from pathlib import Path
from typing import Any

from nmt.utils.errors import UserError

Digest = dict[str, Any]  # `size`, bytes, and `sha256`, hexadecimal


def digest(path: str | Path) -> Digest:
    """Reads a whole file for its size and SHA-256.

    Args:
        path: the file.

    Returns:
        A dictionary that JSON can hold, with `size` and `sha256`.

    Raises:
        UserError: if the file is missing or cannot be read.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> digest(path)["size"], digest(path)["sha256"][:8]
    (0, 'e3b0c442')
    """
    try:
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return {"size": file.tell(), "sha256": sha256}
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
