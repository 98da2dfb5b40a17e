"""The exact spots of a simulated scan, the truth for peak finding."""

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..crystals import phase_from_record
from ..diffraction import reflections, wavelength
from ..errors import SchemaError
from .orientation import Microscope, distort_positions
from .spot_painting import simulate_spots

Array = NDArray[np.float64]


def true_spots(scan: xr.Dataset, *, min_electrons: float = 1.0) -> xr.Dataset:
    """Positions and expected electrons of the diffraction spots of every pixel that holds one grain.

    Parameters
    ----------
    scan
        What ``orientation_scan`` returned, whole or a part of it.
    min_electrons
        Spots with fewer expected electrons are left out.

    Returns
    -------
    xarray.Dataset
        ``spot_y, spot_x(scan_y, scan_x, spot)`` [detector pixels, first pixel centre = 0] and ``electrons``, strongest
        first, NaN after the last. All are NaN in vacuum and where two grains overlap. The direct beam is not among
        them: ``beam_y, beam_x(scan_y, scan_x)`` [px]. Spots off the detector are left out.

    Raises
    ------
    SchemaError
        The data do not come from ``orientation_scan``.

    See Also
    --------
    orientation_scan : Makes the scan.
    phasekit.acom.find_peaks : Finds the spots in the patterns.

    Examples
    --------
    >>> from phasekit.synthetic import orientation_scan
    >>> spots = true_spots(orientation_scan(shape=(2, 3), detector=(64, 64), seed=1))
    >>> spots.spot_y.dims
    ('scan_y', 'scan_x', 'spot')
    """
    settings = _read_settings(scan)
    optics = Microscope(**settings["microscope"])
    size = np.array([scan.sizes["qy"], scan.sizes["qx"]])
    # The true origin, so that drift and jitter of the beam are in the positions.
    beam = np.stack([scan["truth_origin_y"].values, scan["truth_origin_x"].values], axis=-1).astype(float)
    if optics.units != "px":
        # Calibrated axes count from the middle of the detector, spots here from its first pixel.
        beam = beam / optics.pixel_size + (size - 1) / 2
    # The same reflections and the same dose in the spots as in the simulation of the patterns.
    g_max = float(np.hypot(*size)) / 2 * optics.pixel_size
    crystals = [reflections(phase_from_record(record), g_max) for record in json.loads(scan.attrs["phases"])]
    dose = max(0.0, 1 - optics.direct_fraction - optics.diffuse_fraction) * float(settings["electrons"])
    rows: dict[tuple[int, ...], Array] = {}
    for index in zip(*np.nonzero(scan["truth_interior"].values), strict=True):
        g, intensity = simulate_spots(
            crystals[int(scan["truth_phase"].values[index])],
            scan["truth_quaternion"].values[index],
            wave=wavelength(optics.voltage_kv),
            thickness_nm=float(scan["truth_thickness"].values[index]),
            precession_deg=float(settings["precession_deg"]),
        )
        position = beam[index] + distort_positions(g, optics) / optics.pixel_size
        table = np.column_stack([position, dose * intensity / max(intensity.sum(), 1e-30)])
        # Selected after normalising: spots off the detector take their share of the electrons, too.
        on_detector = np.all((position > -0.5) & (position < size - 0.5), axis=1)
        table = table[on_detector & (table[:, 2] >= min_electrons)]
        rows[tuple(int(i) for i in index)] = table[np.argsort(-table[:, 2], kind="stable")]
    return _label_spots(rows, beam, scan)


def _read_settings(scan: xr.Dataset) -> dict[str, Any]:
    """Settings of the simulation, from the provenance of the scan."""
    steps = json.loads(scan.attrs.get("provenance", "[]"))
    settings = [step["settings"] for step in steps if step["step"] == "orientation_scan"]
    if not settings or "truth_thickness" not in scan:
        raise SchemaError(
            "true_spots: the data have no provenance of orientation_scan, needs a simulated scan as it was made. "
            "Make one with pk.synthetic.orientation_scan."
        )
    return dict(settings[-1])


def _label_spots(rows: dict[tuple[int, ...], Array], beam: Array, scan: xr.Dataset) -> xr.Dataset:
    """Dataset of the spots; patterns differ in their number, so each row is filled up with NaN."""
    width = max([len(table) for table in rows.values()], default=1)
    packed = np.full((*beam.shape[:2], max(width, 1), 3), np.nan)
    for index, table in rows.items():
        packed[index][: len(table)] = table
    scan_dims = ("scan_y", "scan_x")
    columns = zip(("spot_y", "spot_x", "electrons"), ("px", "px", "counts"), range(3), strict=True)
    data = {name: ((*scan_dims, "spot"), packed[..., k], {"units": unit}) for name, unit, k in columns}
    beams = {f"beam_{axis}": (scan_dims, beam[..., k], {"units": "px"}) for k, axis in enumerate("yx")}
    return xr.Dataset({**data, **beams}, coords={d: scan[d] for d in scan_dims})
