"""Crystal structures in CIF files and CIF texts, of any axis setting."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....crystals import TOLERANCE
from ....errors import ReadError
from .cif_text import Block, StatedGroup, choose_block, parse_blocks, read_cell, read_operations, read_stated_group
from .formula import check_content
from .sites import Site, read_sites
from .space_groups import check_number, count_translations, find_missing_lines, find_operations, refuse_lines
from .structure import Crystal, CrystalOptions
from .symmetry import SAME_PLACE, check_operations, compute_lattice_base, expand_sites, lists_whole_cell
from .symmetry_lines import Operation

NAME = "CIF"
EXTENSIONS = (".cif",)
KEEPS = "cell, axes, symmetry lines, atoms with occupancy and isotropic displacement"
OPTIONS = ()
REMOTE = True
CONTENT = "CIF text"

# Beginnings of tags that tell of a structure which is more than atoms in a space group.
_VARIANTS = {
    "_space_group_symop_magn": (
        "a magnetic structure (magCIF), which is not read",
        "give the CIF of the crystal without its magnetic moments",
    ),
    "_space_group_ssg": ("a modulated structure, which is not read", "give the CIF of its average structure"),
    "_space_group_symop_ssg": ("a modulated structure, which is not read", "give the CIF of its average structure"),
}
# A CIF file of one structure is far smaller.
_LARGEST_CIF = 20_000_000  # [bytes]


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the file by its ending, and any other file that begins as text: CIF has no signature."""
    return path.is_file() and (path.suffix.lower() == ".cif" or b"\0" not in head)


def read(path: Path, options: CrystalOptions) -> Crystal:
    """Read the structure of a file; its stem is the title."""
    size = path.stat().st_size
    if size > _LARGEST_CIF:
        raise ReadError(path, found=f"{size} bytes", cure="give a CIF file, which is smaller than 20 MB")
    content = path.read_bytes()
    # Editors of Windows write UTF-16 as "Unicode", marked by its first two bytes.
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return read_text(content.decode("utf-16", errors="replace"), str(path), path.stem)
    if b"\0" in content:
        raise ReadError(path, found="a binary file", cure="give a CIF file, which is text")
    # Old files hold Latin-1 letters in names of authors, which do not matter here.
    return read_text(content.decode("utf-8-sig", errors="replace"), str(path), path.stem)


def read_text(text: str, path: str, title: str | None = None) -> Crystal:
    """Read the structure of a CIF text.

    Parameters
    ----------
    text
        The text, with one data block that has a unit cell.
    path
        Name of its source, for messages.
    title
        Title of the structure; None takes the mineral or block name of the text.
    """
    block = choose_block(parse_blocks(text, path), path)
    cell = read_cell(block, path)
    try:
        base = compute_lattice_base(cell)
    except ValueError as error:
        raise ReadError(
            path, found=f"an impossible cell: {error}", cure="compare the angles with the publication"
        ) from error
    _refuse_variant(block, path)
    stated = read_stated_group(block, path)
    sites = read_sites(block, path)
    # Symmetry lines are exact for any setting; a name in a table is the second choice.
    lines = read_operations(block, path)
    remarks: tuple[str, ...] = ()
    if lines:
        operations, remarks = _complete_lines(lines, stated, cell, base, sites, path)
    else:
        operations = find_operations(stated, cell, path)
    check_operations(operations, base, path)
    atoms = expand_sites(sites, operations, base, path)
    check_content(block, atoms, abs(float(np.linalg.det(base))), path)
    title = title or block.first("_chemical_name_mineral", "_chemical_name_common") or block.name or "crystal"
    count = f"{len(operations)} operation{'s' if len(operations) > 1 else ''}"
    symmetry = count if stated.is_empty() else f"{stated} ({count})"
    tolerance = _find_tolerance(sites, base) if len({matrix for matrix, _ in operations}) == 1 else TOLERANCE
    return Crystal(title, base, atoms, operations, symmetry, tolerance, remarks)


def _refuse_variant(block: Block, path: str) -> None:
    """Refuse what CIF can hold beside a crystal with fractional positions and space group, by its name."""
    tags = {tag.replace(".", "_") for tag in (*block.values, *block.columns)}
    plain = bool(read_operations(block, path)) or not read_stated_group(block, path).is_empty()
    for start, (found, cure) in _VARIANTS.items():
        if not plain and any(tag.startswith(start) for tag in tags):
            raise ReadError(path, found=found, cure=cure)
    if "_atom_site_cartn_x" in tags and "_atom_site_fract_x" not in tags:
        cure = "export them as fractions of the cell (_atom_site_fract_x/y/z)"
        raise ReadError(
            path, found="Cartesian positions (_atom_site_Cartn_x), which depend on a program's axes", cure=cure
        )


def _complete_lines(
    lines: list[Operation],
    stated: StatedGroup,
    cell: tuple[float, ...],
    base: NDArray[np.float64],
    sites: list[Site],
    path: str,
) -> tuple[list[Operation], tuple[str, ...]]:
    """Operations of the group that the file states, where its lines are only part of them, and what to say of it."""
    missing = find_missing_lines(lines, stated, cell)
    if missing is None:
        check_operations(lines, base, path)  # only a group has a number
        check_number(lines, stated, cell, base, path)
        return lines, ()
    # A list of all atoms needs no more lines: spglib finds the symmetry from the atoms.
    if any(lists_whole_cell(sites, group, base) for group in missing.settings):
        return lines, ()
    complete = missing.complete()
    if complete is None:
        raise refuse_lines(missing, path)
    return complete, (
        f"the {len(lines)} symmetry lines lack the centring of {stated} and were completed to {len(complete)}, "
        f"{count_translations(complete)} lattice points in the cell",
    )


def _find_tolerance(sites: list[Site], base: NDArray[np.float64]) -> float:
    """Distance [angstrom] within which atoms may miss their images, because of the digits of the file.

    This is for files in P 1: where a file states a group, few digits are no reason to doubt it. The distance is two
    units of the last digit along the longest edge. It is at least ``crystals.TOLERANCE``, and at most the distance at
    which two places are one. The median of the sites counts: hydrogen is often given with fewer digits.
    """
    digits = [site.digits for site in sites if site.digits]
    step = 2 * 10.0 ** -float(np.median(digits)) if digits else 0.0
    return float(np.clip(step * np.linalg.norm(base, axis=1).max(), TOLERANCE, SAME_PLACE))
