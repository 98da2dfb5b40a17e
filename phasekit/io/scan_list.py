"""Planned energies and dwell times as lists that a beamline's scan program can load, and back."""

from os import PathLike
from pathlib import Path

import numpy as np
import xarray as xr

from ..errors import ReadError, SchemaError
from .formats.remote import make_local_path
from .writers.atomic import rename_when_complete
from .writers.scan_list import EXTENSIONS, SAME_STEP_EV, Array, Layout, make_lines


def save_scan_list(
    energies: xr.DataArray,
    path: str | PathLike[str],
    *,
    dwell_ms: xr.DataArray | float = 1.0,
    layout: Layout = "energies",
) -> Path:
    """Write energies to measure as a text a scan program can load, or as CSV with units and provenance.

    Parameters
    ----------
    energies
        Energies [eV], as from :func:`phasekit.stxm.select_energies`. They ascend in the file, whatever their order
        here.
    path
        ``.txt`` holds bare numbers without comments, because scan programs differ in what they take for one. ``.csv``
        is a table with header. Lines with ``#`` before it hold the units, the total dwell time of a pixel, and how
        the energies were chosen. An existing file is replaced when the new one is complete; the folder is made.
    dwell_ms
        Dwell time per pixel [ms]: one number, or one per energy on the same coordinate
        (:func:`phasekit.stxm.allocate_dwell`).
    layout
        "energies" writes one energy per line in ``.txt`` (the dwell time is set in the program), and
        ``energy_eV,dwell_ms`` in ``.csv``. "regions" writes one region per line, ``start stop n dwell``, for the
        region tables of STXM programs (STXM_Control, Pixelator). Neighbours at equal steps with equal dwell times are
        one region, both ends included.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        There is no energy, or one is not above 0, is in another unit than eV, or is given twice. Dwell times are not
        positive or belong to other energies. The ending or the layout is unknown.

    See Also
    --------
    open_scan_list : Read the list again.
    phasekit.stxm.select_energies : Choose the energies.
    phasekit.stxm.allocate_dwell : Divide the dwell time among them.

    Notes
    -----
    Energies are written to 0.1 meV, dwell times to 0.1 microseconds.

    Examples
    --------
    >>> import tempfile
    >>> chosen = xr.DataArray([707.0, 707.6, 709.5, 710.0, 710.5], dims="energy", attrs={"units": "eV"})
    >>> path = save_scan_list(chosen, Path(tempfile.mkdtemp()) / "iron.txt", dwell_ms=2.0, layout="regions")
    >>> print(path.read_text(encoding="utf-8").strip())
    707.0000 707.6000 2 2.0000
    709.5000 710.5000 3 2.0000
    """
    target = make_local_path(path)
    if target.suffix.lower() not in EXTENSIONS or layout not in ("energies", "regions"):
        raise SchemaError(
            f"save_scan_list: '{target.name}', layout={layout!r}; needs a name that ends in .txt or .csv, and the "
            "layout 'energies' or 'regions'."
        )
    values, dwell = _check_plan(energies, dwell_ms)
    lines = make_lines(values, dwell, energies, layout, comma=target.suffix.lower() == ".csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    with rename_when_complete(target) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return target


def open_scan_list(path: str | PathLike[str]) -> xr.DataArray:
    r"""Read a list of energies that :func:`save_scan_list` wrote, or one that was typed by hand in one of its forms.

    Parameters
    ----------
    path
        Text of one energy [eV] a line, of ``energy dwell``, or of regions ``start stop n dwell``, divided by commas or
        blanks. Lines with ``#`` and a header of words are skipped.

    Returns
    -------
    xarray.DataArray
        Energies [eV] on ``energy``, ascending. The coordinate ``dwell_ms(energy)`` is NaN where the file has no dwell
        time. ``attrs["provenance"]`` is there where the file has it.

    Raises
    ------
    ReadError
        The file is missing or holds no energies, a line is none of these, or a number is not positive.

    See Also
    --------
    save_scan_list : Write the list.
    phasekit.stxm.predict_errors : Predict the errors of a measurement at these energies.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "vanadium.txt"
    >>> _ = path.write_text("513 515 3 2.5\n517.2 517.2 1 5\n")
    >>> found = open_scan_list(path)
    >>> found.values, found["dwell_ms"].values
    (array([513. , 514. , 515. , 517.2]), array([2.5, 2.5, 2.5, 5. ]))
    """
    source = make_local_path(path)
    if not source.is_file():
        raise ReadError(source, found="no such file", cure="check the path")
    lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = _read_rows(source, [line for line in lines if not line.startswith("#")])
    energies = np.concatenate([row[0] for row in rows])
    dwell = np.concatenate([row[1] for row in rows])
    if not (energies > 0).all() or (dwell <= 0).any():
        raise ReadError(
            source,
            found="energies or dwell times that are not positive",
            cure="give energies in eV and dwell times in ms, both above 0",
        )
    # Lists typed by hand need not ascend, and two regions may share an energy.
    order = np.argsort(energies, kind="stable")
    attrs = {"units": "eV", "long_name": "energies to measure"}
    # The history of the plan stays with the list.
    records = [line.split(": ", 1)[1] for line in lines if line.startswith("# provenance: ")]
    attrs |= {"provenance": records[0]} if records else {}
    coords = {
        "energy": ("energy", energies[order], {"units": "eV"}),
        "dwell_ms": ("energy", dwell[order], {"units": "ms", "long_name": "dwell time"}),
    }
    return xr.DataArray(energies[order], dims="energy", coords=coords, name="energy", attrs=attrs)


def _check_plan(energies: xr.DataArray, dwell_ms: xr.DataArray | float) -> tuple[Array, Array]:
    """Energies and their dwell times, ascending."""
    unit = energies.attrs.get("units", "eV")
    values = np.asarray(energies, dtype=np.float64).ravel()
    order = np.argsort(values)
    if unit != "eV" or values.size == 0 or not (values > 0).all() or not np.isfinite(values).all():
        raise SchemaError(
            f"save_scan_list: {values.size} energies in '{unit}', needs at least one, positive, in 'eV'. "
            "Multiply keV by 1000."
        )
    if np.any(np.diff(values[order]) < SAME_STEP_EV):
        raise SchemaError("save_scan_list: two energies are equal to 0.1 meV. Take one of them out.")
    dwell = np.asarray(dwell_ms, dtype=np.float64)
    if isinstance(dwell_ms, xr.DataArray) and "energy" in dwell_ms.coords:
        # Dwell times belong to energies, not to places in a list.
        own = dwell_ms["energy"].values
        if own.shape != values.shape or not np.allclose(np.sort(own), values[order], atol=SAME_STEP_EV):
            raise SchemaError(
                "save_scan_list: 'dwell_ms' lies on other energies. Make it for these with allocate_dwell."
            )
        dwell = dwell[np.argsort(own)]
    elif dwell.ndim:
        raise SchemaError("save_scan_list: 'dwell_ms' has no energies. Give one number, or a DataArray on 'energy'.")
    if not (dwell > 0).all() or not np.isfinite(dwell).all():
        raise SchemaError(
            "save_scan_list: a dwell time is not above 0 ms. Give dwell times in ms, for example with allocate_dwell."
        )
    return values[order], np.broadcast_to(dwell, values.shape)


def _read_rows(source: Path, lines: list[str]) -> list[tuple[Array, Array]]:
    """Energies and dwell times of every line; words in the first line are a header."""
    rows = []
    for number, line in enumerate(line for line in lines if line.strip()):
        try:
            rows.append(_parse_row([float(word) for word in line.replace(",", " ").split()]))
        except ValueError:
            if number == 0:
                continue
            cure = "give one energy, 'energy dwell', or 'start stop n dwell' a line"
            raise ReadError(source, found=f"the line '{line[:60]}'", cure=cure) from None
    if not rows:
        raise ReadError(source, found="no energies", cure="give a file that pk.io.save_scan_list wrote")
    return rows


def _parse_row(numbers: list[float]) -> tuple[Array, Array]:
    # One energy, or an energy with its dwell time.
    if len(numbers) in (1, 2):
        return np.array(numbers[:1]), np.array(numbers[1:] or [np.nan])
    if len(numbers) != 4 or numbers[2] < 1 or numbers[2] != int(numbers[2]) or not np.isfinite(numbers).all():
        raise ValueError
    # A region: both ends are measured.
    n = int(numbers[2])
    return np.linspace(numbers[0], numbers[1], n), np.full(n, numbers[3])
