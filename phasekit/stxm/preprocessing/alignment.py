"""Alignment of the energy frames of a stack.

Shifts are estimated on gradient images of all frames together. The raw counts are then interpolated once.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import FrameStatus, SchemaError, status_attributes
from ...schema import STACK, describe, require
from .count_statistics import compute_noise_response, fill_lost_pixels, replace_spikes
from .exposure.dwell import normalise_pixel_dwell
from .frame_interpolation import apply_shifts, find_seen_pixels
from .frames import estimate_gains, remove_spikes
from .image_registration import (
    compute_gradient_features,
    compute_pair_weights,
    compute_spectrum,
    estimate_shift_error,
    find_pair_shift,
    fit_frame_shifts,
    select_frame_pairs,
)

Array = NDArray[np.floating]


class _Drift(NamedTuple):
    """Drift of all frames in pixels: shift (frame, 2) as (y, x), standard error (frame,), FrameStatus (frame,)."""

    shift: NDArray[np.float64]
    error: NDArray[np.float64]
    status: NDArray[np.int8]


def align(
    stack: xr.Dataset,
    *,
    max_shift_px: float | None = None,
    reference: int = 0,
    smoothing_px: float = 1.5,
    order: int = 3,
    despike_sigma: float | None = 6.0,
    n_iterations: int = 4,
    progress: bool = True,
) -> xr.Dataset:
    r"""Align the energy frames of a stack.

    Contrast inverts across an absorption edge. Frames are therefore compared as images of gradient length, in which a
    dark and a bright particle look alike. Many pairs of frames are compared by cross-correlation. One shift per frame
    is then fitted to the shifts of all pairs with robust weights. The estimate is repeated on the shifted frames.

    Parameters
    ----------
    stack
        STACK: ``intensity(energy, scan_y, scan_x)`` [counts].
    max_shift_px
        Largest shift between any two frames [px]. None takes a quarter of the shorter side.
    reference
        Index of the energy whose frame stays in place.
    smoothing_px
        Gaussian width before the gradient [px]. Use 2.5 for frames below about 30 counts.
    order
        Spline order of the interpolation. 1 is linear and never rings, 3 keeps detail.
        A half-pixel shift in y and x leaves 0.25 of the counts' variance with 1, and 0.49 with 3.
        ``noise_factor`` passes this factor to ``optical_density``.
    despike_sigma
        Threshold for hot and dead pixels, in standard deviations beyond their neighbours.
        They are replaced by the median of their neighbours before the interpolation, unless a neighbouring energy
        shows them too. None leaves them.
    n_iterations
        Largest number of estimates. The loop ends when no frame moves by more than 0.02 px.
    progress
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        STACK with ``intensity`` interpolated frame by frame. It is lazy where ``stack`` is.
        Pixels that no raw pixel covers hold the nearest counts and are not ``seen``.

        - ``shift_y, shift_x(energy)`` [px]: the shifts that were undone.
        - ``shift_error(energy)`` [px]: their standard error, from the difference between the halves of the image.
        - ``frame_status(energy)``: ``ok``, ``uncertain`` (error above 0.3 px) or ``failed``. A failed frame matches no
          other; its shift is interpolated from its neighbours in energy.
        - ``seen(scan_y, scan_x)``: inside the frame at every energy.
        - ``gain(energy)``: variance over mean of the raw counts.
        - ``noise_factor(energy)`` and ``noise_response(energy, lag)``: effect of the interpolation on white noise.

        - ``n_replaced(energy)``: hot and dead pixels that were replaced.

        ``i0``, ``ring_current`` and ``dwell`` are passed on. ``pixel_dwell`` is moved with the counts.

    Raises
    ------
    SchemaError
        ``stack`` is no STACK, or a setting is out of range.

    See Also
    --------
    optical_density : The next step: counts to optical density.
    phasekit.io.open_stxm : Read a stack from a file.
    smooth_od : Smooth the optical density after the alignment.

    Notes
    -----
    With the Fourier transforms :math:`F_i` of two windowed gradient images, the shift of pair (i, j) is

    .. math:: d_{ij} = \arg\max_r \; \mathcal{F}^{-1}[F_j F_i^*](r).

    The maximum is refined to 0.01 px by a matrix Fourier transform around the best pixel (Guizar-Sicairos et al.). The
    frame shifts :math:`s` minimise a weighted sum of squares with Cauchy weights, by iterative reweighting:

    .. math:: \sum_{ij} \frac{w_{ij} |r_{ij}|^2}{1 + |r'_{ij}|^2 / c^2}, \quad r_{ij} = d_{ij} - (s_j - s_i).

    Here :math:`r'` is the residual of the round before. So wrong pairs lose their influence.

    Every frame is read once for the estimate and kept in memory, binned to at most 512 pixels a side. The interpolation
    is lazy. One shift holds for all pixels of a frame, so drift within a frame remains.

    References
    ----------
    Guizar-Sicairos, Thurman, Fienup, Opt. Lett. 33, 156 (2008).

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:40, :48]
    >>> blob = lambda dy: 900 - 600 * np.exp(-((y - 20 - dy) ** 2 + (x - 24) ** 2) / 60)
    >>> stack = xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), np.stack([blob(0), blob(1.5)]))},
    ...                    coords={"energy": ("energy", [515.0, 518.0], {"units": "eV"})})
    >>> align(stack, progress=False)["shift_y"].values.round(1)
    array([0. , 1.5])
    """
    require(stack, STACK, step="align", argument="stack")
    frames, share = normalise_pixel_dwell(stack)
    limit = _check_settings(frames, max_shift_px, reference, order)
    features, factor = _read_features(frames, smoothing_px, despike_sigma, progress)
    # Shifts are estimated on binned frames, hence the factor.
    drift = _estimate_drift(features, limit / factor, reference, n_iterations)
    shift = drift.shift * factor
    out = stack[[name for name in ("i0", "ring_current", "dwell") if name in stack]].copy()
    energy = ("energy",)
    out["shift_y"], out["shift_x"] = (energy, shift[:, 0]), (energy, shift[:, 1])
    out["shift_error"] = (energy, drift.error * factor)
    out["frame_status"] = (energy, drift.status, status_attributes(FrameStatus))
    # The noise of the interpolated counts is no longer white; later steps need its variance and its correlation.
    response = np.array([compute_noise_response(float(y), float(x), order) for y, x in shift])
    out["noise_factor"] = (energy, response[:, 0])
    out["noise_response"] = (("energy", "lag"), response)
    # The gain must come from the raw counts: interpolation changes their variance.
    out["gain"] = estimate_gains(frames, despike_sigma)
    cleaned, out["n_replaced"] = remove_spikes(frames, despike_sigma, out["gain"])
    out["intensity"] = _apply_drift(cleaned, out, order)
    if share is not None:
        out = _restore_pixel_dwell(out, stack, share)
    out["seen"] = (("scan_y", "scan_x"), find_seen_pixels(shift, frames.sizes["scan_y"], frames.sizes["scan_x"]))
    settings: dict[str, Any] = {
        "max_shift_px": limit,
        "reference": reference,
        "smoothing_px": smoothing_px,
        "order": order,
    }
    settings |= {"despike_sigma": despike_sigma, "n_iterations": n_iterations}
    return describe(out, STACK, step="align", settings=settings, source=stack)


def _restore_pixel_dwell(out: xr.Dataset, stack: xr.Dataset, share: xr.DataArray) -> xr.Dataset:
    """Give every pixel the dwell of the place its counts came from, and counts of that dwell."""
    moved = _apply_drift(share.fillna(1.0), out, 1)
    mean = stack["pixel_dwell"] / share
    return out.assign(intensity=out["intensity"] * moved, pixel_dwell=moved * mean.mean(("scan_y", "scan_x")))


def _check_settings(frames: xr.DataArray, max_shift_px: float | None, reference: int, order: int) -> float:
    """Refuse settings out of range; return the largest shift [px]."""
    n_energies, shorter = frames.sizes["energy"], min(frames.sizes["scan_y"], frames.sizes["scan_x"])
    if not -n_energies <= reference < n_energies:
        raise SchemaError(
            f"align: reference={reference}, but the stack has {n_energies} energies. Choose 0..{n_energies - 1}."
        )
    if order not in (1, 2, 3):
        raise SchemaError(f"align: order={order}, needs a spline order 1, 2 or 3. Choose 1 (linear) or 3 (cubic).")
    # The window over the frame's border needs some pixels inside it.
    if n_energies > 1 and shorter < 8:
        raise SchemaError(
            f"align: frames are only {shorter} px wide, needs at least 8. Skip the step for such a stack."
        )
    # A quarter leaves most of the frame in common at the largest shift.
    limit = shorter / 4 if max_shift_px is None else float(max_shift_px)
    if not 0 < limit < shorter:
        raise SchemaError(
            f"align: max_shift_px={limit}, needs more than 0 and less than the frame, {shorter} px. Use None."
        )
    return limit


def _read_features(
    frames: xr.DataArray, sigma: float, n_sigma: float | None, progress: bool
) -> tuple[NDArray[np.float32], int]:
    """Read the gradient images of all frames, one frame at a time, binned to at most 512 pixels a side."""
    from tqdm.auto import tqdm

    factor = int(np.ceil(max(frames.sizes["scan_y"], frames.sizes["scan_x"]) / 512))
    indices: Iterable[int] = tqdm(range(frames.sizes["energy"]), desc="align", disable=not progress)
    images = []
    for index in indices:
        frame = fill_lost_pixels(np.asarray(frames.isel(energy=index).transpose("scan_y", "scan_x"), dtype=np.float32))
        # A hot pixel that stays in place would hold every frame at zero shift.
        frame = np.nan_to_num(frame) if n_sigma is None else replace_spikes(np.nan_to_num(frame), n_sigma)
        # Binning keeps the memory small; the shift in binned pixels is scaled back by the caller.
        images.append(compute_gradient_features(_rebin_frame(frame, factor), sigma))
    return np.stack(images), factor


def _rebin_frame(frame: Array, factor: int) -> Array:
    """Mean over squares of ``factor`` pixels."""
    if factor == 1:
        return frame
    ny, nx = (n // factor for n in frame.shape)
    return frame[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor).mean(axis=(1, 3))


def _estimate_drift(features: NDArray[np.float32], limit: float, reference: int, n_iterations: int) -> _Drift:
    """Estimate the shift of every frame in pixels of ``features``, by repeated measurement of the remaining shift."""
    n = len(features)
    shift = np.zeros((n, 2))
    # One frame has nothing to be compared with.
    if n == 1:
        return _Drift(shift, np.zeros(1), np.zeros(1, dtype=np.int8))
    pairs = select_frame_pairs(n)
    for _ in range(max(n_iterations, 1)):
        spectra = [compute_spectrum(feature, s) for feature, s in zip(features, shift, strict=True)]
        found = np.array([find_pair_shift(spectra[i], spectra[j], limit) for i, j in pairs])
        # Only what the previous round left is measured, on frames shifted so far.
        solution = fit_frame_shifts(pairs, found[:, :2], compute_pair_weights(found[:, 2]), n, reference)
        shift = shift + solution.shift
        if np.abs(solution.shift).max() < 0.02:
            break
    error = estimate_shift_error(features, shift, pairs, reference)
    # The heights of the last round belong to the residuals of that round.
    height = np.clip(found[:, 2], 0.0, 0.99)
    return _flag_unmatched_frames(
        _Drift(shift, error, np.zeros(n, dtype=np.int8)), pairs, solution.residual, height, reference
    )


def _flag_unmatched_frames(
    drift: _Drift, pairs: NDArray[np.intp], residual: Array, height: Array, reference: int
) -> _Drift:
    """Mark frames that match no other frame, and interpolate their shift from their neighbours in energy."""
    n = len(drift.shift)
    pairs_of_frame = [(pairs == index).any(axis=1) for index in range(n)]
    typical = np.array([np.median(residual[own]) for own in pairs_of_frame])
    correlation = np.array([np.median(height[own]) for own in pairs_of_frame])
    # Pure noise has chance peaks near zero shift too. Its correlation is far below that of the other frames.
    usual = float(np.median(correlation))
    # A failed frame disagrees with its pairs by more than a pixel, or its correlation is far below the usual one.
    failed = (
        (typical > 1.0)
        | (correlation < 0.3 * usual)
        | ((correlation < 0.5 * usual) & (typical > 0.15))
        | (correlation <= 0)
    )
    # The reference defines the position of all others and cannot fail.
    failed[reference] = False
    status = np.where(drift.error > 0.3, FrameStatus.UNCERTAIN, FrameStatus.OK).astype(np.int8)
    status[failed] = FrameStatus.FAILED
    shift, order = drift.shift.copy(), np.arange(n)
    # Drift is slow, so a neighbour's shift is the best estimate for a frame that shows nothing.
    for axis in (0, 1):
        shift[failed, axis] = np.interp(order[failed], order[~failed], drift.shift[~failed, axis])
    return _Drift(shift, np.where(failed, np.maximum(drift.error, typical), drift.error), status)


def _apply_drift(frames: xr.DataArray, drift: xr.Dataset, order: int) -> xr.DataArray:
    """Apply the shifts of all frames to the counts, one interpolation per frame."""
    return xr.apply_ufunc(
        lambda block, sy, sx: apply_shifts(block, sy, sx, order),
        frames,
        drift["shift_y"],
        drift["shift_x"],
        input_core_dims=[["scan_y", "scan_x"], [], []],
        output_core_dims=[["scan_y", "scan_x"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
