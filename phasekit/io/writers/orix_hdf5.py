"""Orientation maps as orix ``CrystalMap`` objects and orix HDF5 files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...code_cache import import_alone
from .orientation_table import make_orientation_table, read_phase_records

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

NAME = "orix HDF5"
EXTENSIONS = (".h5", ".hdf5")
KEEPS = "every match, scores, phases, second grains"
FUNCTIONS = ("save_orix", "to_orix")

# What only some maps have: after refinement, with several phases, merged with ``pk.acom.match_second_grain``.
_MORE = (
    *("uncertainty_deg", "other_phase", "other_correlation", "other_quaternion"),
    *("second_phase", "second_correlation", "second_reliability", "second_quaternion", "unexplained"),
)


def write(orientations: xr.Dataset, path: Path) -> None:
    """Write an orientation map; a point group that orix does not know by name is stored without name."""
    crystal_map = build_crystal_map(orientations, "save_orix")
    import_alone("orix.quaternion.symmetry")
    from orix.io.plugins import orix_hdf5
    from orix.quaternion.symmetry import _groups

    # orix reads groups by name: its own group of the same name would be turned against the crystal's axes
    known = {group.name for group in _groups}
    for _, phase in crystal_map.phases:
        if phase.point_group is not None and phase.point_group.name not in known:
            phase.point_group = None
    orix_hdf5.file_writer(str(path), crystal_map)


def build_crystal_map(orientations: xr.Dataset, step: str) -> "CrystalMap":
    """Orientation map as orix holds it; ``step`` is the public function, for messages."""
    data, indexed = make_orientation_table(orientations, step, *_MORE)
    import_alone("orix.quaternion.symmetry")
    from orix.crystal_map import CrystalMap, PhaseList
    from orix.quaternion import Rotation

    phase_id = np.where(indexed, data["phase"].values.ravel(), -1)
    quaternion = data["quaternion"].values.reshape(len(phase_id), -1, 4)
    # Matches that were not found are NaN or zero; orix needs a rotation there.
    known = np.isfinite(quaternion).all(axis=-1, keepdims=True) & (np.abs(quaternion).sum(-1, keepdims=True) > 0)
    scan_y, scan_x = np.meshgrid(data["scan_y"].values, data["scan_x"].values, indexing="ij")
    records = read_phase_records(data)
    # orix drops phases without a pixel, and would renumber those it is given.
    used = [int(number) for number in np.unique(phase_id[phase_id >= 0])]
    scores = [name for name in ("correlation", "reliability", "phase_reliability", "status", *_MORE) if name in data]
    return CrystalMap(
        rotations=Rotation(np.where(known, quaternion, [1.0, 0, 0, 0])),
        phase_id=phase_id,
        x=scan_x.ravel(),
        y=scan_y.ravel(),
        phase_list=PhaseList({number: _make_phase(records[number]) for number in used}) if used else None,
        prop={name: data[name].values.reshape(len(phase_id), *data[name].shape[2:]) for name in scores},
        scan_unit="nm",
    )


def _make_phase(record: dict[str, Any]) -> Any:
    """Orix phase of one entry of ``attrs["phases"]``: as the bank recorded it, or from what another program gave."""
    from ...crystals import phase_from_record

    if "symmetry" in record:  # written by phase_record: its CIF lists every atom and no symmetry
        return phase_from_record(record)
    if "\n" in str(record.get("cif") or ""):
        from ..crystal import open_phase

        phase = open_phase(record["cif"])
        phase.name = str(record.get("name", phase.name))
        return phase
    return _make_phase_without_atoms(record)


def _make_phase_without_atoms(record: dict[str, Any]) -> Any:
    """Orix phase with the cell and symmetry of a record that has no CIF text."""
    from diffpy.structure import Lattice, Structure

    import_alone("orix.quaternion.symmetry")
    from orix.crystal_map import Phase
    from orix.quaternion.symmetry import _groups

    from ...crystals import direct_basis

    name = str(record.get("name", "phase"))
    structure = Structure(lattice=Lattice(base=direct_basis(record["lattice"])), title=name)
    group, number = record.get("point_group"), record.get("space_group")
    named = next((known for known in _groups if known.name == group), None)
    phase = Phase(name=name, space_group=int(number) if number else None, structure=structure)
    if phase.point_group is None or (group is not None and phase.point_group.name != group):
        phase = Phase(name=name, point_group=named, structure=structure)
    return phase
