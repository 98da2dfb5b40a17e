"""Incident intensity I0: a spectrum, a mask or a number, or found in the empty region of the stack."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import SchemaError
from ...schema import STACK, require
from .count_statistics import fill_lost_pixels
from .exposure.dwell import find_dwell, get_condition, normalise_pixel_dwell, warn_of_unknown_dwell
from .frames import apply_over_frames

Array = NDArray[np.floating]
#: spread of the log brightness above which a region is not flat: a ramp or a thickness wedge, not vacuum
_LARGEST_SPREAD = 0.05
_CURRENT = "ring_current"
_CURE = "Give i0=: a spectrum over energy (pk.io.open_i0), a mask of empty pixels, or a number."


class IncidentIntensity(NamedTuple):
    """Incident intensity by energy [counts], its standard error, the pixels used, and its origin in words."""

    i0: xr.DataArray
    error: xr.DataArray
    region: xr.DataArray | None
    origin: str


def select_incident(
    stack: xr.Dataset,
    counts: xr.DataArray,
    i0: xr.Dataset | xr.DataArray | float | None,
    seen: xr.DataArray,
    dark: xr.DataArray,
) -> IncidentIntensity:
    """Select the incident intensity without dark counts: as given, from the stack, or found in the empty region.

    ``counts`` are the stack's without dark counts, ``dark(energy)`` the mean dark counts of its frames.
    """
    # An explicit argument comes before the stack's own I0, and that before a search.
    if i0 is None and "i0" in stack:
        # Stored with the frames, it has their dwell and ring current.
        return _check_positive(_interpolate_spectrum(stack["i0"], stack["energy"]) - dark, "given spectrum")
    if i0 is None:
        return find_incident_spectrum(counts, seen)
    if isinstance(i0, xr.Dataset):
        return _check_positive(_read_incident_scan(i0, stack, dark), "given stack")
    if not isinstance(i0, xr.DataArray):
        warn_of_unknown_dwell(None, find_dwell(stack))
        flat = xr.full_like(counts["energy"], float(i0), dtype=np.float64).drop_attrs()
        return _check_positive(flat - dark, f"given number {i0}")
    if set(i0.dims) == {"scan_y", "scan_x"}:
        return _compute_region_spectrum(counts, i0.astype(bool) & seen, "given mask")
    if i0.dims == ("energy",):
        return _check_positive(_scale_to_stack(i0, find_dwell(i0), i0, stack, dark), "given spectrum")
    raise SchemaError(
        f"optical_density: i0 has dimensions {i0.dims}, needs ('energy',) or ('scan_y', 'scan_x'). Rename them."
    )


def _read_incident_scan(i0: xr.Dataset, stack: xr.Dataset, dark: xr.DataArray) -> xr.DataArray:
    """Read the mean counts by energy of a scan without sample, at the dwell and ring current of the stack."""
    require(i0, STACK, step="optical_density", argument="i0")
    frames, _ = normalise_pixel_dwell(i0)
    return _scale_to_stack(apply_over_frames(frames, _compute_means, out_dims=()), find_dwell(i0), i0, stack, dark)


def _scale_to_stack(
    i0: xr.DataArray,
    dwell: xr.DataArray | None,
    conditions: xr.Dataset | xr.DataArray,
    stack: xr.Dataset,
    dark: xr.DataArray,
) -> xr.DataArray:
    r"""Scale I0 to the dwell t and ring current c of the stack, each where both state it, without dark counts d.

    Light is proportional to both, and dark counts to the dwell alone. With t', c' of the I0 the result is

    .. math:: \Big( I_0' \frac{t}{t'} - d \Big) \frac{c}{c'}.
    """
    energy, wanted = stack["energy"], find_dwell(stack)
    warn_of_unknown_dwell(dwell, wanted)
    own_dwell, own_current, spectrum = (_drop_other_coords(x) for x in (dwell, get_condition(conditions, _CURRENT), i0))
    (before, now), (current_before, current_now) = (
        (a, b) if a is not None and b is not None else (1.0, 1.0)
        for a, b in ((own_dwell, wanted), (own_current, get_condition(stack, _CURRENT)))
    )
    # Divided before the interpolation: dwell and current need not be smooth in energy.
    light = _interpolate_spectrum(spectrum / (before * current_before), energy)
    inverse_current = _interpolate_spectrum(xr.ones_like(spectrum) / current_before, energy)
    return current_now * (now * light - dark * inverse_current)


def _drop_other_coords(values: Any) -> Any:
    """Drop every coordinate but the energy, so that arithmetic does not compare them; None stays None."""
    if values is None:
        return None
    return values.astype(np.float64).drop_vars([name for name in values.coords if name != "energy"])


def _check_positive(spectrum: xr.DataArray, origin: str) -> IncidentIntensity:
    """Refuse an I0 without dark counts that is not positive at every energy."""
    spectrum = spectrum.rename("i0")
    if not bool((spectrum > 0).all()):
        raise SchemaError(
            "optical_density: i0 holds values that are NaN or not above the dark counts. "
            "Give a spectrum that is positive at every energy, or lower dark=."
        )
    return IncidentIntensity(spectrum, xr.zeros_like(spectrum), None, origin)


def _interpolate_spectrum(i0: xr.DataArray, energy: xr.DataArray) -> xr.DataArray:
    """Interpolate a spectrum to the energies of the stack; refuse energies more than half a step outside."""
    if i0.sizes["energy"] == energy.size and np.array_equal(i0["energy"].values, energy.values):
        return i0.astype(np.float64)
    own = i0.sortby("energy")
    lowest, highest = float(own["energy"][0]), float(own["energy"][-1])
    # Energies written with few digits may lie just outside.
    slack = 0.5 * (highest - lowest) / max(own.sizes["energy"] - 1, 1)
    if float(energy.min()) < lowest - slack or float(energy.max()) > highest + slack:
        raise SchemaError(
            f"optical_density: i0 covers {lowest:g}..{highest:g} eV, the stack needs {float(energy.min()):g}.."
            f"{float(energy.max()):g} eV. Measure I0 over the whole range, or select the energies it covers."
        )
    values = np.interp(energy.values, own["energy"].values, own.values.astype(np.float64))
    return xr.DataArray(values, dims="energy", coords={"energy": energy})


def _compute_region_spectrum(counts: xr.DataArray, region: xr.DataArray, origin: str) -> IncidentIntensity:
    """Compute the mean counts over a region, with their standard error from the scatter of its pixels."""
    n = int(region.sum())
    if n == 0:
        raise SchemaError(f"optical_density: the mask of empty pixels holds no pixel that is seen. {_CURE}")
    inside = counts.where(region)
    figures = xr.Dataset(
        {
            "i0": apply_over_frames(inside, _compute_means, out_dims=()),
            "deviation": apply_over_frames(inside, _compute_deviations, out_dims=()),
        }
    ).compute()  # every block waits for these numbers, and would be kept in memory until then
    return IncidentIntensity(figures["i0"], figures["deviation"] / np.sqrt(n), region, f"{origin}, {n} pixels")


def _compute_means(frames: Array) -> NDArray[np.float64]:
    """Compute the mean of each frame (.., y, x) without NaN. A frame is summed whole, so that chunks do not matter."""
    return _apply_by_frame(frames, np.mean)


def _compute_deviations(frames: Array) -> NDArray[np.float64]:
    """Compute the standard deviation of each frame (.., y, x) without NaN."""
    return _apply_by_frame(frames, np.std)


def _apply_by_frame(frames: Array, statistic: Callable[[Array], Any]) -> NDArray[np.float64]:
    """Apply a statistic to the measured pixels of each frame; NaN where there are none."""
    out = np.full(frames.shape[:-2], np.nan)
    for index in np.ndindex(out.shape):
        values = frames[index][~np.isnan(frames[index])].astype(np.float64)
        if values.size:
            out[index] = statistic(values)
    return out


def find_incident_spectrum(counts: xr.DataArray, seen: xr.DataArray) -> IncidentIntensity:
    """Find I0 in the empty region: the brightest mode of the energy-averaged logarithm of the counts."""
    frames = [_compute_log_frame(counts.isel(energy=index)) for index in range(counts.sizes["energy"])]
    _refuse_dark_frames(counts, [index for index, frame in enumerate(frames) if np.isnan(frame).all()])
    # The logarithm averages transmission over energies, and each frame is relative to its own bright level.
    brightness = np.mean(frames, axis=0)
    mask = _find_brightest_mode(np.asarray(brightness, dtype=np.float64), np.asarray(seen, dtype=bool))
    # The mean of fewer pixels would add more noise to OD than the counts themselves.
    if mask.sum() < 25:
        raise SchemaError(
            f"optical_density: found no empty region ({int(mask.sum())} flat bright pixels, needs 25). {_CURE}"
        )
    region = seen.copy(data=mask)
    return _compute_region_spectrum(counts, region, "found in the brightest flat region")


def _refuse_dark_frames(frames: xr.DataArray, dark: list[int]) -> None:
    """Refuse energies without a single count and name them; they would leave no pixel that is seen everywhere."""
    if not dark:
        return
    kept = [index for index in range(frames.sizes["energy"]) if index not in dark]
    if not kept:
        raise SchemaError(
            "optical_density: no counts above the dark ones in any frame, needs light at every energy. Check dark=, "
            "and that the file holds transmitted intensity and not optical density."
        )
    at = ", ".join(f"{index} ({float(frames['energy'][index]):g} eV)" for index in dark[:5])
    more = " ..." if len(dark) > 5 else ""
    raise SchemaError(
        f"optical_density: no counts at all in frame {at}{more}, needs light at every energy. "
        f"Leave such frames out: stack.isel(energy={kept})."
    )


def _compute_log_frame(frame: xr.DataArray) -> Array:
    """Compute the logarithm of a smoothed frame, relative to its own bright level so that I0 drift cancels."""
    values = np.asarray(frame.transpose("scan_y", "scan_x"), dtype=np.float64)
    smooth = ndimage.gaussian_filter(np.nan_to_num(fill_lost_pixels(values)), 1.0)
    # The 95th percentile and not the maximum, which a hot pixel would set.
    top = float(np.percentile(smooth, 95))
    return np.log(np.maximum(smooth / top, 1e-4)) if top > 0 else np.full(smooth.shape, np.nan)


def _find_brightest_mode(brightness: Array, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the pixels of the brightest histogram peak that holds at least 3 % of the seen pixels, without their rim."""
    usable = seen & np.isfinite(brightness)
    values = brightness[usable]
    if values.size < 25:
        return np.zeros_like(usable)
    low, high = np.percentile(values, [2, 99.9])
    # The percentiles keep hot and dead pixels from widening the bins.
    width = max((high - low) / 100, 1e-6)
    counts, edges = np.histogram(values, bins=np.arange(low - 5 * width, high + 6 * width, width))
    # Smoothing joins the random maxima of neighbouring bins.
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 1.5)
    # A peak must hold enough pixels: a few bright pixels are no vacuum.
    peak = (smooth >= np.roll(smooth, 1)) & (smooth > np.roll(smooth, -1))
    mass = ndimage.uniform_filter1d(smooth, 7) * 7 / values.size
    candidates = np.flatnonzero(peak & (mass > 0.03))
    if candidates.size == 0:
        return np.zeros_like(usable)
    mode = edges[candidates[-1]] + width / 2
    # The bright side of the peak holds vacuum alone, so its median gives the spread by noise.
    above = values[values > mode] - mode
    spread = max(1.4826 * float(np.median(above)) if above.size else width, width)
    # A thickness wedge has no flat region: better no I0 than a wrong one.
    if spread > _LARGEST_SPREAD:
        return np.zeros_like(usable)
    mask = usable & (np.abs(brightness - mode) < 2.5 * spread)
    # The rim is blurred by particles beside it.
    return ndimage.binary_erosion(ndimage.binary_opening(mask), border_value=1) & usable
