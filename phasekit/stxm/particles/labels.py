"""From a phase map to particles and the connected regions of one phase inside them."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError, StxmStatus
from ...schema import PARTICLES, PHASES, describe, require
from .scan_grid import SCAN, read_scan_grid, select_scan_coordinates
from .segmentation import fill_holes, label_domains, segment_particles

Array = NDArray[np.float64]
Labels = NDArray[np.int32]


class ParticlePixels(NamedTuple):
    """Pixels (n,) that lie in particles."""

    particle: NDArray[np.intp]
    phase: NDArray[np.intp]  # -1: none
    runner_up: NDArray[np.intp]  # -1: none
    status: NDArray[np.intp]
    confidence: Array
    composition: Array  # NaN where it cannot be used
    weight: Array  # thickness [nm], or 1


class ParticleMaps(NamedTuple):
    """Whole maps (y, x)."""

    particle: Labels
    domain_phase: Labels  # of the domain a pixel is in, -1: none
    domain: Labels
    composition: Array
    usable: NDArray[np.bool_]  # the composition of the pixel can be used


def label_particles(
    phases: xr.Dataset,
    *,
    min_area_px: int = 20,
    split: bool = True,
    neck: float = 0.75,
    max_hole_px: int = 4,
    min_domain_width_px: float = 3.0,
) -> xr.Dataset:
    r"""Find the particles of a phase map, and the phase domains inside each.

    Material is what has a phase or is too thick to have one. Pixels that share an edge make one particle, unless a neck
    lies between them. A watershed of the distance to the outline cuts it there.

    A phase domain is a connected region of one phase in one particle. It is not a crystallographic grain. References do
    not depend on orientation, so two grains of one phase that touch are one domain.

    Parameters
    ----------
    phases
        PHASES with coordinates ``scan_y, scan_x`` [nm]. ``phase`` and ``status`` are read into memory.
    min_area_px
        Smaller particles are left out; a smaller part is never split off.
    split
        Whether touching particles are cut.
    neck
        A cut is made where the neck is narrower than this share of the width of the thinner side. Both widths are those
        of the largest circle inside, with one pixel added to the radii. At 0.75 two equal disks are cut if their
        centres are more than 1.3 radii apart. 0.9 cuts at slight waists too, 0.5 only at thin bridges.
    max_hole_px
        Enclosed holes up to this size (lost pixels) belong to the particle. They have no phase and no domain.
    min_domain_width_px
        Layers thinner than this, and pieces smaller than its square, join the nearest domain of their particle. Blur
        draws thin lines of Na2.4 and Na2 between Na3 and Na1. On simulated stacks with a probe of 1.75 px the
        boundaries come out 1.4 to 1.8 times too long at 1 (every pixel as it is named), and right within 5 % at 3. Take
        about twice the probe width in pixels. A thin shell at the surface is kept. ``phase`` itself does not change.

    Returns
    -------
    xarray.Dataset
        PARTICLES:

        - ``particle(scan_y, scan_x)`` and ``domain(scan_y, scan_x)``, from 0 in reading order, -1 where there is none.
        - ``domain_phase``, ``domain_particle`` and ``domain_area`` [nm2] by ``domain_number``.
        - the names of the phases as ``reference``.

        Without material both maps are -1 and ``domain_number`` is empty.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES or has no even coordinates, or a setting is out of range.

    See Also
    --------
    label_phases : The phase map.
    particle_statistics : One row per particle.
    boundary_profile : Profiles across the boundaries of domains.
    radial_profile : Profiles from the surface.

    Notes
    -----
    Splitting is a marker-based watershed (Beucher and Meyer 1993). The markers are the h-maxima of :math:`\ln(d +
    1\,\mathrm{px})` of the distance :math:`d` to the outline, with :math:`h = -\ln(neck)`. So the same ratio of radii
    cuts large and small particles, and a rough outline does not.

    Examples
    --------
    >>> y, x = np.mgrid[:20, :40]
    >>> inside = (np.hypot(y - 10, x - 10) < 8) | (np.hypot(y - 10, x - 25) < 9)
    >>> phase = xr.DataArray(np.where(inside, x // 10 % 2, -1), dims=("scan_y", "scan_x"),
    ...                      coords={dim: (dim, np.arange(n) * 20.0, {"units": "nm"})
    ...                              for dim, n in (("scan_y", 20), ("scan_x", 40))})
    >>> full = phase.astype(float).where(inside)
    >>> phases = xr.Dataset({"phase": phase, "status": 1 * (phase < 0), "margin": full, "confidence": full,
    ...                      "composition": full, "pearson": full.expand_dims(reference=["Na3", "Na2"], axis=2)})
    >>> found = label_particles(phases)
    >>> int(found["particle"].max()) + 1, found["domain_phase"].values
    (2, array([0, 0, 1, 1, 1], dtype=int16))
    """
    require(phases, PHASES, step="label_particles", argument="phases")
    _check_settings(min_area_px, neck, max_hole_px, min_domain_width_px)
    grid = read_scan_grid(phases, "label_particles")
    maps = phases[["phase", "status"]].compute()
    phase, status = maps["phase"].values.astype(np.int32), maps["status"].values
    # too thick pixels have no phase, but they are material
    material = fill_holes((phase >= 0) | (status == StxmStatus.TOO_THICK), max_hole_px)
    particle = segment_particles(material, grid.steps, min_area=min_area_px, neck=neck if split else 0.0)
    domain, settled_phase = label_domains(phase, particle, min_domain_width_px)
    out = xr.Dataset({"particle": (SCAN, particle), "domain": (SCAN, domain)}, select_scan_coordinates(phases))
    out = out.assign(_make_domain_table(domain, settled_phase, particle, grid.pixel_area)).assign_coords(
        reference=phases["reference"]
    )
    settings: dict[str, Any] = {"min_area_px": min_area_px, "split": split, "neck": neck, "max_hole_px": max_hole_px}
    settings |= {"min_domain_width_px": min_domain_width_px}
    return describe(out, PARTICLES, step="label_particles", settings=settings, source=phases)


def _check_settings(min_area_px: int, neck: float, max_hole_px: int, min_domain_width_px: float) -> None:
    """Refuse settings out of range."""
    if min_area_px < 1 or max_hole_px < 0 or not min_domain_width_px >= 1:
        raise SchemaError(
            f"label_particles: min_area_px={min_area_px}, max_hole_px={max_hole_px}, min_domain_width_px="
            f"{min_domain_width_px}; needs at least 1, 0 and 1. Raise the one that is below."
        )
    if not 0 < neck < 1:
        raise SchemaError(f"label_particles: neck={neck}, needs a share between 0 and 1; 0.75 is usual.")


def _make_domain_table(
    domain: Labels, phase: NDArray[Any], particle: Labels, pixel_area: float
) -> dict[str, tuple[str, NDArray[Any]]]:
    """Phase, particle and area [nm2] of each domain."""
    # all pixels of a domain agree, so any of them gives its phase and its particle
    inside = domain >= 0
    size = np.bincount(domain[inside])
    domain_phase, domain_particle = np.full(size.size, -1, dtype=np.int16), np.full(size.size, -1, dtype=np.int32)
    domain_phase[domain[inside]], domain_particle[domain[inside]] = phase[inside], particle[inside]
    return {
        "domain_phase": ("domain_number", domain_phase),
        "domain_particle": ("domain_number", domain_particle),
        "domain_area": ("domain_number", size * pixel_area),
    }


def require_particles(particles: xr.Dataset, step: str) -> None:
    """PARTICLES, also those of a map without material, whose table of domains is empty."""
    maps = particles.drop_dims("domain_number", errors="ignore") if isinstance(particles, xr.Dataset) else particles
    require(maps, PARTICLES, step=step)


def load_particle_maps(particles: xr.Dataset, step: str) -> tuple[Labels, Labels, Labels]:
    """Maps in memory: particle, domain, and the phase of the domain (-1: none)."""
    if "domain_phase" not in particles:
        raise SchemaError(f"{step}: the particles carry no 'domain_phase'. Make them with pk.stxm.label_particles.")
    maps = particles[["particle", "domain", "domain_phase"]].compute()
    particle, domain = (maps[name].values.astype(np.int32) for name in ("particle", "domain"))
    # domain -1 takes the last entry, which is -1
    domain_phase = np.append(maps["domain_phase"].values, -1).astype(np.int32)
    return particle, domain, domain_phase[domain]


def read_particle_maps(
    phases: xr.Dataset, particles: xr.Dataset, thickness: xr.Dataset | None
) -> tuple[ParticleMaps, ParticlePixels, list[str]]:
    """Maps and pixels in memory, and the names of the references."""
    wanted = [name for name in ("phase", "runner_up", "status", "confidence", "composition") if name in phases]
    maps = phases[wanted].compute()
    particle, domain, domain_phase = load_particle_maps(particles, "particle_statistics")
    # without a reference, or without light, the composition means nothing
    usable = ~np.isin(maps["status"].values, [StxmStatus.NO_REFERENCE, StxmStatus.TOO_THICK])
    composition = np.where(usable, maps["composition"].values.astype(np.float64), np.nan)
    inside = particle >= 0
    weight = np.ones(int(inside.sum()))
    if thickness is not None:
        weight = np.maximum(np.nan_to_num(thickness["thickness"].compute().values[inside].astype(np.float64)), 0.0)
    phase = maps["phase"].values[inside].astype(np.intp)
    runner_up = maps["runner_up"].values[inside].astype(np.intp) if "runner_up" in maps else np.full(phase.shape, -1)
    confidence = np.nan_to_num(maps["confidence"].values[inside].astype(np.float64))
    status = maps["status"].values[inside].astype(np.intp)
    pixels = ParticlePixels(
        particle[inside].astype(np.intp), phase, runner_up, status, confidence, composition[inside], weight
    )
    names = [str(name) for name in phases["reference"].values]
    return ParticleMaps(particle, domain_phase, domain, composition, usable), pixels, names
