"""Profiles of a map along a line and across the boundary of two phases, and the width of the step in them."""

import numpy as np
import xarray as xr

from ...errors import SchemaError
from ...schema import PROFILE, describe, require
from .interfaces import BoundarySamples, compute_weight, find_boundary_pixels, fit_edge
from .labels import load_particle_maps, require_particles
from .profile_parts import (
    assign_units,
    check_line,
    compute_bin_statistics,
    find_reference_pair,
    load_map,
    make_edge_variables,
    sample_line,
    select_particle,
)
from .scan_grid import read_scan_grid, require_same_scan


def line_profile(
    data: xr.Dataset,
    start_nm: tuple[float, float],
    stop_nm: tuple[float, float],
    *,
    variable: str = "composition",
    width_nm: float | None = None,
    step_nm: float | None = None,
    independent_nm: float | None = None,
) -> xr.Dataset:
    """Average a map across a strip, as a function of the distance along it.

    Parameters
    ----------
    data
        Dataset with ``variable(scan_y, scan_x)`` of real numbers or bool, and coordinates [nm]. Only this variable is
        read into memory. For the share of a phase give ``phases.assign(is_na3=phases["phase"] == 0)`` and its name.
    start_nm, stop_nm
        Ends of the line, (y, x) [nm], inside the frame.
    variable
        Name of the map.
    width_nm
        Width of the strip [nm], averaged over. None: 5 pixels.
    step_nm
        Distance between two points of the profile [nm]. None: one pixel.
    independent_nm
        Distance across the strip at which two values are independent [nm], for the standard error. None: 2 pixels, as
        blur and interpolation make it. A strip of 5 pixels then holds 2.5 independent values.

    Returns
    -------
    xarray.Dataset
        PROFILE by ``distance`` [nm] from the start: ``profile``, ``profile_std`` and ``profile_error`` (of the mean) in
        the unit of the map, ``n_pixels`` (known values across the strip). Coordinates ``line_y`` and ``line_x`` [nm].
        NaN where nothing is known. ``profile_error`` is NaN also where a strip holds fewer than 2 independent values.

    Raises
    ------
    SchemaError
        The variable is missing or holds names, the line leaves the frame or has no length, or a width is not positive.

    See Also
    --------
    fit_boundary_width : Width of a step in the profile.
    boundary_profile : Profile across all boundaries of two phases.
    radial_profile : Profile from the surface of particles.

    Notes
    -----
    Values between pixels are interpolated linearly over the known neighbours. Where less than half the weight is known
    the value is unknown.

    Examples
    --------
    >>> side = {dim: (dim, np.arange(20) * 10.0, {"units": "nm"}) for dim in ("scan_y", "scan_x")}
    >>> ramp = xr.DataArray(np.broadcast_to(np.arange(20.0), (20, 20)), dims=("scan_y", "scan_x"), coords=side)
    >>> line_profile(ramp.to_dataset(name="x"), (100, 40), (100, 80), variable="x")["profile"].values
    array([4., 5., 6., 7., 8.])
    """
    step = "line_profile"
    values = load_map(data, variable, step)
    grid = read_scan_grid(data, step)
    width, spacing, apart = (
        default if given is None else given
        for given, default in (
            (width_nm, 5 * grid.pixel_side),
            (step_nm, grid.pixel_side),
            (independent_nm, 2 * grid.pixel_side),
        )
    )
    check_line(grid, (start_nm, stop_nm), (width, spacing, apart), step)
    along, places, strip = sample_line(values, grid, (start_nm, stop_nm), width, spacing)
    # at the rim of a particle part of the strip is unknown; the mean is over the rest
    known = np.isfinite(strip)
    n = known.sum(axis=1)
    mean = np.where(known, strip, 0.0).sum(axis=1) / np.where(n > 0, n, np.nan)
    square = (np.where(known, strip - mean[:, None], 0.0) ** 2).sum(axis=1)
    spread = np.sqrt(square / np.where(n > 1, n - 1, np.nan))
    # number of independent values across the known part of the strip
    independent = n / strip.shape[1] * width / apart
    out = xr.Dataset(
        {
            "profile": ("distance", mean),
            "profile_std": ("distance", spread),
            "profile_error": ("distance", spread / np.sqrt(np.where(independent >= 2, independent, np.nan))),
            "n_pixels": ("distance", n),
        },
        {"distance": ("distance", along), "line_y": ("distance", places[0]), "line_x": ("distance", places[1])},
    )
    settings = {"variable": variable, "start_nm": start_nm, "stop_nm": stop_nm, "width_nm": width, "step_nm": spacing}
    out = assign_units(out, data[variable])
    return describe(out, PROFILE, step=step, settings=settings | {"independent_nm": apart}, source=data)


