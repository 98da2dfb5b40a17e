"""Open a crystal structure: a CIF file, or its text, as a phase with the axes, atoms and symmetry of the file."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..code_cache import import_alone
from ..crystals import point_symmetry
from .formats.crystal.cif import read_text
from .formats.crystal.structure import Crystal, CrystalOptions
from .formats.registry import read_file

if TYPE_CHECKING:
    from orix.crystal_map import Phase


def open_phase(path_or_cif_text: str | PathLike[str]) -> "Phase":
    """Crystal phase of a CIF file or text, of any crystal system and any axis setting.

    The symmetry lines of the file (``_space_group_symop_operation_xyz`` or ``_symmetry_equiv_pos_as_xyz``) fill the
    unit cell, whatever the setting is called. Only when there are none is the space group looked up, by its symbol
    first; a group with two origins is then refused, because its name alone does not place the atoms.

    Parameters
    ----------
    path_or_cif_text
        File name, or the text itself (anything with a line break). Positions are fractions of the cell; lengths are
        in angstrom, angles in degrees. Ions become elements (``Fe3+`` -> Fe), uncertainties in brackets are dropped.

    Returns
    -------
    orix.crystal_map.Phase
        - ``structure.lattice``: a, b, c, alpha, beta, gamma in the file's order, never re-sorted; Cartesian frame with
          x along a and z along c* (docs/conventions.md).
        - ``structure``: all atoms of the cell, with element, label, occupancy and isotropic displacement
          (``Uisoequiv``, ``Bisoequiv`` [angstrom^2], from ``_atom_site_U_iso_or_equiv``, else ``_atom_site_B_...``).
          It is 0, for which spot intensities take B = 0.5, where the file gives none, one that is not positive, or
          U >= 0.5: such values are placeholders (VESTA writes U = 1). Anisotropic ones are not read. Copies nearer
          than 0.05 angstrom are one atom on its symmetry element.
        - ``point_group``: the rotations on *these* axes. ``2/m`` with unique axis b, ``31m``, ``-62m`` ... differ from
          the one setting orix holds under that name; they come as a ``Symmetry`` called "2/m on the axes given".
        - ``space_group``: with the file's own operations; None where orix would derive a wrongly turned point group
          from its number (as for the groups just named) or where the group is not recognised.
        - ``name``: the file's stem, or the mineral or block name of a text.

    Raises
    ------
    ReadError
        No such file, no cell, no symmetry, no atoms, an unknown element, symmetry lines that form no group or do not
        fit the cell, a place that is occupied more than once, fewer atoms of an element than the file's own formula
        asks for (a file that was cut short between two atom rows).

    Examples
    --------
    >>> text = '''data_Ni
    ... _cell_length_a 3.5239
    ... _cell_length_b 3.5239
    ... _cell_length_c 3.5239
    ... _cell_angle_alpha 90
    ... _cell_angle_beta 90
    ... _cell_angle_gamma 90
    ... _space_group_name_H-M_alt 'F m -3 m'
    ... loop_
    ... _atom_site_label
    ... _atom_site_fract_x
    ... _atom_site_fract_y
    ... _atom_site_fract_z
    ... Ni1 0 0 0
    ... '''
    >>> nickel = open_phase(text)
    >>> nickel.name, nickel.point_group.name, len(nickel.structure)
    ('Ni', 'm-3m', 4)
    """
    # a text has line breaks, a file name has none
    if isinstance(path_or_cif_text, str) and ("\n" in path_or_cif_text or "\r" in path_or_cif_text):
        return _make_phase(read_text(path_or_cif_text, "CIF text"))
    crystal: Crystal = read_file(Path(path_or_cif_text), "crystal", CrystalOptions())
    return _make_phase(crystal)


def _make_phase(crystal: Crystal) -> "Phase":
    """Phase of orix, with the space group only where orix derives the same point group from its number."""
    from diffpy.structure import Atom, Lattice, Structure
    from diffpy.structure.spacegroups import GetSpaceGroup, SpaceGroup, SymOp

    import_alone("orix.quaternion.symmetry")
    from orix.crystal_map import Phase
    from orix.quaternion.symmetry import get_point_group

    # The base is already aligned as orix wants it: it would otherwise turn the cell under the atoms.
    structure = Structure(
        [
            Atom(site.element, xyz=place, label=site.label, occupancy=site.occupancy, Uisoequiv=site.u_iso)
            for site, orbit in crystal.atoms
            for place in orbit
        ],
        lattice=Lattice(base=crystal.base),
        title=crystal.title,
    )
    symmetry = point_symmetry([matrix for matrix, _ in crystal.operations], crystal.base)
    group, number = None, crystal.space_group_number
    if number is not None and get_point_group(number).name == symmetry.name:
        table = GetSpaceGroup(number)
        lines = [SymOp(np.array(matrix, float), np.array(shift, float)) for matrix, shift in crystal.operations]
        group = SpaceGroup(
            number=number,
            num_sym_equiv=len(lines),
            num_primitive_sym_equiv=len({operation[0] for operation in crystal.operations}),
            short_name=(crystal.space_group_name or table.short_name).replace(" ", ""),
            point_group_name=table.point_group_name,
            crystal_system=table.crystal_system,
            pdb_name=table.pdb_name,
            symop_list=lines,
        )
    return Phase(
        name=crystal.title, space_group=group, point_group=None if group is not None else symmetry, structure=structure
    )
