"""The scans: made by ``phasekit.synthetic``, written as plain HDF5 that every package can read, with CIF files beside.

``intensity (scan_y, scan_x, qy, qx)`` uint16, ``truth_phase`` (-1 = vacuum), ``truth_interior`` (one grain only),
``truth_quaternion``, ``truth_matrix``; ``phases/<n>``: lattice [angstrom, degree], elements, fractional positions.
"""

import argparse
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.crystals import lattice_of
from phasekit.rotations import to_matrix
from phasekit.synthetic.structures import cif_text

from ..harness import log_progress
from .structures import ENTRIES, bench_phases

SEED = 7741
TUNING_SEED = 7742  # what settings of the peers were chosen on
DOSES = (200, 600, 2000, 20000)


def make_scan(electrons: float, *, side: int, n_grains: int, seed: int = SEED, **microscope: float) -> xr.Dataset:
    """Simulate a foil of grains of the three phases in turn.

    1 degree precession, 200 kV, patterns of 128 x 128 pixels of 0.025 1/angstrom.
    """
    return pk.synthetic.orientation_scan(
        bench_phases(),
        shape=(side, side),
        electrons=electrons,
        precession_deg=1.0,
        specimen=pk.synthetic.Specimen(n_grains=n_grains),
        microscope=pk.synthetic.Microscope(**microscope),
        seed=seed,
    )


def write_scan(scan: xr.Dataset, path: Path) -> None:
    """Scan and truth as plain HDF5."""
    with h5py.File(path, "w") as file:
        for name in ("intensity", "truth_phase", "truth_interior", "truth_quaternion"):
            file[name] = scan[name].values
        file["truth_matrix"] = to_matrix(scan["truth_quaternion"].values)
        spots = pk.synthetic.true_spots(scan)
        file["truth_beam_px"] = np.stack([spots["beam_y"].values, spots["beam_x"].values], axis=-1)
        file["spot_y"], file["spot_x"], file["spot_electrons"] = (
            spots[name].values for name in ("spot_y", "spot_x", "electrons")
        )
        file.attrs["pixel_size"] = float(scan.qx[1] - scan.qx[0])
        file.attrs["voltage_kv"] = float(scan.attrs["voltage_kv"])
        file.attrs["precession_deg"] = float(scan.attrs["precession_deg"])
        for number, phase in enumerate(bench_phases()):
            _write_phase(file.create_group(f"phases/{number}"), phase)


def _write_phase(group: Any, phase: Any) -> None:
    atoms = list(phase.structure)
    group.attrs["name"] = phase.name
    group.attrs["space_group"] = phase.space_group.number
    group["lattice"] = np.array(lattice_of(phase))
    group["elements"] = [str(atom.element).encode() for atom in atoms]
    group["positions"] = np.array([atom.xyz for atom in atoms])
    group["b_iso"] = np.array([atom.Bisoequiv for atom in atoms])


def write_cifs(folder: Path) -> None:
    """The three CIF files."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in ENTRIES:
        (folder / f"{entry['name']}.cif").write_text(cif_text(entry), encoding="utf-8")


def main() -> None:
    """Write the scan of every dose."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--grains", type=int, default=108)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--doses", type=int, nargs="+", default=DOSES)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    write_cifs(Path(__file__).parent / "cif")
    for dose in chosen.doses:
        scan = make_scan(dose, side=chosen.side, n_grains=chosen.grains, seed=chosen.seed)
        write_scan(scan, chosen.folder / f"scan_{dose}.h5")
        log_progress(f"scan of {dose} electrons written")


if __name__ == "__main__":
    main()
