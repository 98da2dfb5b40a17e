"""The recipe of the orientation sample: fcc nickel beside orthorhombic LiFePO4, and the CIF files of both."""

import xarray as xr

from .orientation import orientation_scan
from .structures import LIFEPO4, NICKEL, cif_text, sample_phases


def acom_two_phases() -> dict[str, xr.Dataset | str]:
    """The scan (32 x 40 patterns of 2000 electrons, 1 degree precession) and the CIF of both phases."""
    # Written out even where they equal the defaults: the sample must not change when a default does.
    scan = orientation_scan(sample_phases(), shape=(32, 40), detector=(128, 128), electrons=2000, seed=20)
    return {"acom_two_phases": scan, **{f"{entry['name']}.cif": cif_text(entry) for entry in (NICKEL, LIFEPO4)}}
