"""What matching and refinement need of a bank, checked and laid out once, and the usable peaks of a scan."""

import os
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ... import rotations
from ...diffraction import diffraction_symmetry, reflections
from ...errors import SchemaError
from ...schema import PEAKS, TEMPLATES, require
from ..peaks.pattern_loop import LEAST_SCATTERED
from ..symmetry import read_phases
from . import polar as _polar
from .search import Layout, lay_out

Array = NDArray[np.float64]
_HALF_TURN_Y = rotations.about_axis([0, 1, 0], 180.0)
_SCAN = ("scan_y", "scan_x")
_KEPT_LAYOUTS = 3

#: Detection limits that templates are laid out for: weakest over summed intensity of a pattern's peaks.
LEVELS = np.array([0.003, 0.01, 0.03, 0.1, 0.3])


@dataclass
class PhaseBank:
    """Templates of one phase: spots (n, spot), ``share`` of each in its template's intensity, ``base`` (2 n, 4)."""

    qy: Array
    qx: Array
    share: Array
    base: Array
    symmetry: Array
    shells: int
    device: str | None = None
    _layouts: "OrderedDict[int, Layout]" = field(default_factory=OrderedDict, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def layout(self, level: int) -> Layout:
        """Templates as patterns with this detection limit see them: a spot below it weighs little when absent."""
        with self._lock:
            if level not in self._layouts:
                weight = self.share**_polar.INTENSITY_POWER * self.share / (self.share + LEVELS[level])
                self._layouts[level] = lay_out(_polar.unit_terms(self.qy, self.qx, weight, self.shells), self.device)
                if len(self._layouts) > _KEPT_LAYOUTS:
                    self._layouts.popitem(last=False)
            return self._layouts[level]


def check_inputs(peaks: xr.Dataset, bank: xr.Dataset, step: str) -> None:
    """Kinds and units of both, before anything is read."""
    require(bank, TEMPLATES, step=step)
    require(peaks, PEAKS, step=step, units={"qy": "1/angstrom", "qx": "1/angstrom"})
    for name in ("spot_qy", "spot_qx"):
        unit = bank[name].attrs.get("units")
        if unit != "1/angstrom":
            raise SchemaError(
                f"{step}: the bank's '{name}' is in '{unit}', needs '1/angstrom'. Build it with build_templates."
            )


def phase_banks(bank: xr.Dataset, device: str | None = None) -> list[PhaseBank]:
    """One per phase; the mirrored half looks at each template's crystal from the other side."""
    phase = np.asarray(bank["phase"])
    qy, qx, intensity = (np.asarray(bank[name], float) for name in ("spot_qy", "spot_qx", "spot_intensity"))
    quaternion = np.asarray(bank["quaternion"], dtype=float)
    shells = int(np.ceil(float(bank.attrs["g_max"]) / _polar.SHELL)) + 2
    out = []
    for index, crystal in enumerate(read_phases(bank)):
        mine = phase == index
        # Friedel: the crystal seen from behind gives the pattern mirrored in y, R -> R * R_y(180).
        behind = rotations.multiply(quaternion[mine], _HALF_TURN_Y)
        total = np.nansum(intensity[mine], axis=1, keepdims=True)
        share = np.nan_to_num(intensity[mine] / np.maximum(total, 1e-300))
        base = np.concatenate([quaternion[mine], behind])
        out.append(PhaseBank(qy[mine], qx[mine], share, base, diffraction_symmetry(crystal), shells, device))
    return out


def detection_level(intensity: Array) -> NDArray[np.int64]:
    """Index into ``LEVELS`` for patterns (pattern, peak), from their weakest and their summed intensity."""
    weakest = np.min(intensity, axis=1, where=intensity > 0, initial=np.inf)
    floor = weakest / np.maximum(intensity.sum(axis=1), 1e-300)
    bounds = np.sqrt(LEVELS[1:] * LEVELS[:-1])
    return np.searchsorted(bounds, floor)


def smallest_g(bank: xr.Dataset) -> float:
    """|g| of the innermost reflection of any phase [1/angstrom]."""
    return min(
        float(np.linalg.norm(reflections(crystal, float(bank.attrs["g_max"])).g[0])) for crystal in read_phases(bank)
    )


def evidence(peaks: xr.Dataset, bank: xr.Dataset, min_peaks: int = 1) -> list[xr.DataArray]:
    """``qy, qx, intensity (scan_y, scan_x, peak)`` of the usable peaks and, where there are enough, of the weak ones.

    Weak peaks are mostly noise one by one; together they tell orientations apart where peaks show that there is a
    crystal. Intensity is 0 for what is not to be used.
    """
    strong = usable_intensity(peaks, bank)
    if "weak_qy" not in peaks:
        return [peaks["qy"], peaks["qx"], strong]
    crystal = (strong > 0).sum("peak") >= min_peaks
    usable = crystal & _in_reach(peaks["weak_qy"], peaks["weak_qx"], bank)
    weak = peaks["weak_intensity"].where(usable & (peaks["weak_intensity"] > 0), 0.0).astype(np.float64)
    pairs = ((peaks["qy"], peaks["weak_qy"]), (peaks["qx"], peaks["weak_qx"]), (strong, weak))
    return [xr.concat([a, b.rename(weak_peak="peak")], "peak").transpose(*_SCAN, "peak") for a, b in pairs]


def usable_intensity(peaks: xr.Dataset, bank: xr.Dataset) -> xr.DataArray:
    """Intensity of the peaks that can be spots of the bank, else 0: not the direct beam, not beyond ``g_max``.

    All are 0 in a pattern whose peaks hold so little of the direct beam that there is no crystal: a bright beam through
    vacuum lets a few maxima of its halo pass for peaks.
    """
    usable = _in_reach(peaks["qy"], peaks["qx"], bank) & (peaks["intensity"] > 0)
    if "direct" not in peaks:
        return peaks["intensity"].where(usable, 0.0).astype(np.float64)
    direct = peaks["direct"].astype(bool)
    out = peaks["intensity"].where(usable & ~direct, 0.0).astype(np.float64)
    beam = peaks["intensity"].where(direct).sum("peak")
    return out.where(out.sum("peak") >= LEAST_SCATTERED * beam, 0.0)


def _in_reach(qy: xr.DataArray, qx: xr.DataArray, bank: xr.Dataset) -> xr.DataArray:
    """Whether a place can hold a spot of the bank: not inside the innermost reflections, not beyond ``g_max``."""
    square = qy**2 + qx**2
    return (square > (0.6 * smallest_g(bank)) ** 2) & (square <= float(bank.attrs["g_max"]) ** 2)


def per_pattern(kernel: Any, arrays: list[xr.DataArray], n_values: int) -> xr.DataArray:
    """Run ``kernel(*arrays)`` on blocks of patterns; (scan_y, scan_x, value) float64, lazy where the input is."""
    whole = [
        array.chunk({dim: -1 for dim in array.dims if dim not in _SCAN}) if array.chunks is not None else array
        for array in arrays
    ]
    lazy = any(array.chunks is not None for array in arrays)
    return xr.apply_ufunc(
        kernel if lazy else _on_all_cores(kernel),  # dask brings threads of its own
        *whole,
        input_core_dims=[[str(dim) for dim in array.dims if dim not in _SCAN] for array in arrays],
        output_core_dims=[["value"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"value": n_values}},
    ).transpose(*_SCAN, "value")


def _on_all_cores(kernel: Any) -> Any:
    """The kernel on slices of the first scan axis, one thread per core."""

    def spread(*arrays: Any) -> Any:
        threads = min(available_threads(), len(arrays[0]))
        if threads < 2:
            return kernel(*arrays)
        cuts = np.array_split(np.arange(len(arrays[0])), 4 * threads if len(arrays[0]) >= 16 * threads else threads)
        with ThreadPoolExecutor(threads) as pool:
            parts = pool.map(lambda rows: kernel(*(a[rows[0] : rows[-1] + 1] for a in arrays)), cuts)
            return np.concatenate(list(parts))

    return spread


def available_threads() -> int:
    """Cores this process may use, fewer where OMP_NUM_THREADS asks for that."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(wanted))) if wanted.isdigit() and int(wanted) > 0 else cores
