"""From a phase map to particles and the connected regions of one phase inside them."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError, StxmStatus
from ...schema import PARTICLES, PHASES, describe, require
from .scan_grid import SCAN, read_scan_grid, scan_coordinates
from .segmentation import fill_holes, label_domains, segment_particles

Labels = NDArray[np.int32]


def label_particles(
    phases: xr.Dataset,
    *,
    min_area_px: int = 20,
    split: bool = True,
    neck: float = 0.75,
    max_hole_px: int = 4,
    min_domain_width_px: float = 3.0,
) -> xr.Dataset:
    """Find the particles of a phase map, and the phase domains inside each.

    Material is what has a phase or is too thick to have one. Pixels that share an edge make one particle, unless a neck
    lies between them: a watershed of the distance to the outline then cuts it there. A phase domain is a connected
    region of one phase in one particle. It is not a crystallographic grain: absorption does not see orientation, so
    two grains of one phase that touch are one domain.

    Parameters
    ----------
    phases
        PHASES with coordinates ``scan_y, scan_x`` [nm]. ``phase`` and ``status`` are read into memory.
    min_area_px
        Smaller particles are left out; a smaller part is never split off.
    split
        Whether touching particles are cut.
    neck
        A cut is made where the neck is narrower than this share of the thinner side's width (both measured by the
        largest circle inside, one pixel added to the radii): at 0.75 two equal discs are cut when their centres are
        more than 1.3 radii apart; 0.9 cuts at slight waists too, 0.5 only at thin bridges.
    max_hole_px
        Enclosed holes up to this size (lost pixels) belong to the particle; they have no phase and no domain.
    min_domain_width_px
        Layers thinner than this, and pieces smaller than its square, belong to no domain of their own but to the
        nearest one of their particle. Between Na3 and Na1 blur draws lines of Na2.4 and Na2: on simulated stacks with a
        probe of 1.75 px the boundaries come out 1.4 to 1.8 times too long at 1 (every pixel as it is named) and right
        within 5 % at 3. About twice the probe width in pixels. A thin shell at the surface is kept. Only domains follow
        this; ``phase`` itself stays.

    Returns
    -------
    xarray.Dataset
        PARTICLES: ``particle(scan_y, scan_x)`` and ``domain(scan_y, scan_x)``, both from 0 in reading order, -1 where
        there is none; ``domain_phase``, ``domain_particle`` and ``domain_area`` [nm2] ``(domain_number)``. Without
        material both maps are -1 and ``domain_number`` is empty. The names of the phases go along as ``reference``.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES or has no even coordinates, or a setting is out of range.

    Notes
    -----
    Splitting: marker-based watershed (Beucher and Meyer 1993) with h-maxima of log(distance + 1 px) as markers and
    h = -log(neck), so that the same ratio of radii cuts large and small particles, and a rough outline does not.

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
    require(phases, PHASES, step="label_particles")
    _check(min_area_px, neck, max_hole_px, min_domain_width_px)
    grid = read_scan_grid(phases, "label_particles")
    maps = phases[["phase", "status"]].compute()
    phase, status = maps["phase"].values.astype(np.int32), maps["status"].values
    material = fill_holes((phase >= 0) | (status == StxmStatus.TOO_THICK), max_hole_px)
    particle = segment_particles(material, grid.steps, min_area=min_area_px, neck=neck if split else 0.0)
    domain, named = label_domains(phase, particle, min_domain_width_px)
    out = xr.Dataset({"particle": (SCAN, particle), "domain": (SCAN, domain)}, scan_coordinates(phases))
    out = out.assign(_domain_table(domain, named, particle, grid.area)).assign_coords(reference=phases["reference"])
    settings: dict[str, Any] = {"min_area_px": min_area_px, "split": split, "neck": neck, "max_hole_px": max_hole_px}
    settings |= {"min_domain_width_px": min_domain_width_px}
    return describe(out, PARTICLES, step="label_particles", settings=settings, source=phases)


def _check(min_area_px: int, neck: float, max_hole_px: int, min_domain_width_px: float) -> None:
    if min_area_px < 1 or max_hole_px < 0 or not min_domain_width_px >= 1:
        raise SchemaError(
            f"label_particles: min_area_px={min_area_px}, max_hole_px={max_hole_px}, min_domain_width_px="
            f"{min_domain_width_px}; needs at least 1, 0 and 1. Correct the one that is below."
        )
    if not 0 < neck < 1:
        raise SchemaError(f"label_particles: neck={neck}, needs a share between 0 and 1; 0.75 is usual.")


def _domain_table(
    domain: Labels, phase: NDArray[Any], particle: Labels, pixel_area: float
) -> dict[str, tuple[str, NDArray[Any]]]:
    inside = domain >= 0
    size = np.bincount(domain[inside])
    kind, whose = np.full(size.size, -1, dtype=np.int16), np.full(size.size, -1, dtype=np.int32)
    kind[domain[inside]], whose[domain[inside]] = phase[inside], particle[inside]
    return {
        "domain_phase": ("domain_number", kind),
        "domain_particle": ("domain_number", whose),
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
    kind = np.append(maps["domain_phase"].values, -1).astype(np.int32)
    return particle, domain, kind[domain]
