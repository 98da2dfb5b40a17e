"""Pixels that hold material, found by a matched filter for the mean edge of the field."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from .frames import apply_around_pixels

Array = NDArray[np.floating]
#: bins a side of a large field
_BINNED = 256
#: pixels on either side with which a pixel is compared
_NEIGHBOURS_PX = 2


def find_material(od: xr.Dataset) -> xr.DataArray:
    """Find the pixels (scan_y, scan_x) that are valid and, where it is known, not empty."""
    return od["valid"] & ~od["empty"] if "empty" in od else od["valid"]


def find_measured_pixels(n_missing: xr.DataArray, n_energies: int) -> xr.DataArray:
    """Find the pixels that lack at most half of the energies and keep at least three, or all where there are fewer."""
    # Two amounts and a constant are the least that any later fit has.
    fewest = max(-(-n_energies // 2), min(n_energies, 3))
    return n_missing <= n_energies - fewest


def mark_empty_pixels(out: xr.Dataset, binned: xr.Dataset) -> xr.Dataset:
    r"""Add ``empty`` to OD: valid pixels that show no edge.

    ``binned`` holds the optical density of the field in the bins of :func:`choose_bins`, with the noise of single
    pixels. The strongest fifth of the field gives the mean edge e. The amplitude of a pixel's spectrum x is that of
    weighted least squares, with the standard error below. Weights are :math:`w = 1/\sigma^2`.

    .. math:: a = \frac{\sum w \, e \, x}{\sum w \, e^2}, \quad \sigma_a = \Big(\sum w \, e^2\Big)^{-1/2}.

    A pixel counts as material when a exceeds 4 standard errors and 5 % of the 95th percentile of the bins. It may
    also be nearer to the mean of its 24 neighbours, if that exceeds 4 of its standard errors, than to zero. The
    weighted mean of e is removed, so a constant in OD has no effect. Energies without a value have weight 0.
    """
    if out.sizes["energy"] < 2:
        return out.assign(empty=xr.zeros_like(out["valid"]))
    small = binned.compute()
    edge = _compute_mean_edge(small, int(np.prod(list(choose_bins(out).values()))))
    # Known before the first pixel is judged: in one graph with the rest every block would be kept until then.
    floor = _compute_floor(small, edge)
    return out.assign(empty=_is_empty(out, edge, floor))


def choose_bins(out: xr.Dataset | xr.DataArray) -> dict[str, int]:
    """Choose the size of the bins [px] that leave at most 256 pixels a side."""
    return {dim: -(-out.sizes[dim] // _BINNED) for dim in ("scan_y", "scan_x")}


def average_bins(frames: xr.DataArray, bins: dict[str, int]) -> xr.DataArray:
    """Average frames over bins; values that are missing do not count."""
    plain = frames.drop_vars(["scan_y", "scan_x"], errors="ignore")
    return plain.coarsen(bins, boundary="trim").mean()


def _compute_mean_edge(small: xr.Dataset, n_pixels: int) -> xr.DataArray:
    """Compute the contrast (energy) of the strongest fifth of a field in bins of ``n_pixels``, with the pixels' noise.

    Binning reduces the noise, and one small map suffices.
    """
    contrast = small["optical_density"] - small["optical_density"].mean("energy")
    # The noise variance of the binned map is subtracted, so that noisy regions do not pass for strong ones.
    power = (contrast**2 - small["noise"] ** 2 / n_pixels).mean("energy")
    strong = power.copy(data=_select_strongest(power.transpose("scan_y", "scan_x").values)) if power.size else power > 0
    return contrast.where(strong).mean(("scan_y", "scan_x"))


def _compute_floor(small: xr.Dataset, edge: xr.DataArray) -> float:
    """Compute 5 % of the 95th percentile of the amplitude of a binned field.

    Many photons make a trace of material significant; it is too thin to be labelled.
    """
    amplitude = _fit_amplitude(small, edge)[0].values
    finite = np.isfinite(amplitude)
    return 0.05 * max(float(np.quantile(amplitude[finite], 0.95)), 0.0) if finite.any() else 0.0


def _fit_amplitude(out: xr.Dataset, edge: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Amplitude (scan_y, scan_x) of the mean edge in every spectrum, and its ratio to its standard error."""
    density, noise = out["optical_density"], out["noise"]
    weight = (1.0 / noise.clip(min=1e-6) ** 2).where(density.notnull(), 0.0)
    # Orthogonal to a constant under these weights, so that a constant in OD cannot pass for an edge.
    edge = edge - (weight * edge).sum("energy") / weight.sum("energy").clip(min=1e-30)
    precision = (weight * edge**2).sum("energy")
    amplitude = (weight * edge * density.fillna(0.0)).sum("energy") / precision.where(precision > 0)
    return amplitude, amplitude * np.sqrt(precision)


