"""Entries of a batch as they are written: of one manifest, or one for each data file."""

import codecs
import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from phasekit.errors import ReadError

#: Endings of manifests; every other file is data.
MANIFESTS = (".csv", ".tsv", ".yaml", ".yml", ".json")
_STORES = (".zarr", ".zspy")  # formats whose files are folders
#: Marks at the beginning of a text; the longer ones first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Entry(NamedTuple):
    """One row as it is written."""

    number: int  # from 1
    values: dict[str, Any]
    line: int = 0  # of the file; 0: not known
    refused: tuple[str, str] = ("", "")  # what was found and what is needed, where the entry has not the right form


class Source(NamedTuple):
    """Where the rows of a batch come from."""

    name: str
    folder: Path  # relative paths count from here
    entries: list[Entry]
    is_manifest: bool


def read_source(sources: Sequence[str | os.PathLike[str]]) -> Source:
    """Read the entries of one manifest, or make one for each data file that is named or matches a pattern.

    Raises
    ------
    ReadError
        A file is not there, no file matches, or a manifest cannot be read.
    """
    given = [os.fspath(source) for source in sources]
    if len(given) == 1 and _is_manifest(given[0]) and not _is_pattern(given[0]):
        return _read_manifest(Path(given[0]))
    files = [file for source in given for file in _find_files(source)]
    manifests = [file for file in files if _is_manifest(file)]
    if manifests and len(files) == 1:
        return _read_manifest(Path(files[0]))
    if manifests:
        cure = "give one manifest, or data files only"
        raise ReadError(manifests[0], found=f"a manifest among {len(files)} files", cure=cure)
    entries = [Entry(number, {"input_path": file}) for number, file in enumerate(files, start=1)]
    return Source(", ".join(given[:3]) + ", ..." * (len(given) > 3), Path.cwd(), entries, is_manifest=False)


def read_text(file: Path) -> str:
    """Text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises
    ------
    ReadError
        The file cannot be read, or its encoding cannot be known; the message names the byte.
    """
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        found = "a folder" if os.path.isdir(file) else "no readable text file"
        raise ReadError(file, found=found, cure="give a .yaml, .json or .csv file") from error
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise _refuse_byte(file, data, len(mark) + error.start, encoding) from error
    if "\0" in text:
        found = "null characters, as in a text in UTF-16 without its mark or in a file that is no text"
        raise ReadError(file, found=found, cure="save it as UTF-8")
    return text


def _refuse_byte(file: Path, data: bytes, start: int, encoding: str) -> ReadError:
    """Error that names the place of a byte, and the letter it is in Western European text."""
    line = data.count(b"\n", 0, start) + 1
    place = start - (data.rfind(b"\n", 0, start) + 1) + 1
    letter = bytes([data[start]]).decode("cp1252", "replace") if start < len(data) else ""
    meant = f" (in Latin-1 or Windows-1252 it is '{letter}')" if letter.isprintable() and letter != "\ufffd" else ""
    found = f"the byte 0x{data[start]:02X} at line {line}, byte {place} of the line, which is not {encoding.upper()}"
    cure = "save it as UTF-8: in a spreadsheet 'CSV UTF-8', in a shell iconv -f latin1 -t utf-8 OLD > NEW"
    return ReadError(file, found=found + meant, cure=cure)


def _read_manifest(file: Path) -> Source:
    from .mappings import read_list
    from .tables import read_table

    text = read_text(file)
    # YAML and JSON keep types and lists; a table is what most people have already.
    read = read_table if file.suffix.lower() in (".csv", ".tsv") else read_list
    return Source(str(file), file.parent, read(file, text), is_manifest=True)


def _is_manifest(name: str) -> bool:
    return name.lower().endswith(MANIFESTS)


def _is_pattern(name: str) -> bool:
    """Whether a name is a glob pattern; a file of that name comes first."""
    return glob.has_magic(name) and not os.path.exists(name)


def _find_files(source: str) -> list[str]:
    """Files that a name or a pattern stands for, in the order of their names."""
    name = os.path.expanduser(source)
    if _is_pattern(name):
        found = sorted(file for file in glob.glob(name, recursive=True) if _is_data(file))
        if not found:
            cure = f"check the pattern; it counts from {Path.cwd()}"
            raise ReadError(source, found="no file that matches this pattern", cure=cure)
        return found
    if os.path.isdir(name) and not _is_data(name):
        raise ReadError(source, found="a folder", cure=f"give its files, as in '{name.rstrip('/')}/*.h5'")
    if not os.path.exists(name):
        raise ReadError(source, found="no such file", cure=f"check the path; it counts from {Path.cwd()}")
    return [name]


def _is_data(name: str) -> bool:
    """Whether a path is a file, or a folder that is one dataset."""
    return not os.path.isdir(name) or name.rstrip("/").lower().endswith(_STORES)
