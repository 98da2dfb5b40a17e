"""Paths that stay valid, and the error for a file that a library cannot read."""

from os import PathLike, fspath
from pathlib import Path

from ...errors import ReadError

# Words of file libraries for bytes that are not there, and for a filter that is not installed.
_LACKING = ("truncated", "eof", "end of file", "unexpected end", "too short", "not enough", "cut off", "short read")
_FILTER = ("plugin", "required filter", "filter returned")


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
        cure=cure or find_cure(error),
    )


def find_cure(error: BaseException) -> str:
    """Cure for a file on which a library raised ``error``: copying helps only where bytes are missing or changed.

    Examples
    --------
    >>> find_cure(EOFError("unexpected end of file"))
    'copy the file again: bytes are missing'
    >>> find_cure(KeyError("energy"))[:45]
    'check that its ending names its format; if th'
    """
    words = str(error).lower()
    if any(word in words for word in _FILTER):
        return "install the filters of HDF5 with: pip install hdf5plugin"
    if isinstance(error, EOFError) or any(word in words for word in _LACKING):
        return "copy the file again: bytes are missing"
    # HDF5 finds damaged bytes by its check sums and signatures.
    if isinstance(error, OSError | RuntimeError):
        return "copy the file again if other programs cannot read it either, else save it with them in another format"
    return (
        "check that its ending names its format; if the program that wrote it can read it, it is a variant that "
        "phasekit does not know: save it there in another format"
    )
