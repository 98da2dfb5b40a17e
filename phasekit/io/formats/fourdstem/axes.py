"""Axes of a file: units, steps, the scattering vector, and where the direct beam is."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ....diffraction import wavelength

DIMS = ("scan_y", "scan_x", "qy", "qx")

# Factors to nm.
_LENGTHS = {"m": 1e9, "cm": 1e7, "mm": 1e6, "um": 1e3, "micron": 1e3, "nm": 1.0, "A": 0.1, "pm": 1e-3}
# Factors to rad.
_ANGLES = {"rad": 1.0, "mrad": 1e-3, "urad": 1e-6, "deg": math.pi / 180, "degree": math.pi / 180}
_PLURALS = {f"{name}s": name for name in (*_ANGLES, "micron")}
_ENERGIES = ("eV", "keV", "meV")


@dataclass(frozen=True)
class Axis:
    """Regular axis of a file: step, first value, unit as written there; a step of None means it is not known.

    ``navigate`` says whether the file marks it as an axis of the scan; None where it does not say. An offset of 0 on
    a detector axis is the origin only with ``has_origin``; else the file does not say where the direct beam is.
    ``cropped`` says that the file places the direct beam outside the detector, twice and alike.
    """

    scale: float | None = None
    offset: float = 0.0
    units: str = ""
    name: str = ""
    navigate: bool | None = None
    has_origin: bool = False
    cropped: bool = False


def normalise_unit(unit: str) -> str:
    """Unit in plain letters: ``$A^{-1}$``, ``1/Å`` -> 1/A, ``µm`` -> um.

    Examples
    --------
    >>> [normalise_unit(unit) for unit in ("$A^{-1}$", "1/AA", "nm⁻¹", "µm", "[n_m]", "pixels", "mrads")]
    ['1/A', '1/A', '1/nm', 'um', 'nm', 'pixels', 'mrad']
    """
    # Units are written as LaTeX, with Unicode superscripts, in brackets, or as words.
    text = re.sub(r"(?i)\\?math(rm|it)|\\text", "", unit.replace("⁻¹", "^-1").replace("µ", "u").replace("μ", "u"))
    text = re.sub(r"^\s*(inverse|reciprocal)\s+", "1/", text)
    text = re.sub(r"[\s${}\\\[\]()]", "", text)
    text = re.sub(r"(?i:angstroms?)|Å|Å|(?<![A-Za-z])(AA|Ang)(?![A-Za-z])", "A", text)
    text = re.sub(r"([nupm])_m\b", r"\1m", text)  # EMD writes [n_m]
    inverse = re.fullmatch(r"([A-Za-z_]+)\^?(?:\*\*)?-1", text)
    text = f"1/{inverse.group(1)}" if inverse else text
    text = re.sub("nanomet(er|re)s?", "nm", text)
    text = re.sub("micromet(er|re)s?", "um", text)
    return _PLURALS.get(text, text)


def is_reciprocal(unit: str) -> bool:
    """Whether a unit is that of a scattering vector: one over a length."""
    text = normalise_unit(unit)
    return text.startswith("1/") and text[2:] in _LENGTHS


def is_angle(unit: str) -> bool:
    """Whether a unit is that of a scattering angle."""
    return normalise_unit(unit) in _ANGLES


def is_energy(unit: str) -> bool:
    """Whether a unit is that of a spectrum's axis."""
    return normalise_unit(unit) in _ENERGIES


def has_scale(axis: Axis) -> bool:
    """Whether the file states a usable step and origin."""
    return axis.scale is not None and math.isfinite(axis.scale) and axis.scale != 0 and math.isfinite(axis.offset)


def read_step_nm(axis: Axis) -> float | None:
    """Step of a scan axis [nm], None where the file does not state it."""
    factor = _LENGTHS.get(normalise_unit(axis.units))
    return None if factor is None or not has_scale(axis) else float(axis.scale or 0) * factor


