"""Paths that stay valid, and the error for a file that a library cannot read."""

from os import PathLike, fspath
from pathlib import Path

from ...errors import ReadError


def resolve_path(path: str | PathLike[str]) -> Path:
    """Absolute path of an existing file, so that it stays right in another folder or process.

    A path that does not exist keeps the name it was given, for the message.
    """
    # Dask opens the file again when it computes, perhaps after the program has changed its folder.
    given = Path(fspath(path))
    return given.absolute() if given.exists() else given


def damaged_file(path: str | Path, error: Exception, *, cure: str | None = None) -> ReadError:
    """ReadError for a file on which a library raised ``error``.

    Examples
    --------
    >>> str(damaged_file("scan.h5", KeyError("data")))[:64]
    "scan.h5: found a damaged or foreign file (KeyError: 'data'). To "
    """
    return ReadError(
        path,
        found=f"a damaged or foreign file ({type(error).__name__}: {str(error)[:160]})",
        cure=cure or "copy the file again, and check that its ending names its format",
    )
