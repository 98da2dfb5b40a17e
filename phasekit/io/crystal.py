"""Open a crystal structure: a CIF file or its text as a phase on its own axes, with the symmetry of its atoms."""

import warnings
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..code_cache import import_alone
from ..crystals import FoundSymmetry, find_symmetry, has_symmetry, point_symmetry
from ..errors import ReadError, SymmetryWarning
from .formats.crystal.cif import read_text
from .formats.crystal.space_groups import count_translations
from .formats.crystal.structure import Crystal, CrystalOptions
from .formats.registry import read_file
from .formats.remote import make_path

if TYPE_CHECKING:
    from diffpy.structure import Structure
    from diffpy.structure.spacegroups import SpaceGroup
    from orix.crystal_map import Phase
    from orix.quaternion import Symmetry


def open_phase(path_or_cif_text: str | PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> "Phase":
    """Open the crystal phase of a CIF file or text, of any crystal system and any axis setting.

    The symmetry lines of the file fill the unit cell (``_space_group_symop_operation_xyz`` or
    ``_symmetry_equiv_pos_as_xyz``), whatever the setting is called. Lines that lack the centring of the group that the
    file states are completed. A file without lines is filled by its space group, looked up by Hall symbol, name and
    number. A group with two origins is then refused, because its name does not place the atoms.

    The symmetry of the phase is that of its atoms, as spglib finds it within 0.01 angstrom. For a file in P 1 with few
    digits it is two units of the last digit, at most 0.05. Bank, grains, colours and exports use this one symmetry.

    Parameters
    ----------
    path_or_cif_text
        File name, or the text itself (anything with a line break). Positions are fractions of the cell, lengths are in
        angstrom, angles in degrees. Ions become elements (``Fe3+`` -> Fe), deuterium hydrogen, water (``H2O``, ``Wat``)
        its oxygen. A mixed site may be written ``Li0.97Ni0.03``. Uncertainties in brackets and dummy atoms
        (``_atom_site_calc_flag dum``) are dropped.
    storage_options
        Options of the storage where ``path`` is an address that fsspec knows (``s3://bucket/Ni.cif``), as in pandas
        and xarray: ``{"anon": True}``, ``{"endpoint_url": ...}``. They travel to the workers and are never shown.

    Returns
    -------
    orix.crystal_map.Phase
        - ``structure.lattice``: a, b, c, alpha, beta, gamma in the file's order, never sorted. The Cartesian frame
          has x along a and z along c* (docs/conventions.md).
        - ``structure``: all atoms of the cell, with element, label, occupancy and isotropic displacement
          (``Uisoequiv``, ``Bisoequiv`` [angstrom^2]). The displacement is read from ``_atom_site_U_iso_or_equiv``,
          else from ``_atom_site_B_iso_or_equiv``; anisotropic ones are not read. It is 0 where the file gives none.
          Values that are not positive, or have U >= 0.5, are placeholders (VESTA writes U = 1) and count as 0 too.
          Spot intensities take B = 0.5 for 0. Copies nearer than 0.05 angstrom are one atom on its symmetry element,
          unless the digits say more and the occupancy leaves room for both halves of a split atom.
        - ``point_group``: the rotations on *these* axes. ``2/m`` with unique axis b, ``31m`` and ``-62m`` differ from
          the one setting orix holds under that name. They come as a ``Symmetry`` called "2/m on the axes given".
        - ``space_group``: that of the atoms, with its operations on the axes and origin of the file. It is None where
          orix would derive another point group from its number, as for the groups just named, and for supercells.
        - ``name``: the file's stem, or the mineral or block name of a text.

    Warns
    -----
    SymmetryWarning
        The atoms have another point group than the file states, or the cell holds several primitive cells that the
        file does not tell of. Symmetry lines were completed.

    Raises
    ------
    ReadError
        The file is missing, or has no cell, symmetry or atoms. An element is unknown, not certain, or not in the
        file's own formula. The symmetry lines form no group, another one than the file states, or do not fit the cell.
        A place is occupied more than once. The content contradicts formula, formula units or density of the file.

    See Also
    --------
    phasekit.acom.build_templates : Make the bank of templates of one or more phases.
    phasekit.acom.calibrate_peaks : Find the scale of the detector with a known phase.

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
        return _make_phase(read_text(path_or_cif_text, "CIF text"), "CIF text")
    path = make_path(path_or_cif_text, storage_options, "open_phase")
    if not path.exists():
        raise ReadError(path, found="no such file", cure="check the path (a CIF text must contain line breaks)")
    crystal: Crystal = read_file(path, "crystal", CrystalOptions())
    return _make_phase(crystal, str(path))


def _make_phase(crystal: Crystal, path: str) -> "Phase":
    """Phase of orix with the symmetry of its atoms, and a warning where the file states another one."""
    import_alone("orix.quaternion.symmetry")
    from orix.crystal_map import Phase
    from orix.quaternion.symmetry import get_point_group

    structure = _make_structure(crystal)
    # The point group is made from the operations themselves: orix holds one setting per name only.
    stated = point_symmetry([matrix for matrix, _ in crystal.operations], crystal.base)
    found = find_symmetry(
        crystal.base,
        np.array([atom.xyz for atom in structure]),
        [atom.element for atom in structure],
        [atom.occupancy for atom in structure],
        tolerance=crystal.tolerance,
    )
    remarks = [*crystal.remarks, *_compare_symmetry(crystal, stated, found)]
    if remarks:
        warnings.warn(f"{path}: {'; '.join(remarks)}.", SymmetryWarning, stacklevel=3)
    # Operations of the file make its atoms exactly. Atoms that seem to lack them only have a cell with rounded angles.
    symmetry = found.point_group if found is not None and has_symmetry(found, stated) else stated
    group = None
    # A space group is passed on only where orix derives the same point group from its number; otherwise orix would
    # turn the symmetry against the atoms.
    if found is not None and found.is_complete and get_point_group(found.number).name == symmetry.name:
        group = _make_space_group(found)
    return Phase(
        name=crystal.title, space_group=group, point_group=None if group is not None else symmetry, structure=structure
    )


def _make_structure(crystal: Crystal) -> "Structure":
    from diffpy.structure import Atom, Lattice, Structure

    # The base is already aligned as orix wants it: it would otherwise turn the cell under the atoms.
    return Structure(
        [
            Atom(site.element, xyz=place, label=site.label, occupancy=site.occupancy, Uisoequiv=site.u_iso)
            for site, orbit in crystal.atoms
            for place in orbit
        ],
        lattice=Lattice(base=crystal.base),
        title=crystal.title,
    )


def _make_space_group(found: FoundSymmetry) -> "SpaceGroup":
    """Space group with the operations on the axes and the origin of the file."""
    from diffpy.structure.spacegroups import GetSpaceGroup, SpaceGroup, SymOp

    table = GetSpaceGroup(found.number)
    pairs = zip(found.rotations, found.translations, strict=True)
    return SpaceGroup(
        number=found.number,
        num_sym_equiv=len(found.rotations),
        num_primitive_sym_equiv=found.point_group.size,
        short_name=found.symbol,
        point_group_name=table.point_group_name,
        crystal_system=table.crystal_system,
        pdb_name=table.pdb_name,
        symop_list=[SymOp(np.array(matrix, dtype=float), shift) for matrix, shift in pairs],
    )


def _compare_symmetry(crystal: Crystal, stated: "Symmetry", found: FoundSymmetry | None) -> list[str]:
    """Say where the symmetry of the atoms is not that of the file; nothing where they agree."""
    within = f"within {crystal.tolerance:.2g} angstrom"
    if found is None:
        return [f"spglib finds no symmetry of the atoms; that of the file, {crystal.stated}, is used"]
    if not has_symmetry(found, stated):
        return [
            f"the atoms have only {found.symbol} {within}, because the cell is rounded; the symmetry of the file, "
            f"{crystal.stated}, is used"
        ]
    remarks = []
    name = found.point_group.name.split(" ")[0]
    if found.point_group.size != stated.size:
        remarks.append(
            f"the file states {crystal.stated}, but its atoms have {found.symbol} (point group {name}) {within}. Bank, "
            f"grains, colours and exports use {name}; the axes of the file are kept"
        )
    own = count_translations(crystal.operations)
    if found.n_primitive != own:
        remarks.append(
            f"the cell holds {found.n_primitive} primitive cells of its structure, {own} by the symmetry of the file"
        )
    return remarks
