"""Small orientation maps with known answers."""

import json

import numpy as np
import xarray as xr

from phasekit.diffraction import crystal, phase_record

NICKEL = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
OLIVINE = crystal("LiFePO4", 62, (10.33, 6.01, 4.69, 90, 90, 90), [("Fe", 0.282, 0.25, 0.975)])


def orientation_map(quaternion, phase=None, *, step_nm=2.0):
    """ORIENTATIONS with one match from quaternions (y, x, 4); NaN rows are vacuum."""
    quaternion = np.asarray(quaternion, dtype=float)
    shape = quaternion.shape[:2]
    known = np.isfinite(quaternion).all(axis=-1)
    phase = np.where(known, 0 if phase is None else phase, -1).astype(np.int16)
    scan = ("scan_y", "scan_x")
    score = np.where(known, 20.0, np.nan)
    data = {
        "quaternion": ((*scan, "match", "wxyz"), quaternion[:, :, None]),
        "correlation": ((*scan, "match"), np.where(known, 0.9, np.nan)[..., None]),
        "phase": (scan, phase),
        "reliability": (scan, score),
        "phase_reliability": (scan, score),
        "status": (scan, np.where(known, 0, 1).astype(np.int8)),
    }
    axes = {d: (d, step_nm * np.arange(n, dtype=float), {"units": "nm"}) for d, n in zip(scan, shape, strict=True)}
    records = [phase_record(NICKEL), phase_record(OLIVINE)]
    return xr.Dataset(data, axes, {"phases": json.dumps(records)})
