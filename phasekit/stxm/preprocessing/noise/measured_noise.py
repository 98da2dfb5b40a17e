"""Noise measured on a stack by several estimators, and the rule by which one of them is used."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ....errors import NoiseSource, SchemaError, status_attributes
from ....schema import NOISE, STACK, describe, require
from ..count_statistics import estimate_frame_gains, replace_spikes
from ..frames import select_middle
from .low_rank import LowRankResidual, fit_low_rank
from .pixel_pairs import (
    Estimate,
    Field,
    compute_block_ratio,
    label_blocks,
    linearise_logarithm,
    pair_distant_pixels,
    select_flat_pairs,
)
from .position_noise import estimate_position_noise

Array = NDArray[np.floating]
#: values of the window that is read: 204 x 204 pixels at 100 energies, 32 MB in double precision
_MAX_VALUES = 2**22
#: standard errors by which a correlation or a difference must exceed zero
_SIGNIFICANCE = 2.0
_ESTIMATORS = ("neighbours", "distant", "energies", "low_rank")


class _Measured(NamedTuple):
    """Gains (energy,) by each estimator, the low-rank residual, position error [px], and the median counts."""

    gains: dict[str, Estimate]
    residual: LowRankResidual | None
    position: Estimate | None
    counts: float


def estimate_noise(stack: xr.Dataset, *, dark: float = 0.0, despike_sigma: float | None = 6.0) -> xr.Dataset:
    r"""Estimate the noise of a stack as it is, also where an interpolation has correlated neighbouring pixels.

    Four estimators are compared with the model of counted photons, a variance of gain times mean.

    - ``neighbours``: second differences of adjacent pixels. Right for white noise; correlation makes it too small,
      structure as fine as two pixels too large.
    - ``distant``: differences of pixels 4 steps apart in y and in x. Structure makes it too large.
    - ``energies``: second differences along energy. The curvature of the spectrum makes it too large.
    - ``low_rank``: what the significant components leave, between pixels 4 steps apart. Noise has no covariance
      between energies, so it can be told from the spectra of any number of phases.

    Parameters
    ----------
    stack
        STACK: ``intensity(energy, scan_y, scan_x)`` [counts], aligned. One energy gives ``neighbours`` and ``distant``.
    dark
        Dark counts, subtracted first [counts].
    despike_sigma
        As in :func:`phasekit.stxm.optical_density`.

    Returns
    -------
    xarray.Dataset
        NOISE with

        - ``gain(energy)`` [counts]: variance over mean of the counts as they are, and ``gain_error``. NaN for a frame
          without counts;
        - ``noise_source``: the estimator that was used, with ``flag_meanings``;
        - ``noise_correlation`` [1] and its error: correlation of the noise of adjacent pixels;
        - ``noise_estimate(estimator)`` [1] and its error: standard deviation of OD at the median counts;
        - ``position_noise`` [px] and its error: random error of a pixel's position, independent between energies. It is
          0 where less than 3 standard errors. Then the error is the limit that one standard error sets;
        - ``n_components``: components that were removed for ``low_rank``.

    Raises
    ------
    SchemaError
        ``stack`` is no STACK, or holds no counts.

    See Also
    --------
    optical_density : Uses this noise.
    align : Interpolates the frames, and passes on how that changes the noise.

    Notes
    -----
    The noise of adjacent pixels is taken as white where two conditions hold. Its correlation is below 2 standard
    errors, and ``neighbours`` and ``low_rank`` agree within 2 standard errors. Of the two the more precise one is used.
    Otherwise ``low_rank`` is used.

    Errors are standard errors, from the scatter between blocks of at most 8 x 8 pixels. They do not include structure
    that the components miss. With 4 energies, 20 000 photons and a specimen that is structured everywhere the noise was
    stated 1.3 to 2 times too large, with 10 energies up to 1.2 times. Elsewhere it was right within 10 %.

    A window around the middle of the frames is read, at most 4 million values.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> counts = 0.5 * rng.poisson(400.0, (6, 64, 64))
    >>> smooth = (counts + np.roll(counts, 1, axis=1)) / 2
    >>> stack = xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), smooth)},
    ...                    coords={"energy": ("energy", 705.0 + np.arange(6), {"units": "eV"})})
    >>> noise = estimate_noise(stack)
    >>> abs(float(noise["gain"].mean()) - 0.25) < 0.02
    True
    """
    require(stack, STACK, step="estimate_noise", argument="stack")
    out = measure_noise(stack["intensity"] - dark, despike_sigma)
    if not bool(np.isfinite(out["gain"]).any()):
        raise SchemaError(
            "estimate_noise: no frame of 'intensity' holds counts above the dark ones, needs light. Check dark=."
        )
    settings = {"dark": dark, "despike_sigma": despike_sigma}
    return describe(out, NOISE, step="estimate_noise", settings=settings, source=stack)


def select_noise(
    stack: xr.Dataset, counts: xr.DataArray, gain: float | None, despike_sigma: float | None
) -> xr.Dataset:
    """Take the gain by energy as given, from ``align``, or measure it on counts."""
    if gain is not None:
        if not gain > 0:
            raise SchemaError(f"optical_density: gain={gain}, needs a positive number: 1 for counted photons.")
        given = xr.full_like(stack["energy"], gain, dtype=np.float64).rename("gain").drop_attrs()
        return _mark_source(given, NoiseSource.GIVEN)
    if "gain" in stack:
        # Measured on the raw counts, before interpolation changed their variance.
        out = _mark_source(stack["gain"], NoiseSource.ALIGNED)
        if "noise_response" in stack:
            response = stack["noise_response"].mean("energy")
            out["noise_correlation"] = (response.isel(lag=1) / response.isel(lag=0)).drop_vars("lag", errors="ignore")
        return out
    return measure_noise(counts, despike_sigma).drop_vars("n_components")


def _mark_source(gain: xr.DataArray, source: NoiseSource) -> xr.Dataset:
    """Make a dataset of a gain that was not measured here."""
    return gain.to_dataset(name="gain").assign(noise_source=((), np.int8(source), status_attributes(NoiseSource)))


def measure_noise(counts: xr.DataArray, despike_sigma: float | None) -> xr.Dataset:
    """Measure the noise of counts (energy, scan_y, scan_x); the variables of NOISE.

    Spikes are taken out of the window alone. The limit for them rests on neighbouring pixels, whose noise may be
    correlated. So some noise goes with them: 0.3 % of the values where it is twice what they show.

    The window of a lazy stack is read here. Every block waits for these numbers, and would be kept in memory until
    then.
    """
    side = int(np.sqrt(_MAX_VALUES / counts.sizes["energy"]))
    window = select_middle(counts, min(side, 512)).transpose("energy", "scan_y", "scan_x")
    values = window.values if despike_sigma is None else replace_spikes(window.values, despike_sigma)
    frames = np.asarray(values, dtype=np.float64)
    energy = counts["energy"].values if "energy" in counts.coords else np.arange(len(frames))
    # A frame without counts has no noise to be measured, and would spoil those of the others.
    lit = (np.nan_to_num(frames) > 0).mean(axis=(1, 2)) > 0.1
    original = _find_originals(frames)
    # A frame that was copied has no noise of its own.
    lit &= original == np.arange(len(frames))
    if not lit.any():
        lost = np.full(len(frames), np.nan)
        return _build_result(counts, _Measured({}, None, None, np.nan), NoiseSource.NEIGHBOURS, Estimate(lost, lost))
    measured = _apply_estimators(frames[lit], np.asarray(energy, dtype=np.float64)[lit])
    source = _choose_estimator(measured)
    chosen = measured.gains[source.name.lower()]
    by_energy = Estimate(np.full(len(frames), np.nan), np.full(len(frames), np.nan))
    by_energy.value[lit], by_energy.error[lit] = chosen
    copied = Estimate(by_energy.value[original], by_energy.error[original])
    return _build_result(counts, measured, source, copied)


def _find_originals(frames: Array) -> NDArray[np.intp]:
    """Find for each frame (energy, y, x) the first one that is equal to it."""
    total = np.nansum(frames, axis=(1, 2))
    original = np.arange(len(frames))
    for index in range(1, len(frames)):
        alike = [earlier for earlier in np.flatnonzero(total[:index] == total[index]) if original[earlier] == earlier]
        equal = [earlier for earlier in alike if np.array_equal(frames[earlier], frames[index], equal_nan=True)]
        original[index] = equal[0] if equal else index
    return original


def _apply_estimators(frames: Array, energy: Array) -> _Measured:
    """Apply every estimator that the number of energies and of pixels allows."""
    neighbours = _estimate_from_neighbours(frames)
    gains = {"neighbours": neighbours}
    counts = float(np.nanmedian(frames))
    field = linearise_logarithm(frames)
    pairs = select_flat_pairs(field, pair_distant_pixels(field))
    # Few pairs cannot show which components are significant.
    if np.unique(pairs.block).size < 2 or not (neighbours.value > 0).all():
        return _Measured(gains, None, None, counts)
    first, second = pairs.first, pairs.second
    square = 0.5 * (field.log_counts[:, first] - field.log_counts[:, second]) ** 2
    gains["distant"] = compute_block_ratio(square, 0.5 * (field.unit[:, first] + field.unit[:, second]), pairs.block)
    if len(frames) >= 3:
        gains["energies"] = _estimate_along_energy(field, energy)
    if len(frames) < 2 or not np.isfinite(gains["distant"].value).all():
        return _Measured(gains, None, None, counts)
    # Linear interpolation lowers neighbour differences about as the square of the variance.
    start = np.sqrt(np.maximum(neighbours.value, 1e-6 * neighbours.value.max()) * neighbours.value.mean())
    residual = fit_low_rank(field, start)
    position = estimate_position_noise(frames, field, residual.gains.value)
    return _Measured(gains | {"low_rank": residual.gains}, residual, position, counts)


def _estimate_from_neighbours(frames: Array) -> Estimate:
    """Estimate gains from second differences of adjacent pixels, with the error of a median of their squares."""
    value = estimate_frame_gains(frames)
    # The median of chi-square has 0.37 of the information of its mean; overlapping differences have 1/1.94 of it. The
    # flattest 40 % are used, along both axes.
    n = 2 * 0.4 * frames[0].size
    return Estimate(value, value * np.sqrt(2 * 1.94 / (0.37 * n)))


def _estimate_along_energy(field: Field, energy: Array) -> Estimate:
    """Estimate gains from the departure of each energy from the line through its two neighbours; the ends are NaN."""
    flat = field.measured & (field.steepness <= np.quantile(field.steepness[field.measured], 0.4))
    block = label_blocks(field)[0][flat]
    # Energies that were measured twice lie beside each other without a span.
    span = np.maximum(np.abs(np.diff(energy)), 1e-9)
    before = (span[1:] / (span[1:] + span[:-1]))[:, None]
    z, unit = field.log_counts[:, flat], field.unit[:, flat]
    departure = z[1:-1] - before * z[:-2] - (1 - before) * z[2:]
    found = compute_block_ratio(departure**2, unit[1:-1] + before**2 * unit[:-2] + (1 - before) ** 2 * unit[2:], block)
    return Estimate(np.pad(found.value, 1, constant_values=np.nan), np.pad(found.error, 1, constant_values=np.nan))


def _choose_estimator(measured: _Measured) -> NoiseSource:
    """Choose the estimator by the rule in :func:`estimate_noise`."""
    residual = measured.residual
    if residual is None or not np.isfinite(residual.gains.value).all():
        return NoiseSource.NEIGHBOURS
    correlation, error = float(residual.correlation.value[0]), float(residual.correlation.error[0])
    near, far = _pool_energies(measured.gains["neighbours"]), _pool_energies(residual.gains)
    difference = abs(float(near.value[0] - far.value[0])) / float(np.hypot(near.error[0], far.error[0]))
    agree = correlation <= _SIGNIFICANCE * error and difference <= _SIGNIFICANCE
    # Of two that agree, the more precise one is used.
    return NoiseSource.NEIGHBOURS if agree and near.error[0] < far.error[0] else NoiseSource.LOW_RANK


def _pool_energies(gains: Estimate) -> Estimate:
    """Compute the mean gain over the energies; the error takes the energies' errors as common ones."""
    # Blocks that are structured are so at all energies, so that errors do not average out.
    known = np.isfinite(gains.value)
    if not known.any():
        return Estimate(np.array([np.nan]), np.array([np.nan]))
    return Estimate(np.array([gains.value[known].mean()]), np.array([gains.error[known].mean()]))


