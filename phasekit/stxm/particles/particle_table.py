"""One row per particle: size, phases with their uncertainty, composition, boundaries and their width."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError, StxmStatus
from ...schema import COMPOSITION, PARTICLE_STATISTICS, PHASES, THICKNESS, describe, require
from .interfaces import (
    BoundarySamples,
    compute_weight,
    find_boundary_pixels,
    fit_edge,
    iterate_labels,
    subtract_probe_width,
)
from .labels import ParticleMaps, ParticlePixels, read_particle_maps, require_particles
from .outlines import measure_boundaries, measure_outlines
from .scan_grid import ScanGrid, read_scan_grid, require_same_scan

Array = NDArray[np.float64]
Labels = NDArray[np.int32]
_ROW = "particle_number"
_REFERENCE = (_ROW, "reference")


def particle_statistics(
    phases: xr.Dataset,
    particles: xr.Dataset,
    *,
    thickness: xr.Dataset | None = None,
    fitted: xr.Dataset | None = None,
    probe_fwhm_nm: float | None = None,
    reach_nm: float | None = None,
    correlated_px: float = 9.0,
) -> xr.Dataset:
    r"""Describe every particle: size, phases, composition, phase boundaries and the zone between two phases.

    Parameters
    ----------
    phases, particles
        PHASES, and PARTICLES of it. Read into memory.
    thickness
        THICKNESS of the same scan. Fractions and composition are then by volume, not by area, and ``volume`` is given.
        Negative and unknown thickness counts 0.
    fitted
        COMPOSITION of :func:`phasekit.stxm.fitted_composition`, on which the width of the transitions is measured.
        Without it there are no widths, because the neighbours sharpen the composition of a phase map.
    probe_fwhm_nm
        Full width of the probe at half maximum [nm], subtracted from the width of the transition. None subtracts
        nothing.
    reach_nm
        Distance [nm] on either side of a boundary that the width is measured over. None: 8 pixels. It must reach the
        level on both sides. What is nearer to another boundary is left out.
    correlated_px
        Number of pixels whose errors are common, because neighbours influence the names of each other. Variances of
        fractions and mean composition are this many times those of independent pixels. 9 is a patch of 3 x 3.

    Returns
    -------
    xarray.Dataset
        PARTICLE_STATISTICS by ``particle_number`` (empty without particles):

        - ``area`` [nm2], ``diameter`` of the circle of this area, ``centroid_y``, ``centroid_x`` [nm], ``n_pixels``,
          ``n_domains``, ``touches_border``; with ``thickness`` also ``volume`` [nm3].
        - ``perimeter``, and ``contact_length``, its part in contact with other particles [nm]. The edge of the frame
          does not count.
        - ``status_share(.., status_word)``, of all pixels.
        - ``phase_fraction(.., reference)`` of the pixels that have a phase, NaN if none has, and
          ``phase_fraction_error``. A name of confidence :math:`c` is a draw with variance :math:`c (1 - c)`.
        - ``phase_fraction_low`` and ``phase_fraction_high``, hard bounds. The first counts only ``ok`` pixels. The
          second adds doubtful pixels of this phase or with it as runner-up, and pixels without a phase.
        - ``composition_mean``; ``composition_error``, its standard error by noise, from pixels two apart in one domain;
          ``composition_std``, the spread over the particle with noise. Errors of the references are not included.
        - ``boundary_length(.., reference, other_reference)`` between domains of two phases [nm], symmetric, and
          ``boundary_total``.
        - with ``fitted``: ``transition_width`` [nm] from 10 to 90 % of the step, one value for all boundaries of a
          particle, ``transition_error`` and a 95 % upper bound ``transition_upper``. The width is NaN where it is not
          resolved, the bound still holds. All three are NaN without a boundary.

    Raises
    ------
    SchemaError
        Other kinds of data, of different scans, or a setting that is not positive.

    See Also
    --------
    label_particles : The particles and their domains.
    fitted_composition : Composition for the widths.
    boundary_profile : The profile behind a width.
    thickness_map, thickness_from_references : Thickness for volumes.

    Notes
    -----
    Lengths follow from Crofton's formula with eight directions (Boykov and Kolmogorov 2003):

    .. math:: L = \frac12 \int_0^\pi \int n(\theta, p)\, dp\, d\theta \approx \sum_k w_k n_k

    with the crossings :math:`n_k` of the outline with lines of direction :math:`k`. Straight lines at any angle come
    out -1.5 to +1.3 % wrong, 0 on average. Circles come out -0.6 % (diameter 10 px), -2 % (6 px), -7 % (3 px). A noisy
    boundary is longer than a smooth one.

    The transition is an error function with one common place and width; its levels are free for each pair of phases.
    Pixels of status ``no_reference`` do not count. Below 0.6 px (standard deviation) it comes out 5 to 20 % wide.

    Examples
    --------
    >>> y, x = np.mgrid[:30, :30]
    >>> phase = xr.DataArray(np.where(np.hypot(y - 15, x - 15) < 12, x // 15, -1), dims=("scan_y", "scan_x"),
    ...                      coords={dim: (dim, np.arange(30) * 20.0, {"units": "nm"}) for dim in ("scan_y", "scan_x")})
    >>> full = phase.where(phase >= 0) * 0.0 + 1.0
    >>> phases = xr.Dataset({"phase": phase, "status": 1 * (phase < 0), "margin": full, "confidence": full,
    ...                      "composition": 3.0 - phase.where(phase >= 0),
    ...                      "pearson": full.expand_dims(reference=["Na3", "Na2"], axis=2)})
    >>> from phasekit.stxm import label_particles
    >>> rows = particle_statistics(phases, label_particles(phases))
    >>> rows["diameter"].values.round(), rows["phase_fraction"].values.round(2), rows["boundary_total"].values.round(-1)
    (array([472.]), array([[0.47, 0.53]]), array([450.]))
    """
    step = "particle_statistics"
    require(phases, PHASES, step=step, argument="phases")
    require_particles(particles, step)
    require_same_scan(
        phases, particles, step=step, what="phases and particles", cure="Make the particles of these phases."
    )
    for other, kind in ((thickness, THICKNESS), (fitted, COMPOSITION)):
        if other is not None:
            require(other, kind, step=step)
            require_same_scan(phases, other, step=step, what=f"phases and {kind.name}", cure="Use one field for both.")
    settings = {"probe_fwhm_nm": probe_fwhm_nm, "reach_nm": reach_nm, "correlated_px": correlated_px}
    _check_positive(settings, step)
    grid = read_scan_grid(phases, step)
    maps, pixels, names = read_particle_maps(phases, particles, thickness)
    n = int(maps.particle.max(initial=-1)) + 1
    found = _measure_size(maps, grid, n) | _count_phases(pixels, n, len(names), correlated_px)
    found |= _average_composition(pixels, maps, n, correlated_px) | _measure_boundaries(maps, grid, n, len(names))
    if fitted is not None:
        found |= _fit_transitions(maps, fitted.compute(), grid, (n, len(names)), probe_fwhm_nm, reach_nm)
    if thickness is not None:
        found["volume"] = (_ROW, grid.pixel_area * np.bincount(pixels.particle, pixels.weight, n))
    coords = {"status_word": [code.name.lower() for code in StxmStatus], "reference": names, "other_reference": names}
    out = xr.Dataset(found, coords)
    return describe(out, PARTICLE_STATISTICS, step=step, settings=settings, source=particles)


def _check_positive(settings: dict[str, float | None], step: str) -> None:
    """Refuse settings that are not positive; None is allowed."""
    for name, value in settings.items():
        if value is not None and not value > 0:
            raise SchemaError(f"{step}: {name}={value}, needs a positive number, or None where that is allowed.")


def _measure_size(maps: ParticleMaps, grid: ScanGrid, n: int) -> dict[str, tuple[Any, ...]]:
    """Size, place and outline of each particle."""
    particle = maps.particle
    row, column = np.nonzero(particle >= 0)
    particle_of = particle[row, column]
    count = np.bincount(particle_of, minlength=n)
    # a particle that the frame cuts is smaller here than it is
    rim = np.concatenate([particle[0], particle[-1], particle[:, 0], particle[:, -1]])
    perimeter, contact = measure_outlines(particle, grid.steps, n)
    # each domain once, with its particle
    domains = np.unique(np.stack([maps.domain[maps.domain >= 0], particle[maps.domain >= 0]]), axis=1)[1]
    return {
        "n_pixels": (_ROW, count),
        "area": (_ROW, count * grid.pixel_area),
        "diameter": (_ROW, 2 * np.sqrt(count * grid.pixel_area / np.pi)),
        "centroid_y": (_ROW, np.bincount(particle_of, grid.y[row], n) / count),
        "centroid_x": (_ROW, np.bincount(particle_of, grid.x[column], n) / count),
        "touches_border": (_ROW, np.isin(np.arange(n), rim)),
        "perimeter": (_ROW, perimeter),
        "contact_length": (_ROW, contact),
        "n_domains": (_ROW, np.bincount(domains, minlength=n)),
    }


def _count_phases(pixels: ParticlePixels, n: int, k: int, correlated_px: float) -> dict[str, tuple[Any, ...]]:
    """Shares of status and phase, with the error and the bounds that doubtful names leave."""
    words = len(StxmStatus)
    status = np.bincount(pixels.particle * words + pixels.status, minlength=n * words).reshape(n, words)
    named, sure = pixels.phase >= 0, pixels.status == StxmStatus.OK

    def sum_by_phase(which: NDArray[np.bool_], phase: NDArray[np.intp], values: Array) -> Array:
        code = pixels.particle[which] * k + phase[which]
        return np.asarray(np.bincount(code, values[which], n * k).reshape(n, k), dtype=np.float64)

    # a pixel has its phase with probability c and another one otherwise: variance c (1 - c) for both
    weight, doubt = pixels.weight, pixels.confidence * (1 - pixels.confidence)
    counted = sum_by_phase(named, pixels.phase, weight)
    variance = sum_by_phase(named, pixels.phase, weight**2 * doubt)
    second = named & (pixels.runner_up >= 0)
    variance += sum_by_phase(second, np.maximum(pixels.runner_up, 0), weight**2 * doubt)
    # upper bound: doubtful pixels may be of their runner-up, pixels without a phase of any
    other = sum_by_phase(second & ~sure & (pixels.runner_up != pixels.phase), np.maximum(pixels.runner_up, 0), weight)
    without = np.bincount(pixels.particle[~named], weight[~named], n)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):  # particles without a phase become NaN
        everything = counted.sum(axis=1, keepdims=True)
        return {
            "status_share": ((_ROW, "status_word"), status / np.maximum(status.sum(axis=1, keepdims=True), 1)),
            "phase_fraction": (_REFERENCE, counted / everything),
            "phase_fraction_error": (_REFERENCE, np.sqrt(correlated_px * variance) / everything),
            "phase_fraction_low": (
                _REFERENCE,
                sum_by_phase(named & sure, pixels.phase, weight) / (everything + without),
            ),
            "phase_fraction_high": (_REFERENCE, (counted + other + without) / (everything + without)),
        }


def _average_composition(
    pixels: ParticlePixels, maps: ParticleMaps, n: int, correlated_px: float
) -> dict[str, tuple[Any, ...]]:
    """Mean composition of each particle, its standard error and the spread."""
    known = np.isfinite(pixels.composition)
    particle, x, weight = pixels.particle[known], pixels.composition[known], pixels.weight[known]
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.bincount(particle, weight, n)
        mean = np.bincount(particle, weight * x, n) / total
        spread = np.sqrt(np.bincount(particle, weight * (x - mean[particle]) ** 2, n) / total)
        # number of independent pixels of equal weight
        effective = total**2 / np.bincount(particle, weight**2, n) / correlated_px
        error = np.sqrt(_estimate_noise(maps, n) / np.maximum(effective, 1.0))
    return {"composition_mean": (_ROW, mean), "composition_error": (_ROW, error), "composition_std": (_ROW, spread)}


def _estimate_noise(maps: ParticleMaps, n: int) -> Array:
    """Variance (particle,) of the composition of a pixel, from pixels two apart in one domain; NaN without such pairs.

    Neighbours are not used: blur and the prior of the map make their errors equal, which hides the noise.
    """
    square, pairs = np.zeros(n), np.zeros(n)
    for one, other in (
        ((slice(2, None), slice(None)), (slice(None, -2), slice(None))),
        ((slice(None), slice(2, None)), (slice(None), slice(None, -2))),
    ):
        difference = maps.composition[one] - maps.composition[other]
        good = (maps.domain[one] == maps.domain[other]) & (maps.domain[one] >= 0) & np.isfinite(difference)
        particle = maps.particle[one][good]
        square += np.bincount(particle, difference[good] ** 2, n)
        pairs += np.bincount(particle, minlength=n)
    # a difference of two pixels has twice the variance of one
    return np.where(pairs > 0, square / np.maximum(2 * pairs, 1), np.nan)


def _measure_boundaries(maps: ParticleMaps, grid: ScanGrid, n: int, k: int) -> dict[str, tuple[Any, ...]]:
    """Lengths of the phase boundaries of each particle."""
    length = measure_boundaries(maps.domain_phase, maps.particle, grid.steps, (n, k))
    return {
        "boundary_length": ((_ROW, "reference", "other_reference"), length),
        "boundary_total": (_ROW, 0.5 * length.sum(axis=(1, 2))),
    }


def _fit_transitions(
    maps: ParticleMaps,
    fitted: xr.Dataset,
    grid: ScanGrid,
    shape: tuple[int, int],
    probe: float | None,
    reach: float | None,
) -> dict[str, tuple[Any, ...]]:
    """Width of the step across all boundaries of each particle."""
    n, k = shape
    near = find_boundary_pixels(
        maps.domain_phase, maps.particle, grid.steps, reach=reach or 8 * grid.pixel_side, n_phases=k
    )
    value, error = (fitted[name].values[near.row, near.column] for name in ("composition", "composition_error"))
    usable = np.isfinite(value) & maps.usable[near.row, near.column]
    weight = compute_weight(error)
    rows = np.full((3, n), np.nan)
    # pairs of phases are the groups: they have levels of their own, but one place and one width
    for index, places in iterate_labels(near.particle):
        known = places[usable[places]]
        parts = (near.distance, value, weight, near.pair, near.stretch)
        rows[:, index] = subtract_probe_width(
            fit_edge(BoundarySamples(*(part[known] for part in parts)), grid.pixel_side), probe, grid.pixel_side
        )
    names = ("transition_width", "transition_error", "transition_upper")
    return {name: (_ROW, row) for name, row in zip(names, rows, strict=True)}
