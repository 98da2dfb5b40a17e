"""The mixture specimens of the benchmark: number of energies x noise x kind of specimen x element."""

from typing import NamedTuple

import numpy as np
import xarray as xr

import phasekit as pk

N_ENERGIES = (4, 10, 60)
NOISE = (0.02, 0.05, 0.1)
KINDS = ("sharp grains", "solid solution", "nano-mixture", "gradual rims", "mixed population")
ELEMENTS = ("iron", "vanadium")
#: Ranges over which a full scan is spread, and within which few energies are planned [eV].
_RANGES = {"iron": (700.0, 725.0), "vanadium": (508.0, 530.0)}
_EDGES = {"iron": (704.0, 716.0), "vanadium": (507.0, 531.0)}
_EVEN_FROM = 30  # energies from which they are spread evenly, as in a full scan


class MixtureCell(NamedTuple):
    """One stack and the references a method is told."""

    stack: xr.Dataset
    refs: xr.Dataset


def list_references(element: str) -> xr.Dataset:
    """Return two references of iron, or three of vanadium: as many as four energies can tell apart."""
    if element == "iron":
        return pk.synthetic.iron_references()
    return pk.synthetic.vanadium_references().sel(reference=["Na3", "Na2", "Na1"])


def plan_mixture_energies(element: str, n: int) -> np.ndarray:
    """Return the energies to measure [eV]: planned where they are few, else evenly spread."""
    if n >= _EVEN_FROM:
        return np.linspace(*_RANGES[element], n).round(2)
    refs = list_references(element).sel(energy=slice(*_EDGES[element]))
    return pk.stxm.select_energies(refs, n, min_spacing_ev=0.5, offset_robust=n > 4).values


def simulate_mixture(
    n: int, noise: float, kind: str, seed: int, *, element: str = "iron", measured: bool = False
) -> MixtureCell:
    """Return the stack of one cell.

    ``noise`` is the median standard deviation of the optical density over material and energies; the dose follows.
    Probe, offset, stray light and drift are drawn from the seed. ``measured`` adds interpolated frames, references
    that are wrong by a few per cent, residual misalignment and a gain.
    """
    energies = plan_mixture_energies(element, n)
    settings = {"kind": kind, "element": element, "energies": energies, "measured": measured}
    clean = pk.synthetic.sample_mixture(seed, **settings, photons=np.inf)
    material = (clean["truth_phase"] >= 0).values
    transmission = (clean["intensity"] / clean["truth_i0"]).values[:, material]
    photons = float(np.median(1 / transmission)) / noise**2
    stack = pk.synthetic.sample_mixture(seed, **settings, photons=photons)
    return MixtureCell(stack, list_references(element))
