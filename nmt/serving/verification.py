"""Whether the files of a run or of an export are whole."""

from collections.abc import Iterator
from pathlib import Path

from nmt.runs.folder import RunFolder
from nmt.runs.verification import verify_run
from nmt.serving.lite import translator as lite
from nmt.serving.saved_model import DIGESTS
from nmt.utils.digests import Verified, verify_files
from nmt.utils.errors import UserError

_SAVED_MODEL = "saved_model.pb"


def verify_folder(path: str | Path) -> Iterator[Verified]:
    """Reads each file of a run or an export wholly, and compares it with what was recorded when it was written.

    Args:
        path: a run folder, a SavedModel or the folder of its versions, or a LiteRT export.

    Yields:
        Each file that should be there or is, with its problem if it has one; see `nmt.runs.verification.verify_run`.

    Raises:
        UserError: if the folder is neither, or is an export of an earlier version, which recorded nothing.

    Example:

    >>> [file.path.name for file in verify_folder("models/translator") if file.problem]  # doctest: +SKIP
    ['saved_model.pb']
    """
    path = Path(path)
    exports = _exports(path)
    if not exports:
        if not RunFolder(path).is_marked():
            raise UserError(f"{path}: is neither a run folder nor an export")
        yield from verify_run(path)
    for folder, digests in exports:
        if not (folder / digests).exists():
            raise UserError(f"{folder}: has no {digests}; earlier versions exported without: export it again")
        yield from verify_files(folder, digests)


def _exports(path: Path) -> list[tuple[Path, str]]:
    """Finds the exports at a path: their folders, and where each has its digests."""
    if _has_any(path, lite.ENCODER, lite.DIGESTS):
        return [(path, lite.DIGESTS)]
    versions = sorted((each for each in path.glob("*") if each.name.isdecimal()), key=lambda each: int(each.name))
    return [(folder, DIGESTS) for folder in (path, *versions) if _has_any(folder, _SAVED_MODEL, DIGESTS)]


def _has_any(folder: Path, *names: str) -> bool:
    return any((folder / name).exists() for name in names)
