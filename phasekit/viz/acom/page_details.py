"""What the page of an orientation map draws a pattern from: peaks, answers, and the reflections of the phases."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phasekit.crystals import direct_basis, phase_from_record
from phasekit.diffraction import reflections, wavelength

from ..static_page.quantise import Codes, quantise_by_ratio, quantise_evenly, store_counts, store_indices

#: Peaks are placed to a 4096th of the largest distance from the beam, far finer than they were measured.
_POSITION_STEPS = 4096


def pack_answers(data: xr.Dataset, n_phases: int) -> dict[str, Codes]:
    """Orientation and correlation of the two best matches, and of the best match of another phase."""
    answers = [
        (data["quaternion"].isel(match=i).values, data["correlation"].isel(match=i).values)
        for i in range(min(2, data.sizes["match"]))
    ]
    # The phase is that of the kept pixel, as its quaternions are; the map may hold more pixels.
    arrays: dict[str, Codes] = {"answer_phase": store_indices(data["phase"].values, n=max(n_phases, 1))}
    for number, (quaternion, correlation) in enumerate(answers):
        arrays |= _pack_answer(number, quaternion, correlation)
    if {"other_phase", "other_quaternion", "other_correlation"} <= set(data):
        arrays |= _pack_answer(2, data["other_quaternion"].values, data["other_correlation"].values)
        arrays["other_phase"] = store_indices(data["other_phase"].values, n=max(n_phases, 1))
    return arrays


def _pack_answer(number: int, quaternion: NDArray[Any], correlation: NDArray[Any]) -> dict[str, Codes]:
    return {
        f"quaternion_{number}": quantise_evenly(quaternion),
        f"correlation_{number}": quantise_evenly(correlation),
    }


def pack_peaks(peaks: xr.Dataset) -> dict[str, Codes]:
    """Peaks of all patterns one after the other, and their number in each pattern."""
    dims = ("scan_y", "scan_x", "peak")
    data = peaks[["qx", "qy", "intensity"]].compute()
    x, y, intensity = (data[name].transpose(*dims).values.astype(float) for name in ("qx", "qy", "intensity"))
    there = np.isfinite(x) & np.isfinite(y) & np.isfinite(intensity)
    step = find_reach(peaks) / _POSITION_STEPS
    return {
        "peak_count": store_counts(there.sum(axis=-1)),
        "peak_x": quantise_evenly(x[there], step=step),
        "peak_y": quantise_evenly(y[there], step=step),
        "peak_intensity": quantise_by_ratio(intensity[there]),
    }


def find_reach(peaks: xr.Dataset) -> float:
    """Largest distance of a peak from the beam along one axis [1/angstrom]; 1 without any peak."""
    largest = [float(abs(peaks[name]).max()) for name in ("qx", "qy")] if 0 not in peaks["qx"].shape else []
    finite = [value for value in largest if np.isfinite(value) and value > 0]
    return max(finite, default=1.0)


def pack_reflections(records: list[dict[str, Any]], bank: xr.Dataset) -> dict[str, Codes]:
    """Miller indices and strengths of the reflections of every phase, by which the page simulates spots."""
    arrays = {}
    for number, record in enumerate(records):
        table = reflections(phase_from_record(record), float(bank.attrs["g_max"]))
        lowest = int(table.hkl.min())
        arrays[f"hkl_{number}"] = store_counts(table.hkl - lowest)._replace(low=float(lowest))
        arrays[f"strength_{number}"] = quantise_by_ratio(table.strength, bits=16)
    return arrays


def describe_diffraction(
    records: list[dict[str, Any]], data: xr.Dataset, peaks: xr.Dataset | None, bank: xr.Dataset | None
) -> dict[str, Any]:
    """Settings of patterns and templates, as plain data for the page's scripts."""
    found: dict[str, Any] = {"nMatches": min(2, data.sizes["match"]), "hasPeaks": peaks is not None, "templates": None}
    reach = find_reach(peaks) if peaks is not None else float(bank.attrs["g_max"]) if bank is not None else 1.0
    radius = float(peaks["disk_radius"].mean()) if peaks is not None and "disk_radius" in peaks else np.nan
    # Spots that are too small to be seen are drawn larger.
    found |= {"reach": 1.05 * reach, "diskRadius": radius if np.isfinite(radius) and radius > 0 else 0.015 * reach}
    if bank is not None:
        names = ("precession_deg", "resolution_deg", "voltage_kv", "thickness_nm", "min_intensity")
        settings = {name: float(bank.attrs[name]) for name in names}
        # A reciprocal vector is the row of its indices times this matrix.
        matrices = [np.linalg.inv(direct_basis(record["lattice"])).T.ravel().tolist() for record in records]
        found["templates"] = {**settings, "wavelength": wavelength(settings["voltage_kv"]), "matrices": matrices}
    return found
