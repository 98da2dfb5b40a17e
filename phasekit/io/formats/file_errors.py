"""Paths that stay valid, and the error for a file that a library cannot read.

File libraries raise nearly anything. What was raised is sorted into causes, because each has another cure: a package
is missing, the variant is not supported, bytes are missing, or the file may not be read.
"""

import re
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import ReadError
from .remote import RemotePath, is_remote, make_path

#: Packages that ``pip install phasekit[formats]`` brings.
FORMATS_EXTRA = ("mrcz", "blosc2", "hdf5plugin", "imagecodecs", "sparse")
_EXTRA_CURE = "pip install phasekit[formats]"


class _Cause(NamedTuple):
    """Why a library failed: exceptions and words by which it is known, what is said, and how to mend it."""

    types: tuple[type[Exception], ...]  # one of these is enough
    words: str  # or this pattern in the message
    found: str
    cure: str


# The first cause that fits counts. A missing package stands before all, since libraries wrap it in other exceptions.
_CAUSES = (
    _Cause(
        (),
        r"cannot import name",
        "a file whose package has another version than is needed",
        "pip install --upgrade phasekit[formats]",
    ),
    _Cause(
        (ImportError,),
        r"neither .* is installed",
        "a file that needs a package which is not installed",
        f"{_EXTRA_CURE}, and open the file again",
    ),
    _Cause(
        (),
        r"can't open directory|plugin/?\)|required filter|filter .*not (available|registered)|unknown filter",
        "data compressed with an HDF5 filter (bitshuffle, lz4, blosc, zstd ...) that is not installed",
        f"{_EXTRA_CURE} or pip install hdf5plugin, and open the file again",
    ),
    _Cause(
        (),
        r"codec (is )?not available|unknown codec|UnknownCodec|no codec|requires the .?imagecodecs",
        "data compressed with a codec that is not installed",
        f"{_EXTRA_CURE} or pip install imagecodecs, and open the file again",
    ),
    _Cause(
        (),
        r"NoCredentials|locate credentials|InvalidAccessKeyId|SignatureDoesNotMatch",
        "storage that asks who you are",
        "give storage_options=..., or set the variables of the environment that its package reads, such as AWS_PROFILE",
    ),
    _Cause(
        (),
        r"could not connect to the endpoint|EndpointConnection|cannot connect to host|ClientConnector",
        "storage that does not answer",
        "check the address, endpoint_url in storage_options, and the network",
    ),
    _Cause(
        (PermissionError,),
        r"permission denied",
        "a file that may not be read",
        "ask for the permission to read it",
    ),
    _Cause(
        (BlockingIOError,),
        r"unable to lock file|resource temporarily unavailable",
        "a file that another program holds open for writing",
        "close it there, or wait until the acquisition has ended",
    ),
    _Cause(
        (FileNotFoundError, IsADirectoryError),
        r"no such file",
        "a file whose other part is missing",
        "put the file that is named beside it, under the name it had",
    ),
    _Cause(
        (MemoryError,),
        r"unable to allocate|out of memory",
        "more data than fit into memory",
        "close other programs, or open it on a machine with more memory",
    ),
    _Cause(
        (NotImplementedError,),
        r"not (yet )?(supported|implemented)|unsupported|unrecognis?z?ed mode|no zarr data type found",
        "a variant of the format that is not supported",
        "save it in another variant with the program that wrote it",
    ),
    _Cause(
        (EOFError,),
        r"truncated|mmap length is greater|end of file|unexpected end|premature end|past (the )?end|too short"
        r"|not a multiple of the data-type|buffer is smaller|requires a buffer|cannot reshape array of size"
        r"|addr overflow|not a zip file|expected \d+ bytes|unable to read|not enough (data|bytes)",
        "a cut file",
        "copy the file again",
    ),
    _Cause(
        (),
        r"inflate\(\) failed|decompress|checksum|crc|corrupt|bad magic|invalid (stored )?block|filter returned failure",
        "a damaged block",
        "copy the file again",
    ),
)
_OTHER = _Cause(
    (),
    "",
    "a damaged or foreign file",
    "check that its ending names its format, and whether its own program still opens it",
)


def resolve_path(path: str | PathLike[str], storage_options: Mapping[str, Any] | None = None, step: str = "") -> Path:
    """Absolute path of an existing file, so that it stays right in another folder or process.

    A path that does not exist keeps the name it was given, for the message. An address (``s3://...``) stays as it is.
    """
    # Dask opens the file again when it computes, perhaps after the program has changed its folder.
    given = make_path(path, storage_options, step)
    return given.absolute() if not is_remote(given) and given.exists() else given


def damaged_file(path: str | Path, error: Exception, *, cure: str | None = None) -> ReadError:
    """ReadError for a file on which a library raised ``error``.

    ``cure`` replaces that of a damaged file, not that of a missing package.

    Examples
    --------
    >>> str(damaged_file("scan.h5", KeyError("data")))[:64]
    "scan.h5: found a damaged or foreign file (KeyError: 'data'). To "
    >>> str(damaged_file("scan.mrc", ModuleNotFoundError("No module named 'mrcz'", name="mrcz")))[:51]
    "scan.mrc: found a file that needs the package 'mrcz"
    """
    package = _find_missing_package(error)
    if package is not None:
        return missing_package(path, package)
    cause = _find_cause(error)
    keeps_cure = cause in (_OTHER, *(known for known in _CAUSES if known.cure == "copy the file again"))
    told = path.hide_options(str(error)) if isinstance(path, RemotePath) else str(error)
    return ReadError(
        path,
        found=f"{cause.found} ({type(error).__name__}: {_shorten(told)})",
        cure=cure if cure and keeps_cure else cause.cure,
    )


def missing_package(path: str | Path, package: str) -> ReadError:
    """ReadError for a file that needs a package which is not installed."""
    ours = f"{_EXTRA_CURE} or " if package in FORMATS_EXTRA else ""
    return ReadError(
        path,
        found=f"a file that needs the package '{package}', which is not installed",
        cure=f"{ours}pip install {package}, and open the file again",
    )


def _iterate_chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and those that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _find_missing_package(error: Exception) -> str | None:
    for one in _iterate_chain(error):
        # A name that a package lacks is an ImportError, too: the package is there in another version.
        if isinstance(one, ImportError) and "cannot import name" not in str(one):
            quoted = re.search(r"'([\w.-]+)'", str(one))  # some libraries raise it without the name
            name = getattr(one, "name", None) or (quoted[1] if quoted else None)
            return None if name is None else name.partition(".")[0]
    return None


def _find_cause(error: Exception) -> _Cause:
    for cause in _CAUSES:
        for one in _iterate_chain(error):
            if isinstance(one, cause.types) or re.search(cause.words, f"{type(one).__name__}: {one}", re.IGNORECASE):
                return cause
    return _OTHER


def _shorten(text: str) -> str:
    """First 160 letters in one line."""
    return " ".join(text.split())[:160]
