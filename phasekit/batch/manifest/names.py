"""Names of the rows, which are names of folders: nothing is written outside the folder of the batch."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

#: Longest name [bytes of UTF-8]; file systems take 255, and files in the folder get longer temporary names.
_LONGEST = 120
_LONGEST_STEM = 60
#: Characters with a meaning on some system.
_MARKS = frozenset('/\\<>:"|?*')
#: Names of devices on Windows, with any ending.
_DEVICES = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}) | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"
}
#: Endings of the files that a batch keeps beside the folders of its rows.
_OWN_ENDINGS = (
    ".html",
    ".json",
    ".csv",
    ".parquet",
    ".sqlite",
    "-wal",
    "-shm",
    "-journal",
    ".db",
    ".lock",
    ".part",
    ".tmp",
    ".css",
    ".js",
    ".sh",
)


def normalise_name(name: str) -> str:
    r"""Name in the composed form of Unicode, so that the same letters are the same folder.

    Examples
    --------
    >>> len(normalise_name("e\u0301"))
    1
    """
    return unicodedata.normalize("NFC", name)


def fold_name(name: str) -> str:
    """Text that is equal for names that some file system holds for one: without case and forms of Unicode.

    Examples
    --------
    >>> fold_name("Scan") == fold_name("SCAN")
    True
    """
    # Twice: folding the case can take a text out of its normal form.
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def find_name_fault(name: str) -> str:
    """What a name for a row holds that a folder's name must not; empty where it is right.

    Examples
    --------
    >>> find_name_fault("grain 7"), find_name_fault("../7")
    ('', "'/', a separator of folders or a sign with a meaning on some systems")
    """
    return next(_list_name_faults(name), "")


def make_name(parts: Sequence[str], digest: str) -> str:
    """Name of a folder from texts that may hold anything, and a digest that tells it from others.

    Examples
    --------
    >>> make_name(["acom", "../scan 1"], "0f3a")
    'acom-_scan 1-0f3a'
    """
    words = [word for word in (_make_word(part) for part in parts) if word]
    # A notebook called "con.x.ipynb" would make the name of a device: then the digest alone is the name.
    stem = _cut("-".join(words), _LONGEST - len(f"-{digest}"))
    name = f"{stem}-{digest}" if stem else digest
    return digest if find_name_fault(name) else name


def find_folder_fault(base: Path, name: str) -> str:
    """Why the folder ``base/name`` would not be a folder inside ``base``; empty where it is right or not there yet."""
    folder = base / name
    if folder.is_symlink() or (hasattr(os.path, "isjunction") and os.path.isjunction(folder)):
        return f"a link at {folder} that leads to another folder"
    if folder.exists() and not folder.is_dir():
        return f"a file at {folder}"
    return ""


def _list_name_faults(name: str) -> Iterator[str]:
    """What is wrong with a name, the worst first."""
    if not name.strip():
        yield "no letter"
    yield from (f"the control character U+{ord(letter):04X}" for letter in name if _is_unprintable(letter))
    yield from (f"'{x}', a separator of folders or a sign with a meaning on some systems" for x in name if x in _MARKS)
    if name != name.strip(" .") or name.startswith("-"):
        yield "a blank or point at an end, or a hyphen at its beginning"
    if name.partition(".")[0].strip().lower() in _DEVICES:
        yield f"'{name.partition('.')[0]}', the name of a device on Windows"
    if len(name.encode()) > _LONGEST:
        yield f"{len(name.encode())} bytes, more than {_LONGEST}"
    yield from (f"the ending '{x}', as the batch's own files have it" for x in _OWN_ENDINGS if name.lower().endswith(x))


def _make_word(text: str) -> str:
    """Part of a folder's name from any text."""
    safe = "".join("_" if _is_unprintable(letter) or letter in _MARKS else letter for letter in normalise_name(text))
    return _cut(safe, _LONGEST_STEM)


def _cut(text: str, longest: int) -> str:
    """The beginning of a text, at most ``longest`` bytes, without blanks, points and hyphens at its ends."""
    word = text.strip(" .-")
    while len(word.encode()) > longest:
        word = word[:-1]
    return word.strip(" .-")


def _is_unprintable(letter: str) -> bool:
    """Control and format characters, halves of surrogate pairs, separators of lines: invisible or not in UTF-8."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")
