"""The simulated stacks of the benchmark: number of energies x noise of the optical density x nuisance."""

from typing import NamedTuple

import numpy as np
import xarray as xr

import phasekit as pk

N_ENERGIES = (4, 6, 10, 20, 60)
NOISE = (0.02, 0.05, 0.1)
NUISANCES = ("none", "offset", "saturation", "slope", "misalignment", "unknown phase", "undersampling")
UNKNOWN = "Na0.5"
_STEP = 3  # every third pixel of a specimen three times as wide: grains of about 13 pixels
_SETTINGS: dict[str, dict[str, float]] = {
    "offset": {"energy_offset": 0.3},
    "saturation": {"stray_light": 0.08},
    "slope": {"pre_edge_slope": 0.01},
    "misalignment": {"frame_jitter_px": 0.5},
}


class Cell(NamedTuple):
    """One stack with what it was made from; ``truth_phase`` is the number of references where the phase is unknown."""

    stack: xr.Dataset
    refs: xr.Dataset
    truth_phase: xr.DataArray


def plan_energies(n: int) -> np.ndarray:
    """Return the energies to measure [eV].

    Four cannot hold five references and a background, so they are planned for three references.
    """
    refs = pk.synthetic.vanadium_references()
    if n >= 30:
        return np.linspace(509.0, 530.0, n).round(2)
    few = refs.isel(reference=[0, 2, 3]) if n < 8 else refs
    spacing = 0.4 if n > 12 else 0.5
    return pk.stxm.select_energies(
        few.sel(energy=slice(507, 531)), n, min_spacing_ev=spacing, offset_robust=n > 4
    ).values


def select_references(n: int) -> xr.Dataset:
    """Return as many references as the energies can tell apart: 3 up to 4 energies, 4 at 6, else 5."""
    refs = pk.synthetic.vanadium_references()
    return refs.isel(reference={4: [0, 2, 3], 6: [0, 1, 2, 3]}.get(n, list(range(5))))


def simulate_cell(n: int, noise: float, nuisance: str, seed: int, **more: float) -> Cell:
    """Return the stack of one cell.

    ``noise`` is the median standard deviation of the optical density over material and energies; the dose follows.
    """
    settings: dict[str, float] = {"frame_drift_px": 0.0, **_SETTINGS.get(nuisance, {}), **more}
    known = select_references(n)
    made_of = known
    if nuisance == "unknown phase":
        made_of = known if n < 8 else pk.synthetic.vanadium_references()
        known = made_of.isel(reference=slice(None, -1))
    shape = (96, 128)
    particles = 9
    if nuisance == "undersampling":
        shape = (shape[0] * _STEP, shape[1] * _STEP)
        particles = 9 * _STEP**2
    keywords = {"shape": shape, "energies": plan_energies(n), "references": made_of, "n_particles": particles}
    clean = pk.synthetic.stxm_stack(**keywords, seed=seed, **{**settings, "photons": np.inf, "hot_pixels": 0.0})
    material = (clean["truth_thickness"] > 0).values
    transmission = (clean["intensity"] / clean["truth_i0"]).values[:, material]
    photons = float(np.median(1 / transmission)) / noise**2
    stack = pk.synthetic.stxm_stack(**keywords, seed=seed, **settings, photons=photons)
    if nuisance == "undersampling":
        stack = stack.isel(scan_y=slice(None, None, _STEP), scan_x=slice(None, None, _STEP))
    return Cell(stack, known, stack["truth_phase"].drop_vars("reference", errors="ignore"))
