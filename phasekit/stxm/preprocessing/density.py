"""Counts to optical density, with the incident intensity and the noise of every value."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import NoiseSource, SchemaError
from ...schema import OD, STACK, describe, require
from .count_statistics import find_brightest_counts
from .exposure.dwell import arrange_dark, average_dark, normalise_pixel_dwell
from .exposure.intensity_kind import refuse_optical_density
from .filtered_counts import filter_counts
from .incident_intensity import IncidentIntensity, select_incident
from .material import average_bins, choose_bins, find_measured_pixels, mark_empty_pixels
from .noise.measured_noise import select_noise
from .noise.position_noise import add_position_noise, has_position_noise

Array = NDArray[np.floating]
#: photons that must be expected at every energy of a pixel that is not too thick
_FEWEST_PHOTONS = 3.0


class _Counts(NamedTuple):
    """Counts without dark counts, their 3 x 3 mean, the dark counts, and gain and variance factor of the counts."""

    intensity: xr.DataArray
    local_mean: xr.DataArray
    dark: xr.DataArray | float
    gain: xr.DataArray
    noise_factor: xr.DataArray


def optical_density(
    aligned: xr.Dataset,
    *,
    i0: xr.Dataset | xr.DataArray | float | None = None,
    dark: float | xr.DataArray = 0.0,
    stray_light: float = 0.0,
    gain: float | None = None,
    despike_sigma: float | None = 6.0,
    max_od: float | None = None,
    check_kind: bool = True,
) -> xr.Dataset:
    r"""Compute the optical density of an aligned stack, with its noise per pixel and energy.

    Parameters
    ----------
    aligned
        STACK: ``intensity`` [counts]. ``dwell``, ``pixel_dwell``, ``ring_current``, ``seen``, ``gain``,
        ``noise_factor`` and ``i0`` are used where present.
    i0
        Incident intensity. The choices are

        - a spectrum ``(energy)`` [counts], interpolated to the energies of the stack, which it must cover;
        - a STACK scanned without sample, whose mean is used;
        - a boolean mask ``(scan_y, scan_x)`` of empty pixels;
        - one number [counts];
        - None: the stack's own ``i0``. Without one, the mean over the empty region, found as the brightest mode of the
          energy-averaged image.

        A scan or a spectrum is brought to the dwell and to the ring current of the stack, each where both carry it.
        A spectrum carries them as coordinates ``dwell`` [s] and ``ring_current`` [mA] along its energy.
        A spectrum from another field leaves a constant in OD, which the later steps fit.
    dark
        Dark counts at the dwell of the frames, subtracted from the intensity and from I0 [counts]. It is a number, or
        a DataArray ``(energy)``, ``(scan_y, scan_x)`` or on all three.
    stray_light
        Fraction of I0 that never crossed the sample, subtracted from both. With 0.03 the OD saturates at 3.5.
    gain
        Variance over mean of the counts, 1 for counted photons. None takes that of ``align``, or measures it as
        :func:`phasekit.stxm.estimate_noise` does. Scaled counts (kHz, normalised current) and frames that were
        interpolated elsewhere then get the right noise too.
    despike_sigma
        As in :func:`phasekit.stxm.align`. It has no effect after that step.
    max_od
        OD above which a pixel is too thick. None sets the limit where fewer than 3 gains of counts (3 photons) are
        expected, at most 4.
    check_kind
        Refuse a stack that looks like optical density or like a yield. False takes any values as transmitted light.

    Returns
    -------
    xarray.Dataset
        OD with

        - ``optical_density`` [1]: NaN where the counts do not exceed the dark counts or the pixel was not seen;
        - ``noise`` [1]: standard deviation, to first order in the noise of counts and I0;
        - ``valid``: measured at half of the energies or more, at three at least, and not too thick. Empty pixels are
          valid;
        - ``n_missing``: number of energies at which the pixel has no value;
        - ``empty``: the pixel shows no edge, so there is nothing to label;
        - ``too_thick``;
        - ``i0``, ``i0_error``, ``gain`` and ``n_replaced`` (hot and dead pixels) by energy. The comment of ``i0`` says
          where it comes from, and whether the intensity is a transmission;
        - ``noise_source``, and, where the noise was measured, ``noise_estimate`` of each ``estimator``;
        - ``i0_region``, where a region was used.

    Raises
    ------
    SchemaError
        I0 does not cover the energies, or holds values <= 0 or NaN. Or its region is empty, or none was found. The
        stack holds optical densities already, or every pixel of it is too thick.

    Warns
    -----
    IntensityWarning
        The dwell changes with the energy in one of I0 and stack, and the other states none.

    See Also
    --------
    align : The step before: undo the drift between frames.
    as_optical_density : Take a stack that holds optical densities already.
    remove_stray_light : Subtract stray light after this step.
    subtract_pre_edge : Subtract the absorption below the edge.
    estimate_noise : How the gain is measured.
    fit_gmvae : The next step: group the spectra.

    Notes
    -----
    Optical density is the Beer-Lambert law solved for the absorption. With intensity I and incident intensity
    :math:`I_0`, both without dark counts, and the stray fraction f

    .. math:: \mathrm{OD} = -\ln \frac{I - f I_0}{(1 - f) \, I_0} = \mu t.

    Gaussian error propagation gives its variance, with the gain g and the factor v of the interpolation:

    .. math:: \sigma^2 = \frac{g v (\langle I \rangle + d)}{(\langle I \rangle - f I_0)^2}
        + \frac{\sigma_{I_0}^2}{I_0^2} + \delta^2 |\nabla \ln \langle I \rangle|^2.

    The mean :math:`\langle I \rangle` over 3 x 3 pixels stands for the expected counts, and d for the dark counts,
    which are counted as well. For counted photons without stray light the first term is :math:`1/I`. The last term is
    that of the measured random position error of a pixel, ``position_noise``. The mean of the logarithm of counts lies
    below the logarithm of their mean by :math:`g v/(2I)`. Therefore :math:`g v/2` is added to the counts. Where pixels
    have a dwell of their own, their counts are scaled to the frame's mean dwell. Their variance remains that of what
    was counted.

    A lazy stack is read once, block by block, for the mean edge that separates material from vacuum. With ``i0=None``
    and no ``i0`` in the stack it is read once more for the empty region. Everything else is lazy.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> truth = np.zeros((3, 24, 30)); truth[:, 8:16, 8:20] = np.array([0.2, 1.0, 0.6])[:, None, None]
    >>> stack = xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), rng.poisson(2000 * np.exp(-truth)))},
    ...                    coords={"energy": ("energy", [510.0, 518.0, 525.0], {"units": "eV"})})
    >>> od = optical_density(stack)
    >>> od["optical_density"].values[:, 8:16, 8:20].mean(axis=(1, 2)).round(2)
    array([0.2, 1. , 0.6], dtype=float32)
    """
    require(aligned, STACK, step="optical_density", argument="aligned")
    if not 0 <= stray_light < 1:
        raise SchemaError(f"optical_density: stray_light={stray_light}, needs a fraction of I0 in [0, 1). 0.03 is 3 %.")
    kind = refuse_optical_density(aligned["intensity"]) if check_kind else ""
    measured, share = normalise_pixel_dwell(aligned)
    noise = select_noise(aligned, measured, gain, despike_sigma)
    gains = noise["gain"]
    seen = aligned["seen"] if "seen" in aligned else xr.ones_like(measured.isel(energy=0, drop=True), dtype=bool)
    dark_counts = arrange_dark(dark, measured)
    # Interpolated frames have no spikes of one pixel.
    n_sigma = despike_sigma if "noise_factor" not in aligned else None
    filtered = filter_counts(measured, dark_counts, gains, n_sigma=n_sigma, with_gradient=has_position_noise(noise))
    incident = select_incident(aligned, filtered.intensity, i0, seen, average_dark(dark_counts, aligned["energy"]))
    # A gain that was measured on interpolated frames is that of the counts as they are.
    is_of_raw = int(noise["noise_source"]) in (NoiseSource.GIVEN, NoiseSource.ALIGNED)
    factor = aligned["noise_factor"] if "noise_factor" in aligned and is_of_raw else xr.ones_like(gains)
    # Half the dwell means half the counts, whose relative variance is twice as large.
    factor = factor if share is None else factor / share
    counts = _Counts(filtered.intensity, filtered.local_mean, dark_counts, gains, factor)
    out = add_position_noise(_convert_counts(counts, incident, stray_light), filtered.squared_gradient, noise)
    limit = _limit_density(counts, incident, max_od)
    out = _add_masks(out, counts, incident, seen, limit)
    unfiltered = counts._replace(intensity=measured - dark_counts)
    _refuse_opaque_stack(incident, unfiltered, limit, seen)
    binned = _bin_map(out, unfiltered, incident, limit, stray_light=stray_light, seen=seen)
    out = mark_empty_pixels(out, binned).merge(noise)
    out = out if incident.region is None else out.assign(i0_region=incident.region)
    out["n_replaced"] = aligned.get("n_replaced", filtered.n_replaced)
    out["i0"].attrs["comment"] = "; ".join(text for text in (incident.origin, kind) if text)
    settings = {"i0": incident.origin, "dark": dark, "stray_light": stray_light, "gain": gain}
    settings |= {"despike_sigma": despike_sigma, "max_od": max_od, "check_kind": check_kind}
    return describe(out, OD, step="optical_density", settings=settings, source=aligned)


def _convert_counts(counts: _Counts, incident: IncidentIntensity, stray_light: float) -> xr.Dataset:
    """Convert counts to optical density and its standard deviation, as in :func:`optical_density`."""
    direct = counts.intensity - stray_light * incident.i0
    # The mean of the logarithm of few counts lies below the logarithm of their mean; half a gain corrects it.
    half = 0.5 * counts.gain * counts.noise_factor
    density: Any = -np.log((direct.where(direct > 0) + half) / ((1 - stray_light) * incident.i0))
    # A pixel without counts would get no noise at all: at least one photon (one gain) is assumed.
    expected_counts = (counts.local_mean + counts.dark).clip(min=counts.gain)
    # The derivative of the logarithm, at the expected direct light.
    expected = (counts.local_mean - stray_light * incident.i0).clip(min=counts.gain)
    variance: Any = counts.gain * counts.noise_factor * expected_counts / expected**2
    variance = variance + (incident.error / incident.i0) ** 2
    dims = ("energy", "scan_y", "scan_x")
    out = xr.Dataset(
        {
            "optical_density": density.transpose(*dims).astype(np.float32),
            "noise": (variance**0.5).transpose(*dims).astype(np.float32),
        }
    )
    return out.assign(i0=incident.i0, i0_error=incident.error, gain=counts.gain)


def _bin_map(
    out: xr.Dataset,
    counts: _Counts,
    incident: IncidentIntensity,
    limit: xr.DataArray,
    *,
    stray_light: float,
    seen: xr.DataArray,
) -> xr.Dataset:
    """Optical density and noise of the valid pixels, in bins where the field is large.

    Counts are binned as they were measured. Spikes hardly change the mean of a bin. Blocks that were filtered for them
    share rims, and a lazy stack would be kept in memory.
    """
    bins = choose_bins(out)
    if max(bins.values()) == 1:
        return out[["optical_density", "noise"]].where(out["valid"]).drop_vars(["scan_y", "scan_x"], errors="ignore")

    def average(values: Any) -> Any:
        has_scan = isinstance(values, xr.DataArray) and {"scan_y", "scan_x"} <= set(values.dims)
        return average_bins(values, bins) if has_scan else values

    intensity = average_bins(counts.intensity.where(seen), bins)
    dark, factor = average(counts.dark), average(counts.noise_factor)
    small = _Counts(intensity, intensity, dark, counts.gain, factor)
    too_thick = (intensity / incident.i0 < np.exp(-limit)).any("energy")
    return _convert_counts(small, incident, stray_light)[["optical_density", "noise"]].where(~too_thick)


def _limit_density(counts: _Counts, incident: IncidentIntensity, max_od: float | None) -> xr.DataArray:
    """Optical density (energy) above which a pixel is too thick."""
    if max_od is not None:
        return xr.full_like(incident.i0, max_od)
    # Below about three photons most of the distribution of the logarithm is its tail: OD = ln(I0 / 3 g).
    limit: Any = np.log(incident.i0 / (_FEWEST_PHOTONS * counts.gain))
    return limit.clip(max=4.0)


def _add_masks(
    out: xr.Dataset, counts: _Counts, incident: IncidentIntensity, seen: xr.DataArray, limit: xr.DataArray
) -> xr.Dataset:
    """Add ``valid``, ``too_thick`` and ``n_missing``, and hide the pixels that were not seen."""
    # The local mean, since a single pixel's noise would make thin pixels too thick by chance.
    transmitted = counts.local_mean / incident.i0
    too_thick = (transmitted < np.exp(-limit)).any("energy") & seen
    # The borders that an alignment filled hold copies of other pixels.
    out["optical_density"] = out["optical_density"].where(seen)
    out["n_missing"] = out["optical_density"].isnull().sum("energy").astype(np.int16)
    out["too_thick"] = too_thick
    out["valid"] = seen & find_measured_pixels(out["n_missing"], out.sizes["energy"]) & ~too_thick
    return out


def _refuse_opaque_stack(incident: IncidentIntensity, counts: _Counts, limit: xr.DataArray, seen: xr.DataArray) -> None:
    """Refuse a stack whose first frame is too thick everywhere, and name the cure; that frame is read."""
    level, photons = (float(x[0]) for x in (incident.i0, incident.i0 / counts.gain))
    if not np.isfinite(counts.gain).any():
        size = " x ".join(str(seen.sizes[dim]) for dim in ("scan_y", "scan_x"))
        raise SchemaError(
            f"optical_density: frames of {size} pixels are too small to measure the gain of the detector, which needs "
            "three pixels in a row with counts. Give gain=: 1 for counted photons."
        )
    # As it was measured: filtering it would filter the other frames of its blocks.
    frame = counts.intensity.isel(energy=0).where(seen).transpose("scan_y", "scan_x")
    brightest = float(find_brightest_counts(np.asarray(frame, dtype=np.float64)))
    thinnest = -np.log(max(brightest / level, 1e-30)) if np.isfinite(brightest) else 0.0
    if thinnest <= float(limit[0]):
        return
    raise SchemaError(
        f"optical_density: I0 is {level:.3g} counts or {photons:.3g} photons in the first frame, and its brightest "
        f"pixel has OD {thinnest:.2g}, above max_od = {float(limit[0]):.2g}: every pixel is too thick. Bring i0= to "
        "the unit of the stack (1 for a transmission), bin pixels with too few photons, or give a larger max_od=."
    )
