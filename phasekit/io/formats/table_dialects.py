"""Dialects of tables that are known, each with the source of what is known of it: the documentation lists them."""

from typing import NamedTuple


class Dialect(NamedTuple):
    """A way in which programs write spectra."""

    name: str
    endings: str
    known_by: str
    source: str


#: Every dialect has cases of its name in ``tests/io/test_table_cases.py``.
DIALECTS = (
    Dialect("delimited text", ".csv .txt .dat .t .r", "rows of numbers with or without a header", "RFC 4180"),
    Dialect(
        "XDI",
        ".xdi",
        "`# Column.1: energy eV`",
        "https://github.com/XraySpectroscopy/XAS-Data-Interchange",
    ),
    Dialect(
        "Athena",
        ".xmu .nor .dat",
        "names in the last comment line, one or several spectra",
        "https://bruceravel.github.io/demeter/documents/Athena/output",
    ),
    Dialect("SPEC", ".spec .dat", "`#S`, `#N`, `#L`, `@A`", "https://certif.com/spec_help/scans.html"),
    Dialect(
        "Mantis",
        ".csv .xas",
        'lines with `*`, the first of them "X-ray Absorption Data"',
        "http://spectromicroscopy.com",
    ),
    Dialect("aXis2000", ".txt .xas", "lines with `%` or `*`, perhaps a number of points", "http://unicorn.mcmaster.ca"),
    Dialect("SDF", ".xsp", "two columns or more without a header", "the STXM manual of ALS 5.3.2"),
    Dialect(
        "instrument header",
        ".txt .xas",
        "lines of text above the names of the columns",
        "files of ALS 6.3.1 and of Bruker's programs",
    ),
)
