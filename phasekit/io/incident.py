"""Open the incident intensity: a text table, a point spectrum, or a stack without sample."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import ReadError
from .formats.hdf5_file import check_text_heaps, contains_hdf5
from .formats.point_spectra import PointChoice, PointSpectrum, read_nexus_point, read_sdf_point
from .formats.registry import report_damage
from .formats.table_paths import expand_paths
from .formats.tables.options import TableOptions, make_options
from .formats.tables.passes import sort_rows
from .formats.tables.spectra import read_spectra
from .plausibility.rule import check_plausible
from .plausibility.spectra import ENERGY_EV, I0_CONTRAST

_STACKS = (".hdr", ".xim", ".ncb", ".tif", ".tiff", ".nc", ".zarr")
_PARTS, _PART_PIXELS = 6, 4  # parts of each side of the mean image that are compared, and their smallest side


def open_i0(  # noqa: PLR0913 -- settings are keyword-only with defaults
    path: str | PathLike[str],
    *,
    columns: str | int | Sequence[str | int] | None = None,
    energy_column: str | int | None = None,
    scan: str | int | None = None,
    energy_unit: str | None = None,
    decimal: str | None = None,
    entry: str | None = None,
    region: int | None = None,
    counter: str | None = None,
    accept: str | Iterable[str] = (),
) -> xr.DataArray:
    r"""Open the spectrum of the incident intensity, e.g. the ``.xsp`` beside an SDF stack.

    Parameters
    ----------
    path
        A text table, as :func:`open_references` takes it. Or the ``.hdr`` or HDF5 file of a point spectrum, or of a
        stack or image without sample, which is averaged over its pixels.
    columns
        Name of the column of intensities, or its place from 0. The default is the only one, or the one named ``i0``.
    energy_column, scan, energy_unit, decimal
        As in :func:`open_references`.
    entry, region, counter
        As in :func:`open_stxm`, for files of scans.
    accept
        ``"energy_ev"`` lets energies outside 45 to 50000 eV pass. ``"i0_contrast"`` lets a stack pass whose mean image
        varies by more than 5 %.

    Returns
    -------
    xarray.DataArray
        ``i0(energy)`` [counts] with rising energy; neighbouring rows of equal energy are averaged. The coordinates
        ``dwell(energy)`` [s] and ``ring_current(energy)`` [mA] are there where a scan states them.

    Raises
    ------
    ReadError
        The file is missing, empty or holds no intensity. It leaves open which numbers are meant. An intensity is not
        positive. A stack shows a sample.
    SchemaError
        An argument is not what is described above.

    See Also
    --------
    phasekit.stxm.optical_density : Convert counts to optical density with it.
    open_references : Open reference spectra.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "i0.xsp"
    >>> _ = path.write_text("700.0 901.5\n700.4 903.6\n")
    >>> open_i0(path).values
    array([901.5, 903.6])
    """
    options = make_options("open_i0", columns, energy_column, scan, energy_unit, decimal, accept=accept, purpose="i0")
    choice = PointChoice(entry, region, counter)
    file = expand_paths(path)[0]
    if file.suffix.lower() in _STACKS or contains_hdf5(file):
        i0 = _open_scan(file, choice, options)
    elif choice != PointChoice():
        raise ReadError(file, found="a text table", cure="leave entry=, region= and counter= out; columns= chooses")
    else:
        found = read_spectra(file, options)
        if sum(len(s.names) for s in found) != 1:
            raise ReadError(
                file,
                found=f"{sum(len(s.names) for s in found)} spectra, each with its energies",
                cure=f"choose one, e.g. columns={found[0].names[0]!r}",
            )
        i0 = _make_spectrum(PointSpectrum(found[0].energy, found[0].values[0]))
        if found[0].notes:
            i0.attrs["comment"] = "; ".join(found[0].notes)
    wrong = i0[~(i0 > 0).values]
    if wrong.size:
        what = f"{float(wrong[0]):g}, an incident intensity that is not positive, at {float(wrong.energy[0]):g} eV"
        raise ReadError(file, found=what, cure="take out the energies without light; give counts, not absorbance")
    return i0


def _open_scan(file: Path, choice: PointChoice, options: TableOptions) -> xr.DataArray:
    """Spectrum of a point scan, or the mean over the pixels of a stack."""
    from .stxm import open_stxm

    point = None
    if file.suffix.lower() == ".hdr":
        point = read_sdf_point(file, choice, options)
    elif contains_hdf5(file) and file.suffix.lower() != ".nc":
        with report_damage(file):
            check_text_heaps(file)
            point = read_nexus_point(file, choice)
    if point is not None:
        check_plausible(file, ENERGY_EV, point.energy, options.accept)
        return _make_spectrum(_sort_point(file, point, options))
    stack = open_stxm(file, **{k: v for k, v in choice._asdict().items() if v is not None})
    return _average_stack(file, stack, options)


def _sort_point(file: Path, point: PointSpectrum, options: TableOptions) -> PointSpectrum:
    times = [] if point.dwell is None else [point.dwell]
    energy, values = sort_rows(file, point.energy, np.array([point.values, *times]), options)
    return PointSpectrum(energy, values[0], values[1] if times else None)


def _make_spectrum(point: PointSpectrum) -> xr.DataArray:
    """Labelled spectrum of counts, with its dwell where that is known."""
    i0 = xr.DataArray(point.values, {"energy": point.energy}, ("energy",), "i0")
    i0.attrs = {"units": "counts", "long_name": "incident intensity"}
    i0["energy"].attrs = {"units": "eV", "long_name": "photon energy"}
    if point.dwell is not None:
        i0 = i0.assign_coords(dwell=("energy", point.dwell, {"units": "s", "long_name": "dwell"}))
    return i0


def _average_stack(file: Path, stack: xr.Dataset, options: TableOptions) -> xr.DataArray:
    """Mean over the pixels of each frame at the mean dwell of the frame; refused where the mean image is not even."""
    from ..stxm.preprocessing.exposure.dwell import find_dwell, get_condition, normalise_pixel_dwell

    counts, _ = normalise_pixel_dwell(stack)
    means, image = [], np.zeros(1)
    for index in range(stack.sizes["energy"]):
        # One frame at a time: a stack of I0 may be as large as that of the sample.
        frame = np.asarray(counts.isel(energy=index).transpose("scan_y", "scan_x"), dtype=np.float64)
        means.append(float(np.nanmean(frame)) if np.isfinite(frame).any() else np.nan)
        image = image + frame / means[-1]
    check_plausible(file, I0_CONTRAST, _measure_contrast(image / len(means)), options.accept)
    i0 = _make_spectrum(PointSpectrum(stack["energy"].values, np.array(means)))
    i0.attrs["comment"] = f"mean over {stack.sizes['scan_y']} x {stack.sizes['scan_x']} pixels of {file.name}"
    for name, unit, values in (
        ("dwell", "s", find_dwell(stack)),
        ("ring_current", "mA", get_condition(stack, "ring_current")),
    ):
        if values is not None:
            i0 = i0.assign_coords({name: ("energy", np.asarray(values, dtype=np.float64), {"units": unit})})
    return i0.sortby("energy")


def _measure_contrast(image: NDArray[np.float64]) -> float:
    """Largest difference between the means of parts of an image, relative to its mean."""
    n_y, n_x = (max(1, min(_PARTS, size // _PART_PIXELS)) for size in image.shape)
    parts = [part for row in np.array_split(image, n_y, axis=0) for part in np.array_split(row, n_x, axis=1)]
    means = [float(np.nanmean(part)) for part in parts if np.isfinite(part).any()]
    return (max(means) - min(means)) / abs(float(np.mean(means))) if means else float("nan")
