"""Exceptions of phasekit, and the status codes of single pixels.

An exception is raised for what the caller can correct: a wrong unit, an unreadable file, a fit that stopped. Weak data
raise none: each map carries ``status``, and 0 always means ``ok``.
"""

from enum import IntEnum
from os import PathLike
from typing import Any

__all__ = [
    "AcomStatus",
    "ConvergenceError",
    "FrameStatus",
    "NoiseSource",
    "OffsetStatus",
    "PhasekitError",
    "ReadError",
    "SchemaError",
    "StxmStatus",
    "SymmetryWarning",
    "status_attributes",
]


def __dir__() -> list[str]:
    return list(__all__)


class PhasekitError(Exception):
    """Base class of all errors that phasekit raises itself."""


class SchemaError(PhasekitError, ValueError):
    """Data or settings that a step cannot work with; the message says where, what, what is needed, the cure."""


class ReadError(PhasekitError, OSError):
    """A file could not be understood.

    Examples
    --------
    >>> raise ReadError("scan.hdf5", found="an empty file (0 bytes)", cure="copy the file again")
    Traceback (most recent call last):
    ...
    phasekit.errors.ReadError: scan.hdf5: found an empty file (0 bytes). To fix it: copy the file again.
    """

    def __init__(self, path: str | PathLike[str], *, found: str, cure: str) -> None:
        # Plain text: an address brings the options of its storage with it.
        self.path, self.found, self.cure = str.__str__(str(path)), found, cure
        super().__init__(f"{self.path}: found {found}. To fix it: {cure}.")

    def __reduce__(self) -> tuple[Any, ...]:
        """Parts from which another process (a dask worker) rebuilds the error."""
        return _make_read_error, (self.path, self.found, self.cure)


def _make_read_error(path: str, found: str, cure: str) -> ReadError:
    """Error rebuilt from its parts: pickle passes positional arguments only."""
    return ReadError(path, found=found, cure=cure)


class ConvergenceError(PhasekitError, RuntimeError):
    """A fit stopped before it converged; ``partial`` holds the last state of its result."""

    def __init__(self, message: str, partial: Any) -> None:
        super().__init__(message)
        self.partial = partial

    def __reduce__(self) -> tuple[Any, ...]:
        """Parts from which another process (a dask worker) rebuilds the error."""
        return type(self), (str(self), self.partial)


class SymmetryWarning(UserWarning):
    """The symmetry that a crystal states is not that of its atoms; the message says which of the two is used."""


class StxmStatus(IntEnum):
    """Status of one pixel of an STXM phase map."""

    OK = 0
    BACKGROUND = 1
    TOO_THICK = 2
    AMBIGUOUS = 3
    FALSE_ASSIGNMENT = 4
    NO_REFERENCE = 5
    TRANSITION = 6
    BOUNDARY_TRANSITION = 7
    INCOMPLETE = 8


class AcomStatus(IntEnum):
    """Status of one pixel of an orientation map."""

    OK = 0
    VACUUM = 1
    TOO_FEW_PEAKS = 2
    AMBIGUOUS_180 = 3
    PSEUDO_SYMMETRIC = 4
    POOR_FIT = 5


class FrameStatus(IntEnum):
    """Status of one energy frame after alignment."""

    OK = 0
    UNCERTAIN = 1
    FAILED = 2


class NoiseSource(IntEnum):
    """Where the noise of an optical density comes from."""

    GIVEN = 0
    ALIGNED = 1
    NEIGHBOURS = 2
    LOW_RANK = 3


class OffsetStatus(IntEnum):
    """Status of the energy offset between data and references."""

    OK = 0
    GIVEN = 1
    UNDECIDED = 2
    AT_BOUND = 3
    NO_DATA = 4


def status_attributes(codes: type[IntEnum]) -> dict[str, Any]:
    """CF attributes (``flag_values``, ``flag_meanings``) of a ``status`` variable.

    Examples
    --------
    >>> status_attributes(AcomStatus)["flag_meanings"]
    'ok vacuum too_few_peaks ambiguous_180 pseudo_symmetric poor_fit'
    """
    import numpy as np

    return {
        "flag_values": np.array([code.value for code in codes], dtype=np.int8),
        "flag_meanings": " ".join(code.name.lower() for code in codes),
    }
