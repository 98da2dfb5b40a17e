"""The recipe of the STXM sample, which gives the same files bit for bit."""

import xarray as xr

from .stxm import stxm_stack
from .vanadium import vanadium_references


def stxm_nvpf() -> dict[str, xr.Dataset]:
    """STXM sample: 13 energies across V L2,3 of NaxV2(PO4)2F3 particles with five states of charge.

    Moderately noisy: 1500 photons, so noise of 0.026 at OD 0 and 0.043 at OD 1. Frames drift, and the incident
    intensity drifts by 3 %. The probe is 35 nm wide on pixels of 20 nm. There are hot pixels and 1 % stray light. The
    energy axis is 0.2 eV off.

    Returns
    -------
    dict
        ``stxm_nvpf``: STACK with its truth; ``stxm_nvpf_references.csv``: REFERENCES, 505..535 eV.

    Examples
    --------
    >>> sorted(stxm_nvpf())
    ['stxm_nvpf', 'stxm_nvpf_references.csv']
    """
    # The energy offset is set, so that the workflow must find it; the other effects have their defaults.
    stack = stxm_stack(n_particles=12, energy_offset=0.2, seed=2603)
    return {"stxm_nvpf": stack, "stxm_nvpf_references.csv": vanadium_references()}
