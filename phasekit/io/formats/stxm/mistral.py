"""Stacks of Mistral (ALBA BL09), a full-field microscope: raw, normalised or aligned images over photon energy."""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from ..hdf5_file import contains_hdf5, open_hdf5
from .dwell import convert_to_seconds
from .nexus.axes import read_energies
from .nexus.frames import H5Frames
from .nexus.text import decode_text, read_values_and_unit
from .stack import RawStack, StxmOptions, convert_to_nm

NAME = "Mistral"
EXTENSIONS = (".hdf5", ".h5", ".hdf")
KEEPS = "energies, pixel size, exposure time, ring current"
OPTIONS = ("counter", "energies", "step_nm")
REMOTE = True
CONTENT = "HDF5"
DIALECTS = ("raw (NXtomo)", "normalised (SpecNormalized)", "aligned (FastAligned)")


class _Place(NamedTuple):
    """Where one kind of file keeps its images and what belongs to them."""

    images: str
    energy: str
    pixel: str  # {} is x or y
    exposure: str
    current: str
    unit: str


def _describe_processed(group: str, name: str) -> _Place:
    return _Place(
        f"{group}/{name}",
        f"{group}/energy",
        f"{group}/{{}}_pixel_size",
        f"{group}/ExpTimes",
        f"{group}/Currents",
        "transmission",
    )


# The last that a file holds is the furthest in the processing. Sources: github ALBA-Synchrotron/spectro and
# mantis_xray/file_plugins/file_mistral_hdf5.py of github mlerotic/spectromicroscopy.
_RAW = "NXtomo/instrument/sample"
_PLACES = (
    _Place(
        f"{_RAW}/data",
        "NXtomo/instrument/source/energy",
        f"{_RAW}/{{}}_pixel_size",
        f"{_RAW}/ExpTimes",
        f"{_RAW}/current",
        "",
    ),
    _describe_processed("SpecNormalized", "spectroscopy_normalized"),
    _describe_processed("SpecNormalized", "spectroscopy_normalized_aligned"),
    _describe_processed("FastAligned", "spec_aligned"),
)


def recognise(head: bytes, path: Path) -> bool:
    """Recognise an HDF5 file that holds images at one of the places."""
    if not contains_hdf5(path):
        return False
    try:
        with open_hdf5(path) as file:
            return bool(_list_places(file))
    except Exception:  # a damaged file: the reader it goes to says what is wrong
        return False


def _list_places(file: h5py.File) -> dict[str, _Place]:
    """Places that hold images, by the name of the images."""
    found = [p for p in _PLACES if isinstance(file.get(p.images), h5py.Dataset) and file[p.images].ndim == 3]
    return {place.images.rsplit("/", maxsplit=1)[-1]: place for place in found}


def read(path: Path, options: StxmOptions) -> RawStack:
    """Read energies, pixel size, exposure and current; images are read when computed."""
    with open_hdf5(path) as file:
        places = _list_places(file)
        name = options.counter or list(places)[-1]
        if name not in places:
            found = f"the images {list(places)}, but not '{name}'"
            raise ReadError(path, found=found, cure="choose counter= from the list")
        place = places[name]
        images = file[place.images]
        n_energy, n_y, n_x = images.shape
        axis = file.get(place.energy)
        energy = options.energies if options.energies is not None else read_energies(path, axis, images.shape)
        # Projections at different angles have one energy for all.
        if options.energies is None and np.unique(energy).size == 1 and n_energy > 1:
            raise ReadError(path, found=f"{n_energy} images at one energy", cure="give a stack over photon energy")
        sizes = {axis: _read_pixel_size(path, file, place.pixel.format(axis), options) for axis in "yx"}
        frames = H5Frames(
            path=path,
            shape=(n_energy, n_y, n_x),
            dtype=np.dtype(images.dtype).newbyteorder("="),
            dataset=images.name,
            order=("energy", "y", "x"),
        )
        per_energy = _read_records(file, place, n_energy)
    positions = {
        k: None if s is None else np.arange(n) * s for (k, s), n in zip(sizes.items(), (n_y, n_x), strict=True)
    }
    return RawStack(
        frames=frames,
        energy=energy,
        y=positions["y"],
        x=positions["x"],
        per_energy=per_energy,
        comments=["bright-field images of the file are not applied"] if place is _PLACES[0] else [],
        attrs={"format": NAME, "counter": name, "counters": ", ".join(places)},
        unit=place.unit,
        full_field=True,
    )


def _read_pixel_size(path: Path, file: h5py.File, place: str, options: StxmOptions) -> float | None:
    """Size of a pixel [nm]; it is in um where no unit is written."""
    dataset = file.get(place)
    if options.step_nm is not None or not isinstance(dataset, h5py.Dataset):
        return None
    values, unit = read_values_and_unit(dataset)
    size, _ = convert_to_nm(path, place, values, unit or "um")
    return None if size is None or not size.size or not size[0] > 0 else float(size[0])


def _read_records(file: h5py.File, place: _Place, n_energy: int) -> dict[str, NDArray[np.float64]]:
    """Exposure time [s] and ring current [mA] of every image, where the file has one for each."""
    out: dict[str, NDArray[np.float64]] = {}
    exposure, current = file.get(place.exposure), file.get(place.current)
    if isinstance(exposure, h5py.Dataset) and exposure.size == n_energy:
        seconds = convert_to_seconds(np.ravel(exposure[()]), decode_text(exposure.attrs.get("units")) or "s")
        out |= {} if seconds is None else {"dwell": seconds}
    if isinstance(current, h5py.Dataset) and current.size == n_energy:
        out["ring_current"] = np.ravel(current[()]).astype(np.float64)
    return out
