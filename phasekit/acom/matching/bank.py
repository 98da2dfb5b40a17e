"""Templates and peaks prepared for matching and refinement."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ... import rotations
from ...diffraction import reflections
from ...errors import SchemaError
from ...schema import PEAKS, TEMPLATES, require
from ..peaks.pattern_loop import LEAST_SCATTERED
from ..symmetry import proper_rotations, read_phases
from . import polar as _polar
from .parallel import SCAN
from .search import TemplateLayout, arrange_templates

Array = NDArray[np.float64]
_HALF_TURN_Y = rotations.about_axis([0, 1, 0], 180.0)
_KEPT_LAYOUTS = 3  # most patterns of a scan share one or two detection levels

#: Detection limits that templates are prepared for: weakest over summed intensity of a pattern's peaks.
LEVELS = np.array([0.003, 0.01, 0.03, 0.1, 0.3])


@dataclass
class PhaseBank:
    """Templates of one phase."""

    qy: Array
    """Spot positions (template, spot) [1/angstrom]."""
    qx: Array
    """Spot positions (template, spot) [1/angstrom]."""
    intensity_fraction: Array
    """Fraction of its template's intensity in each spot (template, spot)."""
    template_quaternions: Array
    """Orientations (2 template, 4): templates, then their Friedel mirrors."""
    symmetry: Array
    """Proper rotations of the crystal (n, 4)."""
    shells: int
    """Number of radial shells."""
    device: str | None = None
    """Torch device of the dense products, None for NumPy."""
    _layouts: "OrderedDict[int, TemplateLayout]" = field(default_factory=OrderedDict, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        # On another process the layouts are computed again, and the lock is its own.
        return self.__dict__ | {"_layouts": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def get_layout(self, level: int) -> TemplateLayout:
        r"""Templates for patterns with the detection limit f = ``LEVELS[level]``.

        A spot with the intensity fraction s has the weight

        .. math:: |g|\, s^{0.3}\, \frac{s}{s + f}

        so that the absence of a spot below the limit costs little.
        """
        # Several threads ask for the same layout; only the first computes it.
        with self._lock:
            if level not in self._layouts:
                fraction = self.intensity_fraction
                weight = fraction**_polar.INTENSITY_POWER * fraction / (fraction + LEVELS[level])
                terms = _polar.compute_unit_terms(self.qy, self.qx, weight, self.shells)
                self._layouts[level] = arrange_templates(terms, self.device)
                if len(self._layouts) > _KEPT_LAYOUTS:
                    self._layouts.popitem(last=False)
            return self._layouts[level]


def check_inputs(peaks: xr.Dataset, bank: xr.Dataset, step: str) -> None:
    """Check kinds and units of peaks and bank before any data are read."""
    require(bank, TEMPLATES, step=step, argument="bank")
    require(peaks, PEAKS, step=step, argument="peaks", units={"qy": "1/angstrom", "qx": "1/angstrom"})
    # The schema allows other units of length; the kernels do not convert.
    for name in ("spot_qy", "spot_qx"):
        unit = bank[name].attrs.get("units")
        if unit != "1/angstrom":
            raise SchemaError(
                f"{step}: the bank's '{name}' is in '{unit}', needs '1/angstrom'. Build it with build_templates."
            )


def make_phase_banks(bank: xr.Dataset, device: str | None = None) -> list[PhaseBank]:
    """Templates of every phase, in the order of the phases."""
    phase = np.asarray(bank["phase"])
    qy, qx, intensity = (np.asarray(bank[name], float) for name in ("spot_qy", "spot_qx", "spot_intensity"))
    quaternion = np.asarray(bank["quaternion"], dtype=float)
    # A spot is divided between two shells, so the outermost spots need shells beyond g_max.
    shells = int(np.ceil(float(bank.attrs["g_max"]) / _polar.SHELL)) + 2
    out = []
    for index, crystal in enumerate(read_phases(bank)):
        own = phase == index
        # Friedel's law: the crystal seen from the other side gives the pattern mirrored in y, R -> R * R_y(180).
        friedel_mirrors = rotations.multiply(quaternion[own], _HALF_TURN_Y)
        # Templates without spots would divide by zero.
        total = np.nansum(intensity[own], axis=1, keepdims=True)
        fraction = np.nan_to_num(intensity[own] / np.maximum(total, 1e-300))
        quaternions = np.concatenate([quaternion[own], friedel_mirrors])
        out.append(PhaseBank(qy[own], qx[own], fraction, quaternions, proper_rotations(crystal), shells, device))
    return out


def find_detection_level(intensity: Array) -> NDArray[np.int64]:
    """Index into ``LEVELS`` of patterns (pattern, peak), from their weakest and their summed intensity."""
    weakest = np.min(intensity, axis=1, where=intensity > 0, initial=np.inf)
    floor = weakest / np.maximum(intensity.sum(axis=1), 1e-300)
    # The nearest level on a logarithmic scale.
    bounds = np.sqrt(LEVELS[1:] * LEVELS[:-1])
    return np.searchsorted(bounds, floor)


def find_smallest_g(bank: xr.Dataset) -> float:
    """|g| of the innermost reflection of any phase [1/angstrom]."""
    return min(
        float(np.linalg.norm(reflections(crystal, float(bank.attrs["g_max"])).g[0])) for crystal in read_phases(bank)
    )


def select_peaks_for_matching(peaks: xr.Dataset, bank: xr.Dataset, min_peaks: int = 1) -> list[xr.DataArray]:
    """Positions [1/angstrom] and intensity [counts] ``(scan_y, scan_x, peak)`` of the peaks that matching compares.

    These are the usable peaks and, in patterns with at least ``min_peaks`` of them, the weak peaks. A single weak peak
    is mostly noise. All weak peaks together distinguish orientations in patterns whose peaks prove a crystal.
    Peaks that are not used have intensity 0.
    """
    strong = select_usable_intensity(peaks, bank)
    if "weak_qy" not in peaks:
        return [peaks["qy"], peaks["qx"], strong]
    # Weak peaks of vacuum must not make a crystal, so ordinary peaks decide alone.
    crystal = (strong > 0).sum("peak") >= min_peaks
    usable = crystal & _is_in_reach(peaks["weak_qy"], peaks["weak_qx"], bank)
    weak = peaks["weak_intensity"].where(usable & (peaks["weak_intensity"] > 0), 0.0).astype(np.float64)
    pairs = ((peaks["qy"], peaks["weak_qy"]), (peaks["qx"], peaks["weak_qx"]), (strong, weak))
    return [xr.concat([a, b.rename(weak_peak="peak")], "peak").transpose(*SCAN, "peak") for a, b in pairs]


def select_usable_intensity(peaks: xr.Dataset, bank: xr.Dataset) -> xr.DataArray:
    """Intensity of the peaks that can be spots of the bank, 0 for the direct beam and for peaks out of reach.

    All are 0 in a pattern whose spots hold less than 2 % of the direct beam, because there is no crystal. In vacuum a
    bright beam has a halo, and a few of its maxima exceed the threshold.
    """
    usable = _is_in_reach(peaks["qy"], peaks["qx"], bank) & (peaks["intensity"] > 0)
    if "direct" not in peaks:
        return peaks["intensity"].where(usable, 0.0).astype(np.float64)
    direct = peaks["direct"].astype(bool)
    out = peaks["intensity"].where(usable & ~direct, 0.0).astype(np.float64)
    beam = peaks["intensity"].where(direct).sum("peak")
    return out.where(out.sum("peak") >= LEAST_SCATTERED * beam, 0.0)


def _is_in_reach(qy: xr.DataArray, qx: xr.DataArray, bank: xr.Dataset) -> xr.DataArray:
    """Whether the bank can have a spot here: outside 0.6 of the innermost reflection, and within ``g_max``."""
    # Well inside the innermost reflections there is only the tail of the direct beam.
    square = qy**2 + qx**2
    return (square > (0.6 * find_smallest_g(bank)) ** 2) & (square <= float(bank.attrs["g_max"]) ** 2)
