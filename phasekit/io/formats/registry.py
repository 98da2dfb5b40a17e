"""Registry of file formats: which there are, which one a file has, and which options it takes.

A format is a module (see the package's docstring). Modules are imported when a file is opened, one after another until
one recognises the file. Error messages, the table of the documentation and a test read the same lists.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import ReadError, SchemaError
from .file_errors import damaged_file
from .hdf5_file import check_text_heaps, contains_hdf5
from .hdf5_links import check_links
from .remote import is_remote

#: Folders of this package, one per instrument. Each lists its formats in ``FORMATS``.
INSTRUMENTS = ("stxm", "fourdstem", "crystal")

# Signatures of all formats lie within these bytes.
_HEAD_BYTES = 64
_ARCHIVES = {b"PK\3\4": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"7z\xbc\xaf": "7z"}
# What a download may leave in place of a file, by its beginning.
_WEB_PAGE = ("a web page instead of the file", "download the file itself, not the page that shows it")
_STAND_INS = {
    b"version https://git-lfs": ("a pointer of Git LFS instead of the file", "fetch the file: git lfs pull"),
    b"<!doctype html": _WEB_PAGE,
    b"<html": _WEB_PAGE,
}
_SHOWN_BYTES = 8


class FileFormat(NamedTuple):
    """What a format's module says about itself; the package's docstring explains the fields."""

    name: str
    extensions: tuple[str, ...]
    keeps: str
    options: tuple[str, ...]
    content: str
    folder: str
    dialects: tuple[str, ...]
    beside: tuple[str, ...]
    remote: bool
    recognise: Callable[[bytes, Path], bool]
    read: Callable[[Path, Any], Any]


class FormatRow(NamedTuple):
    """One row of the table of formats: texts only."""

    instrument: str
    name: str
    endings: str
    beside: str
    keeps: str
    dialects: str
    function: str


@lru_cache
def load_format(instrument: str, module: str) -> FileFormat:
    """Import the module of a format and collect what it says about itself."""
    found = import_module(f".{instrument}.{module}", __package__)
    return FileFormat(
        name=found.NAME,
        extensions=tuple(found.EXTENSIONS),
        keeps=found.KEEPS,
        options=tuple(found.OPTIONS),
        content=getattr(found, "CONTENT", ""),
        folder=getattr(found, "FOLDER", ""),
        dialects=tuple(getattr(found, "DIALECTS", ())),
        beside=tuple(getattr(found, "BESIDE", ())),
        remote=bool(getattr(found, "REMOTE", False)),
        recognise=found.recognise,
        read=found.read,
    )


def iterate_formats(instrument: str) -> Iterator[FileFormat]:
    """Formats of an instrument in the order in which a file is offered to them; each module loads when its turn comes.

    Examples
    --------
    >>> [form.name for form in iterate_formats("crystal")]
    ['CIF']
    """
    for module in import_module(f".{instrument}", __package__).FORMATS:
        yield load_format(instrument, module)


def list_formats() -> list[FormatRow]:
    """List every format that phasekit opens, as rows of a table.

    Returns
    -------
    list of FormatRow
        ``instrument``, ``name``, ``endings`` (separated by blanks) and ``dialects``. ``beside`` holds the endings of
        files that must lie beside it. ``keeps`` is what a file gives beside the counts. ``function`` is the function
        of ``pk.io`` that opens the format.

    See Also
    --------
    phasekit.io.writers.list_writers : The formats that results are written in.

    Examples
    --------
    >>> rows = list_formats()
    >>> [row.endings for row in rows if row.name == "aXis2000"]
    ['.ncb']
    >>> sorted({row.function for row in rows})
    ['open_4dstem', 'open_phase', 'open_stxm']
    """
    return [_make_row(instrument, form) for instrument in INSTRUMENTS for form in iterate_formats(instrument)]


def _make_row(instrument: str, form: FileFormat) -> FormatRow:
    package = import_module(f".{instrument}", __package__)
    return FormatRow(
        instrument=package.INSTRUMENT,
        name=form.name,
        endings=" ".join(form.extensions),
        beside=" ".join(form.beside),
        keeps=form.keeps,
        dialects=", ".join(form.dialects),
        function=package.FUNCTION,
    )


def find_format(path: Path, instrument: str) -> FileFormat:
    """Find the first format of an instrument that recognises the file or folder.

    Parameters
    ----------
    path
        File or folder.
    instrument
        Folder of this package: one of ``INSTRUMENTS``.

    Raises
    ------
    ReadError
        The file is missing, empty, or of no known format.
    """
    if not path.exists():
        raise ReadError(path, found="no such file", cure="check the path")
    head = b""
    if not path.is_dir():
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if not head:
            raise ReadError(path, found="an empty file (0 bytes)", cure="copy the file again")
        # first of all: the HDF5 library does not return from a damaged heap, so no recogniser may look before
        if contains_hdf5(path):
            check_text_heaps(path)
            # here and not in a recogniser, which would only say that the file is none of its own
            check_links(path)
    for form in iterate_formats(instrument):
        if (form.remote or not is_remote(path)) and form.recognise(head, path):
            return form
    raise _refuse_remote(path, instrument) if is_remote(path) else _unknown_format(path, head, instrument)


def _refuse_remote(path: Path, instrument: str) -> ReadError:
    """Error for an address of a format whose reader needs a file of this machine."""
    known = ", ".join(form.name for form in iterate_formats(instrument) if form.remote)
    cure = f"copy it to this machine first, and open the copy; from an address these are read: {known}"
    return ReadError(path, found="an address of a file that is not read over the network", cure=cure)


def _unknown_format(path: Path, head: bytes, instrument: str) -> ReadError:
    forms = list(iterate_formats(instrument))
    endings = [" ".join(form.extensions) + "".join(f" + {ending}" for ending in form.beside) for form in forms]
    known = ", ".join(f"{form.name} ({text})" for form, text in zip(forms, endings, strict=True))
    if path.is_dir():
        folders = [form.folder for form in forms if form.folder]
        found = f"a folder that is no {' and no '.join(dict.fromkeys(folders))}" if folders else "a folder"
        return ReadError(path, found=found, cure=f"give one of: {known}")
    begin, suffix = head[:_SHOWN_BYTES], path.suffix.lower()
    for start, (found, cure) in _STAND_INS.items():
        if head.lstrip().lower().startswith(start):
            return ReadError(path, found=found, cure=cure)
    archive = next((kind for start, kind in _ARCHIVES.items() if head.startswith(start)), None)
    if archive:
        return ReadError(path, found=f"a {archive} archive", cure=f"unpack it, and give one of: {known}")
    # An ending of a known format with other content is a damaged or renamed file.
    contents = [form.content or form.name for form in forms if suffix in form.extensions]
    if contents:
        expected = " or ".join(dict.fromkeys(contents))
        found = f"a file that is not {expected}, as '{path.suffix}' promises (it begins with {begin!r})"
        cure = "give it the ending of its format, or copy it again if its beginning is damaged"
        return ReadError(path, found=found, cure=cure)
    found = f"an unknown format (the unknown ending '{path.suffix}', first bytes {begin!r})"
    return ReadError(path, found=found, cure=f"give one of: {known}")


def check_options(path: Path, form: FileFormat, options: Any) -> None:
    """Refuse the options (fields of a NamedTuple) that a format does not take. None and region 0 are no choice."""
    chosen = {
        name: value
        for name, value in options._asdict().items()
        if value is not None and not (isinstance(value, int) and value == 0)
    }
    # A choice that is silently ignored would open other data than the caller expects.
    wrong = [f"{name}={value!r}" for name, value in chosen.items() if name not in form.options]
    if wrong:
        found = f"a file of the format {form.name}, which takes no {', '.join(wrong)}"
        raise ReadError(path, found=found, cure="leave that argument out")


def read_file(path: Path, instrument: str, options: Any) -> Any:
    """Read a file with the format that recognises it; what is returned is the business of the instrument's folder.

    Parameters
    ----------
    path
        File or folder.
    instrument
        Folder of this package: one of ``INSTRUMENTS``.
    options
        NamedTuple of the opening function's arguments; a field of None was not given.

    Raises
    ------
    ReadError
        No format recognises the file, the format does not take an option, or the file is damaged.
    """
    with report_damage(path):
        form = find_format(path, instrument)
        check_options(path, form, options)
        return form.read(path, options)


@contextmanager
def report_damage(path: Path) -> Iterator[None]:
    """Turn any exception but our own into a ReadError: file libraries raise nearly anything on a damaged file."""
    try:
        yield
    except (ReadError, SchemaError):
        raise
    except Exception as error:
        raise damaged_file(path, error) from error