def _build_result(counts: xr.DataArray, measured: _Measured, source: NoiseSource, gains: Estimate) -> xr.Dataset:
    """Collect the variables of NOISE."""
    along = {"energy": counts["energy"]} if "energy" in counts.coords else {}
    out = xr.Dataset({"gain": ("energy", gains.value), "gain_error": ("energy", gains.error)}, coords=along)
    out["noise_source"] = ((), np.int8(source), status_attributes(NoiseSource))
    unknown = Estimate(np.array([np.nan]), np.array([np.nan]))
    pooled = [_pool_energies(measured.gains.get(name, unknown)) for name in _ESTIMATORS]
    gain, error = (np.array([getattr(one, part)[0] for one in pooled]) for part in ("value", "error"))
    noise = np.sqrt(gain / measured.counts)
    out["noise_estimate"] = ("estimator", noise)
    # The standard deviation is the root of the variance: half the relative error.
    out["noise_estimate_error"] = ("estimator", 0.5 * error / np.where(gain > 0, gain, np.nan) * noise)
    out = out.assign_coords(estimator=list(_ESTIMATORS))
    residual = measured.residual
    out["noise_correlation"] = ((), np.nan if residual is None else float(residual.correlation.value[0]))
    out["noise_correlation_error"] = ((), np.nan if residual is None else float(residual.correlation.error[0]))
    position = measured.position
    out["position_noise"] = ((), 0.0 if position is None else float(position.value[0]))
    out["position_noise_error"] = ((), np.nan if position is None else float(position.error[0]))
    out["n_components"] = ((), 0 if residual is None else residual.n_components)
    return out
