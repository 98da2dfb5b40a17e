"""Lines of a text file in whatever encoding; what is no text is named."""

import codecs
import re
from pathlib import Path

from ....errors import ReadError

# A table of spectra has some kilobytes; a larger file is something else.
_LONGEST = 64 * 2**20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    # The mark of UTF-32 begins with that of UTF-16, so it is looked for first.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = (
    (b"\x1f\x8b", "a compressed file, such as an Athena project"),
    (b"PK\x03\x04", "an Excel workbook or zip archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (b"\x89HDF", "an HDF5 file"),
    (b"CDF", "a netCDF-3 file"),
    (b"%PDF", "a PDF"),
)
_EXPORT = "export the spectra as text (csv, or columns as Athena's File > Save does), or give a .nc file of phasekit"


def read_lines(path: Path) -> list[str]:
    """Lines that are not blank, without the blanks at their ends; tabs stay.

    Raises
    ------
    ReadError
        The file is empty, too large, binary, or a text of another kind.
    """
    size = path.stat().st_size
    if size == 0 or size > _LONGEST:
        raise ReadError(path, found=f"a file of {size} bytes", cure="give a text table of spectra")
    text = _decode_text(path, path.read_bytes())
    # str.splitlines would also split at characters that latin-1 uses within a line.
    lines = [line.strip(" \f\v\x1a") for line in re.split(r"\r\n|\r|\n", text)]
    lines = [line for line in lines if line.strip()]
    _refuse_other_texts(path, lines)
    return _join_quotations(_clean_igor(lines))


def _clean_igor(lines: list[str]) -> list[str]:
    """Names and rows of an Igor text; its words and its commands, such as ``X SetScale``, left out."""
    if not lines or lines[0].strip() != "IGOR":
        return lines
    kept = [line for line in lines[1:] if not re.match(r"\s*(BEGIN|END|X\b.*)\s*$", line)]
    # Names of waves stand between tabs or commas; rows begin with a tab.
    return [re.sub(r"^WAVES\S*\s+(.*)", lambda m: re.sub(r",\s*", "\t", m[1]), line.strip()) for line in kept]


def _join_quotations(lines: list[str]) -> list[str]:
    """Lines where a quotation that is open at the end of one goes on with the next; four lines at most."""
    out: list[str] = []
    wait = 0
    for k, line in enumerate(lines):
        if wait:
            out[-1] += " " + line
            wait -= 1
            continue
        out.append(line)
        opened = line.count('"') % 2 and not line.lstrip().startswith(("#", "%", "*", "!", "/"))
        later = (n for n, following in enumerate(lines[k + 1 : k + 5], 1) if following.count('"') % 2)
        wait = next(later, 0) if opened else 0
    return out


def _decode_text(path: Path, raw: bytes) -> str:
    kind = next((words for mark, words in _BINARY if raw.startswith(mark)), None)
    if kind is not None:
        raise ReadError(path, found=f"binary data ({kind})", cure=_EXPORT)
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), None) or _guess_wide_encoding(raw)
    try:
        text = raw.decode(encoding or "utf-8").lstrip("\ufeff")
    except UnicodeDecodeError:
        # Windows' own set is latin-1 with letters where that has none.
        text = raw.decode("cp1252") if encoding is None and _is_windows_text(raw) else raw.decode("latin-1")
    controls = sum(c < " " and c not in "\t\r\n\f\v\x1a" for c in text[:4096])
    # Text holds no zeros and hardly a control character, binary files soon do.
    if "\0" in text[:4096] or controls > 0.02 * min(len(text), 4096):
        raise ReadError(path, found="binary data", cure=_EXPORT)
    return text


def _guess_wide_encoding(raw: bytes) -> str | None:
    """UTF-16 without its mark: every second byte of western text is zero."""
    head = raw[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    # Half of the zeros suffice, because names may hold other letters.
    if odd > 0.25 * len(head) and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > 0.25 * len(head) and odd == 0 else None


def _is_windows_text(raw: bytes) -> bool:
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return True


def _refuse_other_texts(path: Path, lines: list[str]) -> None:
    head = [line.lstrip("# ").lower() for line in lines[:40]]
    if any(line.startswith("athena project") for line in head[:2]) or path.suffix.lower() == ".prj":
        raise ReadError(path, found="an Athena project, which is no table", cure=_EXPORT)
    if any(line.startswith(("jcamp-dx", "jcampdx", "xydata=", "xydata =")) for line in head):
        raise ReadError(path, found="a JCAMP-DX file, which packs its numbers", cure=_EXPORT)
    if head and head[0].startswith(("<html", "<!doctype", "<?xml", "{\\rtf")):
        raise ReadError(path, found=f"text that is no table ({head[0][:20]!r})", cure=_EXPORT)
