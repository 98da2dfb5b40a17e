"""Peaks of known crystals in known orientations, simulated from the reflections, for the tests of matching."""

import numpy as np
import xarray as xr

from phasekit.acom.templates import simulate_spots
from phasekit.crystals import crystal
from phasekit.diffraction import reflections

CRYSTALS = {
    "cubic": (225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)]),
    "tetragonal": (136, (4.59, 4.59, 2.96, 90, 90, 90), [("Ti", 0, 0, 0), ("O", 0.305, 0.305, 0)]),
    "orthorhombic": (62, (10.33, 6.01, 4.69, 90, 90, 90), [("Fe", 0.282, 0.25, 0.975), ("O", 0.166, 0.046, 0.285)]),
    "hexagonal": (194, (3.21, 3.21, 5.21, 90, 90, 120), [("Mg", 1 / 3, 2 / 3, 0.25)]),
    "trigonal": (166, (2.82, 2.82, 14.05, 90, 90, 120), [("Co", 0, 0, 0.5), ("O", 0, 0, 0.24)]),
    "monoclinic": (14, (5.15, 5.21, 5.32, 90, 99.2, 90), [("Zr", 0.275, 0.04, 0.208), ("O", 0.07, 0.33, 0.345)]),
    "triclinic": (2, (7.1, 7.8, 5.6, 91, 101, 106), [("Si", 0.1, 0.2, 0.3), ("O", 0.31, 0.42, 0.77)]),
}
BEAM = {"voltage_kv": 200.0, "precession_deg": 1.0, "resolution_deg": 0.0, "thickness_nm": 12.0, "min_intensity": 0.02}


def make(system):
    group, cell, atoms = CRYSTALS[system]
    return crystal(system, group, cell, atoms)


def simulated(phase, quaternions, *, g_max=1.5, electrons=np.inf, rng=None):
    """PEAKS (one row of the scan per call) of a phase in these orientations; Poisson counts for a finite dose."""
    found = reflections(phase, g_max)
    return as_peaks([thinned(simulate_spots(found, q, BEAM), electrons, rng) for q in quaternions])


def thinned(spots, electrons, rng):
    """Spots with Poisson intensities and positions that are as uncertain as the counts allow."""
    if not np.isfinite(electrons):
        return spots
    counts = rng.poisson(electrons * spots[:, 2] / spots[:, 2].sum())
    seen = counts >= 5
    shift = rng.normal(scale=0.03, size=(seen.sum(), 2)) / np.sqrt(counts[seen])[:, None]
    return np.column_stack([spots[seen, :2] + shift, counts[seen]])


def as_peaks(patterns):
    """PEAKS of a scan of one row from arrays (n, 3: qy, qx, intensity)."""
    width = max([len(p) for p in patterns] + [1])
    table = np.full((1, len(patterns), width, 3), np.nan)
    for k, spots in enumerate(patterns):
        table[0, k, : len(spots)] = spots
    scan, dims, unit = ("scan_y", "scan_x"), ("scan_y", "scan_x", "peak"), {"units": "1/angstrom"}
    count = np.isfinite(table[..., 0]).sum(axis=-1)
    zero = np.zeros(count.shape)
    data = {
        "qy": (dims, table[..., 0], unit),
        "qx": (dims, table[..., 1], unit),
        "intensity": (dims, table[..., 2], {"units": "counts"}),
        "prominence": (dims, table[..., 2], {"units": "counts"}),
        "noise": (scan, zero),
        "min_prominence": (scan, zero),
        "count": (scan, count),
        "status": (scan, np.where(count == 0, 1, 0).astype(np.int8)),
    }
    return xr.Dataset(data)
