"""The measured Fe 2p stack as optical density and its references, opened once."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk

from .fe2p import FOLDER


@pytest.fixture(scope="session")
def refs():
    return pk.io.open_references([FOLDER / "oxidized.t", FOLDER / "reduced.t"])


@pytest.fixture(scope="session")
def od():
    stack = pk.io.open_stxm(FOLDER / "71214078.hdr")
    i0 = np.loadtxt(FOLDER / "i0.xsp")
    spectrum = xr.DataArray(i0[:, 1], dims="energy", coords={"energy": i0[:, 0]})
    return pk.stxm.optical_density(stack, i0=spectrum).compute()
