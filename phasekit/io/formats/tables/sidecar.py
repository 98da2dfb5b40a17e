"""Photon energies beside a stack that has none: one for each page, in the order of the pages."""

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
    lines, _ = select_scan(path, read_lines(path), options)
    layout = arrange_lines(path, lines, options)
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


def _order_pages(path: Path, pages: Column, options: TableOptions) -> NDArray[np.intp]:
    """Order of the rows by their page; numbers that leave a page out are refused."""
    order = np.argsort(pages.values, kind="stable")
    if is_counting(pages.values[order]):
        return order
    found = f"pages {pages.values[:4].tolist()} ... in the column {pages.describe()}, not counted from 0 or 1"
    raise ReadError(path, found=found, cure=advise(options, ""))
