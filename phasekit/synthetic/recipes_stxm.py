"""The STXM sample that comes with phasekit: how it is made, bit for bit."""

import xarray as xr

from .stxm import stxm_stack
from .vanadium import vanadium_references


def stxm_nvpf() -> dict[str, xr.Dataset]:
    """STXM sample: 13 energies across V L2,3 of NaxV2(PO4)2F3 particles with five states of charge.

    Moderately noisy (1500 photons: OD noise 0.026 at OD 0, 0.043 at OD 1), with frames that drift, an incident
    intensity that drifts by 3 %, hot pixels, a 35 nm probe on 20 nm pixels, 1 % stray light and an energy axis that is
    0.2 eV off.

    Returns
    -------
    dict
        ``stxm_nvpf``: STACK with its truth; ``stxm_nvpf_references.csv``: REFERENCES, 505..535 eV.

    Examples
    --------
    >>> sorted(stxm_nvpf())
    ['stxm_nvpf', 'stxm_nvpf_references.csv']
    """
    stack = stxm_stack(n_particles=12, energy_offset=0.2, seed=2603)
    return {"stxm_nvpf": stack, "stxm_nvpf_references.csv": vanadium_references()}
