"""Patterns in NanoMEGAS ``.blo`` files: grey levels of 8 bits, and a header with the detector's scale."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...diffraction import wavelength
from .orientation_table import compute_step

NAME = "NanoMEGAS block file"
EXTENSIONS = (".blo",)
KEEPS = "patterns as 8-bit grey levels, scan step, camera length, voltage"
FUNCTIONS = ("save_blo",)


def write(patterns: xr.Dataset, path: Path, scale: float | None, voltage_kv: float | None) -> None:
    """Write checked patterns; the scale of the detector goes in as camera length and voltage, 1 mm per pixel."""
    from rsciio.blockfile import file_writer

    intensity = patterns["intensity"]
    # One factor for the whole scan keeps intensities comparable between patterns.
    factor = _choose_scale(intensity) if scale is None else float(scale)
    grey = _convert_to_grey(intensity.data, factor)
    calibrated = patterns["qx"].attrs.get("units") == "1/angstrom" if "qx" in patterns.coords else False
    header: dict[str, Any] = {"Note": f"phasekit: grey level = round(intensity * {factor:.9g})", "Camera_length": 0}
    if voltage_kv:
        header["Beam_energy"] = round(voltage_kv * 1e3)
    if voltage_kv and calibrated:
        # The header states the scale as camera length: with pixels of 1 mm, g = 1 mm / (L lambda).
        step = abs(compute_step(patterns["qx"].values))
        header["Camera_length"] = round(10 / (wavelength(voltage_kv) * step))
    steps = [compute_step(patterns[dim].values) if dim in patterns.coords else 1.0 for dim in ("scan_y", "scan_x")]
    axes = [
        {"name": name, "size": size, "scale": step, "offset": 0.0, "units": unit, "navigate": unit == "nm"}
        for name, size, step, unit in zip(
            ("y", "x", "dy", "dx"), intensity.shape, [*steps, 0.1, 0.1], ("nm", "nm", "cm", "cm"), strict=True
        )
    ]
    lazy = hasattr(grey, "dask")
    signal = {
        "data": grey,
        "axes": axes,
        "metadata": {},
        "original_metadata": {"blockfile_header": header},
        "attributes": {"_lazy": lazy},
    }
    # A warning of the writer means that the file does not hold what it should.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The format has room for an overview image: the mean of every pattern.
        navigator = np.asarray(intensity.copy(data=grey).mean(("qy", "qx"), dtype=float).values)
        peak = float(navigator.max()) or 1.0
        picture = np.rint(np.clip(navigator / peak, 0, 1) * 255)
        file_writer(str(path), signal, navigator=picture, show_progressbar=False)


def _choose_scale(intensity: xr.DataArray) -> float:
    if intensity.dtype == np.uint8:
        return 1.0
    # Infinite pixels are saturated ones and must not set the scale.
    finite = intensity if intensity.dtype.kind in "iub" else intensity.where(np.isfinite(intensity), 0)
    highest = float(finite.max())
    # Counts that fit are stored as they are.
    whole = intensity.dtype.kind in "iub" or bool((finite == finite.round()).all())
    return 1.0 if (whole and highest <= 255) or highest <= 0 else 255 / highest


def _convert_to_grey(data: Any, factor: float) -> Any:
    if data.dtype == np.uint8 and factor == 1:
        return data
    grey = np.clip(np.rint(data * np.float64(factor)), 0, 255)
    return np.where(np.isnan(grey), 0, grey).astype(np.uint8)
