"""STACK datasets that :func:`phasekit.io.save` wrote: netCDF-4 files and zarr folders."""

from pathlib import Path

import numpy as np
import xarray as xr

from ....errors import ReadError, SchemaError
from ....schema import STACK, read_phase_names, require, write_phase_names
from ..hdf5_file import contains_hdf5, open_hdf5
from .stack import StxmOptions

NAME = "phasekit"
EXTENSIONS = (".nc", ".zarr")
KEEPS = "every variable and attribute, truth and provenance included"
OPTIONS = ("energies", "step_nm")
REMOTE = True
CONTENT = "netCDF-4"
FOLDER = "zarr store"


def recognise(head: bytes, path: Path) -> bool:
    """Recognise a zarr folder, or an HDF5 file that ends in .nc or holds a kind or a variable ``intensity``."""
    if path.is_dir():
        return path.suffix.lower() == ".zarr" or (path / "zarr.json").is_file()
    # Stacks saved by hand with xarray have no kind, but end in .nc or hold the counts under their name.
    return contains_hdf5(path) and (path.suffix.lower() == ".nc" or _has_our_stack(path))


def _has_our_stack(path: Path) -> bool:
    import h5py

    try:
        with open_hdf5(path) as file:
            return "schema" in file.attrs or isinstance(file.get("intensity"), h5py.Dataset)
    except Exception:  # a damaged file: the reader it goes to says what is wrong
        return False


def read(path: Path, options: StxmOptions) -> xr.Dataset:
    """Read a STACK lazily, with further variables (truth) and its provenance."""
    from ...results import load

    data = load(path, lazy=True)
    try:
        require(data, STACK, step="open_stxm")
    except SchemaError as error:
        raise ReadError(path, found=f"no STACK ({error})", cure="open other results with pk.io.load") from error
    # The map of the truth is often taken out of the stack, and then loses the coordinate with its names.
    names = read_phase_names(data)
    if "truth_phase" in data and names is not None:
        data["truth_phase"] = write_phase_names(data["truth_phase"], names)
    # Every step takes whole frames; their number per block is chosen by dask.
    data["intensity"] = data["intensity"].chunk(energy="auto", scan_y=-1, scan_x=-1)
    if options.energies is not None:
        if options.energies.size != data.sizes["energy"]:
            found = f"{data.sizes['energy']} frames for {options.energies.size} energies"
            raise ReadError(path, found=found, cure="give one energy per frame")
        data = data.assign_coords(energy=("energy", options.energies, data["energy"].attrs))
    if options.step_nm is not None:
        steps = dict(zip(("scan_y", "scan_x"), options.step_nm, strict=True))
        data = data.assign_coords({a: (a, np.arange(data.sizes[a]) * s, data[a].attrs) for a, s in steps.items()})
    return data