def _is_empty(out: xr.Dataset, edge: xr.DataArray, floor: float) -> xr.DataArray:
    """Test each valid pixel's amplitude of the mean edge against its standard error and the least amplitude."""
    amplitude, significance = _fit_amplitude(out, edge)
    both = xr.concat([amplitude.where(out["valid"]), significance], "energy", coords="minimal", compat="override")
    both = both if both.chunks is None else both.chunk(energy=-1)

    def detect(block: Array) -> tuple[NDArray[np.float32]]:
        material = _detect_material(block[0], block[1], floor).astype(np.float32)
        return (np.broadcast_to(material, block.shape),)

    (material,) = apply_around_pixels(both, detect, _NEIGHBOURS_PX)
    return (material.isel(energy=0, drop=True) < 0.5) & out["valid"]


def _select_strongest(power: Array) -> NDArray[np.bool_]:
    """Select the strongest fifth of the pixels on a 3 x 3 mean."""
    smooth = ndimage.uniform_filter(np.nan_to_num(power), 3)
    finite = np.isfinite(power)
    return finite & (smooth >= np.quantile(smooth[finite], 0.8)) if finite.any() else finite


def _detect_material(amplitude: Array, significance: Array, floor: float) -> NDArray[np.bool_]:
    """Detect pixels whose amplitude is significant, alone or with their neighbours, and not negligible in the field."""
    finite = np.isfinite(amplitude) & np.isfinite(significance)
    alone = np.nan_to_num(significance) > 4.0
    return finite & (alone | _is_like_neighbours(amplitude, significance, finite)) & (np.nan_to_num(amplitude) > floor)


def _is_like_neighbours(amplitude: Array, significance: Array, finite: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a pixel is nearer to the mean amplitude of its 24 neighbours, where that is significant, than to none.

    With few photons no pixel alone shows an edge, while a particle of many pixels plainly does.
    """
    # The standard error is that of the weighted fit: amplitude over significance.
    known = finite & (significance != 0)
    weight = np.where(known, (np.where(known, significance, 0.0) / np.where(known, amplitude, 1.0)) ** 2, 0.0)
    weighted = weight * np.where(known, amplitude, 0.0)
    around = [
        25 * ndimage.uniform_filter(one, 2 * _NEIGHBOURS_PX + 1, mode="constant") - one for one in (weight, weighted)
    ]
    # Differences of sums leave a rounding where nothing is known.
    total = np.maximum(around[0], 1e-30)
    mean = around[1] / total
    return known & (mean * np.sqrt(total) > 4.0) & (np.where(known, amplitude, 0.0) > 0.5 * mean)


def read_material_spectra(od: xr.Dataset, max_pixels: int, seed: int) -> tuple[Array, Array]:
    """Read spectra and noise (pixel, energy) of at most ``max_pixels`` random material pixels, block by block.

    Energies without a value are filled as by :func:`fill_missing_energies`.
    """
    places = np.flatnonzero(np.asarray(find_material(od).transpose("scan_y", "scan_x"), dtype=bool).ravel())
    if places.size > max_pixels:
        # Sorted, so that each block of a lazy stack is read once.
        places = np.sort(np.random.default_rng(seed).choice(places, max_pixels, replace=False))
    row, column = np.unravel_index(places, (od.sizes["scan_y"], od.sizes["scan_x"]))
    at = {"scan_y": xr.DataArray(row, dims="pixel"), "scan_x": xr.DataArray(column, dims="pixel")}
    chosen = od[["optical_density", "noise"]].drop_vars(["scan_y", "scan_x"], errors="ignore").isel(at).compute()
    names = ("optical_density", "noise")
    picked = [chosen[name].transpose("pixel", "energy").values.astype(np.float32) for name in names]
    usable = np.isfinite(picked[0]).any(axis=1) & np.where(np.isfinite(picked[0]), picked[1] > 0, True).all(axis=1)
    return fill_missing_energies(picked[0][usable], picked[1][usable])


#: factor on the noise of a filled value: its weight is a millionth of that of a measured one
_FILLED_NOISE = 1e3


def fill_missing_energies(spectra: Array, noise: Array) -> tuple[Array, Array]:
    """Fill values (pixel, energy) that are missing by a line between their neighbours in energy, almost without weight.

    A method that needs a number at every energy gets one, and its noise says that it means nothing.
    """
    lost = ~np.isfinite(spectra)
    if not lost.any():
        return spectra, noise
    spectra, noise = np.array(spectra), np.array(noise)
    position = np.arange(spectra.shape[1])
    for pixel in np.flatnonzero(lost.any(axis=1) & ~lost.all(axis=1)):
        gap = lost[pixel]
        spectra[pixel, gap] = np.interp(position[gap], position[~gap], spectra[pixel, ~gap])
        noise[pixel, gap] = _FILLED_NOISE * noise[pixel, ~gap].max()
    return spectra, noise
