"""Crystal structures in CIF files and CIF texts, of any axis setting."""

from pathlib import Path

from ....errors import ReadError
from .cif_text import choose_block, parse_blocks, read_cell, read_operations, read_sites, read_symmetry_name
from .formula import check_formula
from .structure import Crystal, CrystalOptions
from .symmetry import (
    check_operations,
    compute_lattice_base,
    expand_sites,
    find_space_group_number,
    find_table_operations,
)

NAME = "CIF"
EXTENSIONS = (".cif",)
KEEPS = "cell, axes, symmetry lines, atoms with occupancy and isotropic displacement"
OPTIONS = ()
CONTENT = "CIF text"

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
    name, number = read_symmetry_name(block, path)
    # Symmetry lines are exact for any setting; a name in a table is the second choice.
    operations = read_operations(block, path) or find_table_operations(name, number, cell, path)
    check_operations(operations, base, path)
    # A number in the file that contradicts its lines shows an incomplete list of lines.
    number = find_space_group_number(operations, name, number, path)
    atoms = expand_sites(read_sites(block, path), operations, base, path)
    # A file cut between two atom rows is still valid CIF; only its formula can show it.
    check_formula(block.first("_chemical_formula_sum"), atoms, path)
    title = title or block.first("_chemical_name_mineral", "_chemical_name_common") or block.name or "crystal"
    return Crystal(title, base, atoms, operations, number, name)
