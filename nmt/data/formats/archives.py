"""Archives of XML files, such as office documents: members that are edited, all others as they are."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO

from nmt.data.formats.units import Edit
from nmt.data.formats.xml_elements import xml_encoding
from nmt.data.formats.xml_file import apply_to_xml
from nmt.utils.errors import UserError

_LARGEST = 1 << 30  # bytes of a member: more is no text
_DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, KeyError)


@contextmanager
def open_archive(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """Opens an archive.

    Raises:
        UserError: if it cannot be read, is none, or is damaged or encrypted.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _DAMAGED as error:
        raise UserError(f"{path}: is damaged, encrypted, or no document of its kind: {error}") from None


def read_member(path: str | Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """Returns a member of an archive.

    Raises:
        UserError: if it is absurdly large.
    """
    if archive.getinfo(name).file_size > _LARGEST:
        raise UserError(f"{path}: {name} is larger than {_LARGEST:,} bytes")
    return archive.read(name)


def apply_to_archive(path: str | Path, edits: Sequence[Edit], target: IO[bytes]) -> None:
    """Copies an archive with edits of its members, in their order, with their dates and the way they are compressed.

    Args:
        path: the archive.
        edits: the edits, in the order of their places in each member.
        target: where to write.
    """
    import io

    of_member = {
        name: list(group) for name, group in groupby(sorted(edits, key=lambda one: one.member), lambda one: one.member)
    }
    with open_archive(path) as archive, zipfile.ZipFile(target, "w") as copy:
        copy.comment = archive.comment
        for info in archive.infolist():
            data = read_member(path, archive, info.filename)
            if info.filename in of_member:
                edited = io.BytesIO()
                own = sorted(of_member[info.filename], key=lambda one: (one.start, one.end))
                apply_to_xml(io.BytesIO(data), xml_encoding(data[:1000]), own, edited)
                data = edited.getvalue()
            copy.writestr(info, data)