def fit_boundary_width(profile: xr.Dataset, *, probe_fwhm_nm: float | None = None) -> xr.Dataset:
    r"""Fit a step (error function) to a profile: its place and its width, without the width of the probe.

    With the normal distribution :math:`\Phi`, the levels :math:`l, h` and the standard deviation :math:`\sigma_s` of
    the step as it is seen,

    .. math::

        x(d) = l + (h - l)\, \Phi\Bigl(\frac{d - d_0}{\sigma_s}\Bigr), \qquad
        w = 2.563 \sqrt{\sigma_s^2 - \mathrm{FWHM}^2 / (8 \ln 2)}

    Parameters
    ----------
    profile
        PROFILE of :func:`line_profile` over one boundary, with the level on both sides in it.
    probe_fwhm_nm
        Full width of the probe at half maximum [nm]. None subtracts nothing.

    Returns
    -------
    xarray.Dataset
        PROFILE with more variables, all NaN where fewer than 6 points are known or no level is reached:

        - ``edge``, the fit; ``edge_position`` [nm]; ``edge_from`` and ``edge_to``, the levels.
        - ``edge_width_seen``, from 10 to 90 % of the step [nm].
        - ``edge_width`` without the probe [nm]. NaN (not resolved) where the difference of the variances is below 1.645
          standard errors, or the step below 0.4 pixels.
        - ``edge_width_upper`` [nm], a 95 % bound that holds in either case.
        - standard errors ``.._error``.

    Raises
    ------
    SchemaError
        ``profile`` is no PROFILE, or ``probe_fwhm_nm`` is not positive.

    See Also
    --------
    line_profile : The profile.
    boundary_profile : Profile and width across all boundaries of two phases.
    fitted_composition : The map to measure widths on.

    Examples
    --------
    >>> from scipy.special import ndtr
    >>> x = np.arange(0, 400.0, 20)
    >>> values = ("distance", 3 - ndtr((x - 210) / 40))
    >>> data = {"profile": values, "profile_std": values, "profile_error": values, "n_pixels": values}
    >>> found = fit_boundary_width(xr.Dataset(data, {"distance": ("distance", x, {"units": "nm"})}), probe_fwhm_nm=40)
    >>> [round(float(found[name])) for name in ("edge_position", "edge_width")], round(2.563 * (40**2 - 17**2)**0.5)
    ([210, 93], 93)
    """
    require(profile, PROFILE, step="fit_boundary_width", argument="profile", units={"distance": "nm"})
    distance = profile["distance"].values.astype(np.float64)
    value = profile["profile"].compute().values.astype(np.float64)
    known = np.isfinite(value)
    # distances from the middle, because the fit bounds the place by the span
    middle = float(distance[known].mean()) if known.any() else 0.0
    pixel = float(np.median(np.diff(distance))) if distance.size > 1 else np.nan
    one = np.zeros(int(known.sum()), dtype=np.intp)
    # two neighbouring points share photons and blur, so they count as one observation
    samples = BoundarySamples(distance[known] - middle, value[known], np.ones(one.size), one, np.arange(one.size) // 2)
    edge = fit_edge(samples, pixel)
    out = profile.assign(make_edge_variables(edge, distance, middle, probe_fwhm_nm, pixel))
    return describe(
        assign_units(out, profile["profile"]),
        PROFILE,
        step="fit_boundary_width",
        settings={"probe_fwhm_nm": probe_fwhm_nm},
        source=profile,
    )


def boundary_profile(
    data: xr.Dataset,
    particles: xr.Dataset,
    between: tuple[str, str],
    *,
    variable: str = "composition",
    particle: int | None = None,
    reach_nm: float | None = None,
    bin_nm: float | None = None,
    probe_fwhm_nm: float | None = None,
) -> xr.Dataset:
    """Average a map by the distance from the boundaries between two phases, and fit the step across.

    The step is the error function of :func:`fit_boundary_width`.

    Parameters
    ----------
    data
        Dataset with ``variable(scan_y, scan_x)`` on the scan of the particles, as for :func:`line_profile`. For the
        width of a step take :func:`phasekit.stxm.fitted_composition`. The neighbours sharpen the composition of a phase
        map, so its steps are narrower than the probe. Where ``<variable>_error`` is there, the fit weighs by it.
    particles
        PARTICLES; the boundaries are those between its domains. Read into memory.
    between
        Names of the two references; distances are negative in the first.
    variable
        Name of the map.
    particle
        Number of one particle. None takes all together.
    reach_nm
        Distance [nm] to which the profile goes on both sides. None: 8 pixels. Pixels nearer to another boundary, and
        those beyond the end of this one, do not count.
    bin_nm
        Width of a bin [nm]. None: one pixel. The fit uses the pixels, not the bins.
    probe_fwhm_nm
        As in :func:`fit_boundary_width`.

    Returns
    -------
    xarray.Dataset
        PROFILE by ``distance`` [nm] with the fields of :func:`fit_boundary_width`. For ``profile_error`` stretches of
        boundary 4 pixels long count as independent, not pixels. Where the two phases do not meet, all is NaN and
        ``n_pixels`` 0.

    Raises
    ------
    SchemaError
        Other kinds of data, of different scans, a map, reference or particle that is not there, a width not positive.

    See Also
    --------
    label_particles : The domains.
    fitted_composition : The map to measure widths on.
    particle_statistics : The width for each particle.
    radial_profile : Profile from the surface.

    Notes
    -----
    The boundary is the curve on which the indicator of the two domains, smoothed by 1 pixel, is one half. Its own error
    is about 0.1 pixel. The boundary is found in the same data, so noise that moves it does not appear in the profile.

    Examples
    --------
    >>> y, x = np.mgrid[:30, :30]
    >>> scan, inside = ("scan_y", "scan_x"), np.hypot(y - 15, x - 15) < 12
    >>> side = {dim: (dim, np.arange(30) * 20.0, {"units": "nm"}) for dim in scan}
    >>> particles = xr.Dataset({"particle": (scan, 1 * inside - 1), "domain": (scan, np.where(inside, x // 15, -1)),
    ...                         "domain_phase": ("domain_number", [0, 1])}, side | {"reference": ["Na3", "Na2"]})
    >>> data = xr.Dataset({"composition": (scan, 3.0 - x // 15)}, side)
    >>> across = boundary_profile(data, particles, ("Na3", "Na2"))
    >>> [round(float(across[name]), 2) for name in ("edge_from", "edge_to", "edge_width")]
    [3.0, 2.0, nan]
    """
    step = "boundary_profile"
    values = load_map(data, variable, step)
    require_particles(particles, step)
    require_same_scan(data, particles, step=step, what="map and particles", cure="Take both of one scan.")
    first, second, n = find_reference_pair(particles, between, step)
    grid = read_scan_grid(data, step)
    reach, width = (
        (8 * grid.pixel_side if reach_nm is None else reach_nm),
        (grid.pixel_side if bin_nm is None else bin_nm),
    )
    if not (reach > 0 and width > 0):
        raise SchemaError(f"{step}: reach_nm={reach:g}, bin_nm={width:g}, needs positive lengths.")
    label, _, domain_phase = load_particle_maps(particles, step)
    if particle is not None:
        label = select_particle(label, particle, step)
    near = find_boundary_pixels(domain_phase, label, grid.steps, reach=reach, n_phases=n)
    value = values[near.row, near.column]
    # distances grow towards the phase with the larger index; the caller may name them the other way round
    is_pair = (near.pair == min(first, second) * n + max(first, second)) & np.isfinite(value)
    distance = near.distance[is_pair] * (1 if first < second else -1)
    name = f"{variable}_error"
    error = load_map(data, name, step) if name in data else np.full(values.shape, np.nan)
    weight = compute_weight(error[near.row, near.column])
    edge = fit_edge(
        BoundarySamples(distance, *(part[is_pair] for part in (value, weight, near.pair, near.stretch))),
        grid.pixel_side,
    )
    # bins are centred on 0, so that none lies across the boundary unevenly
    half = int(reach // width)
    centres = np.arange(-half, half + 1, dtype=np.float64) * width
    bins = np.clip(np.rint(distance / width).astype(np.intp) + half, 0, 2 * half)
    parts = compute_bin_statistics(bins, value[is_pair], near.stretch[is_pair], len(centres))
    out = xr.Dataset({name: ("distance", part) for name, part in parts.items()}, {"distance": centres})
    out = out.assign(make_edge_variables(edge, centres, 0.0, probe_fwhm_nm, grid.pixel_side))
    settings = {"between": list(between), "variable": variable, "particle": particle, "reach_nm": reach}
    settings |= {"bin_nm": width, "probe_fwhm_nm": probe_fwhm_nm}
    return describe(assign_units(out, data[variable]), PROFILE, step=step, settings=settings, source=particles)