def make_scan_axis(dim: str, axis: Axis, size: int) -> xr.DataArray:
    """Positions along one side of the map [nm]; without a step in the file it is 1 nm, and a comment says so."""
    step = read_step_nm(axis)
    steps = np.arange(size, dtype=float)
    attrs = {"units": "nm", "long_name": f"scan position along {dim[-1]}"}
    if step is None:
        attrs["comment"] = "step size unknown, 1 nm assumed; step_nm=<nm> sets it"
        return xr.DataArray(steps, dims=dim, attrs=attrs)
    return xr.DataArray(axis.offset * step / float(axis.scale or 1) + steps * step, dims=dim, attrs=attrs)


def make_detector_axes(axes: Sequence[Axis], shape: Sequence[int], voltage_kv: float | None) -> dict[str, xr.DataArray]:
    """``qy`` and ``qx`` [1/angstrom], in px where the file or the voltage does not tell."""
    factors = [find_inverse_angstrom(axis, voltage_kv) for axis in axes]
    calibrated = None not in factors
    coords = {}
    for dim, axis, size, factor in zip(DIMS[2:], axes, shape, factors, strict=True):
        steps = np.arange(size, dtype=float)
        attrs = {"units": "px", "long_name": f"detector position along {dim[-1]}"}
        # Mixed units would distort angles between reflections: either both axes are calibrated or none.
        if calibrated and factor is not None:
            attrs["units"] = "1/angstrom"
            scale, offset = float(axis.scale or 0) * factor, axis.offset * factor
            if axis.offset == 0 and not axis.has_origin:  # the direct beam is never in the corner
                offset = -scale * (size - 1) / 2
                attrs["comment"] = "origin not in the file, middle of the detector assumed"
            steps = offset + steps * scale
        else:
            comment = _explain_pixels(axis)
            attrs |= {"comment": comment} if comment else {}
        coords[dim] = xr.DataArray(steps, dims=dim, attrs=attrs)
    return coords


def _explain_pixels(axis: Axis) -> str:
    if is_angle(axis.units) and has_scale(axis):
        return (
            f"the file gives angles ({axis.units[:20]}) and no voltage, pixels kept; voltage_kv=<kV> gives 1/angstrom"
        )
    if is_reciprocal(axis.units):
        return "the file gives a unit and no usable step, pixels kept; q_step=<1/angstrom> sets it"
    if axis.units and normalise_unit(axis.units) not in ("px", "pixel", "pixels"):
        return f"the file's unit '{axis.units[:20]}' is no scattering vector, pixels kept; q_step=<1/angstrom> sets it"
    return ""


def find_inverse_angstrom(axis: Axis, voltage_kv: float | None) -> float | None:
    """Factor from the axis's unit to 1/angstrom; an angle needs the voltage."""
    if not has_scale(axis):
        return None
    unit = normalise_unit(axis.units)
    if is_reciprocal(unit):
        return 0.1 / _LENGTHS[unit[2:]]
    # For small angles the scattering vector is theta / lambda.
    return _ANGLES[unit] / wavelength(voltage_kv) if unit in _ANGLES and voltage_kv else None


def read_voltage_kv(value: object) -> float | None:
    """Accelerating voltage [kV] of a file's header: volts become kilovolts, and 0 or no number is None.

    A value that is neither in kV nor in V comes back as it is, for the rule of plausibility to refuse.

    Examples
    --------
    >>> [read_voltage_kv(value) for value in (200, 300e3, 0.0, float("nan"), "", None)]
    [200.0, 300.0, None, None, None, None]
    """
    try:
        voltage = float(value)  # type: ignore[arg-type]  # text and None raise
    except (TypeError, ValueError):
        return None
    # Files state kilovolts or volts: 5 kV to 1.5 MV in volts overlap with no voltage in kilovolts.
    voltage = voltage / 1e3 if 5e3 <= voltage <= 1.5e6 else voltage
    return voltage if voltage > 0 and math.isfinite(voltage) else None
