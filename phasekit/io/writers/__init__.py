"""Formats that results are written in, one module per format, and files that appear only when complete.

A module holds ``NAME`` and ``EXTENSIONS``, ``KEEPS`` (what of a result the format holds), and ``FUNCTIONS`` (the
functions of ``pk.io`` that write it). It also holds the code that makes the content of the file.
``orientation_table`` prepares orientation maps for the text formats and for orix. ``atomic`` renames a file when it
is complete.
"""

from importlib import import_module
from typing import NamedTuple

#: One line per format.
FORMATS = (
    "netcdf_zarr",
    "ang",
    "ctf",
    "orix_hdf5",
    "blo",
    "peaks_csv",
    "scan_list",
)


class WriterRow(NamedTuple):
    """One row of the table of written formats: texts only."""

    name: str
    endings: str
    keeps: str
    functions: str


def list_writers() -> list[WriterRow]:
    """List every format that results are written in, as rows of a table.

    Returns
    -------
    list of WriterRow
        ``name``, ``endings`` (separated by blanks), ``keeps`` (what of a result the format holds), and the
        ``functions`` of ``pk.io`` that write it.

    See Also
    --------
    phasekit.io.formats.list_formats : The formats that are opened.

    Examples
    --------
    >>> [row.functions for row in list_writers() if ".ctf" in row.endings]
    ['save_ctf']
    """
    modules = [import_module(f".{name}", __package__) for name in FORMATS]
    return [WriterRow(m.NAME, " ".join(m.EXTENSIONS), m.KEEPS, ", ".join(m.FUNCTIONS)) for m in modules]
