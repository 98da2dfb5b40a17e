"""Photon energies beside a stack that has none: one for each page, in the order of the pages."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .decoding import read_lines
from .energy_axis import choose_energy, is_counting, is_index
from .layout import arrange_lines
from .naming import Column, name_columns
from .options import TableOptions, advise
from .scans import select_scan
from .units import convert_energies


def read_page_energies(path: Path, n_pages: int) -> NDArray[np.float64]:
    """Energies [eV] of the pages of a stack from a text table beside it.

    Raises
    ------
    ReadError
        There are not as many energies as pages, or the table leaves open which numbers are energies.
    """
    options = TableOptions(purpose="energies")
    written = _drop_file_names(path, _part_single_line(read_lines(path), n_pages), options)
    lines, _ = select_scan(path, written, options)
    try:
        layout = arrange_lines(path, lines, options)
    except ReadError as error:
        # Columns of spectra are not what is missing here.
        raise ReadError(path, found=error.found, cure=advise(options, "")) from error
    columns, certain = name_columns(path, layout, options)
    axis = columns[0] if len(columns) == 1 else choose_energy(path, columns, certain, options)
    if axis.values.size != n_pages:
        raise ReadError(
            path,
            found=f"{axis.values.size} energies for {n_pages} page(s)",
            cure=advise(options, ""),
        )
    energy = convert_energies(path, axis, layout, options)
    pages = next((c for c in columns if c is not axis and is_index(c)), None)
    return energy if pages is None else energy[_order_pages(path, pages, options)]


def _part_single_line(lines: list[str], n_pages: int) -> list[str]:
    """One line for each number, where all stand in one line and are as many as the pages."""
    body = [line for line in lines if not line.lstrip().startswith(("#", "%", "*", "!", "//"))]
    if len(body) != 1 or n_pages < 2:
        return lines
    text = body[0].strip("[]() ,;")
    # Commas without blanks separate only where nothing else does.
    fields = re.split(r"[;\s]+|,\s+", text) if re.search(r"[;\s]", text) else text.split(",")
    numbers = [field.strip(",") for field in fields]
    if len(numbers) != n_pages or not all(re.fullmatch(r"\d+([.,]\d+)?", number) for number in numbers):
        return lines
    return [*(line for line in lines if line not in body), *numbers]


def _drop_file_names(path: Path, lines: list[str], options: TableOptions) -> list[str]:
    """Lines without the name of an image file before the energy, if the names are in the order of an import."""
    found = [
        re.match(r'"?([^"\t;,]*?\.(?:tiff?|png|xrm|bim|ximg?|hdf5?|h5))"?[\t;, ]+(?=[\d.])', line) for line in lines
    ]
    if not any(found):
        return lines
    names = [m[1] for m in found if m is not None]
    keys = [[int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", name)] for name in names]
    if keys != sorted(keys) and names != sorted(names):
        raise ReadError(path, found=f"names of images in no order ({', '.join(names[:3])})", cure=advise(options, ""))
    return [line if m is None else line[m.end() :] for line, m in zip(lines, found, strict=True) if m or names]


def _order_pages(path: Path, pages: Column, options: TableOptions) -> NDArray[np.intp]:
    """Order of the rows by their page; numbers that leave a page out are refused."""
    order = np.argsort(pages.values, kind="stable")
    if is_counting(pages.values[order]):
        return order
    found = f"pages {pages.values[:4].tolist()} ... in the column {pages.describe()}, not counted from 0 or 1"
    raise ReadError(path, found=found, cure=advise(options, ""))
