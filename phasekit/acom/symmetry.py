"""Phases of a bank or a result, and their proper rotations."""

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError

Array = NDArray[np.float64]


def read_phases(data: xr.Dataset) -> list[Any]:
    """Read the phases (orix) of a bank or a result from ``attrs["phases"]``, in index order.

    Raises
    ------
    SchemaError
        ``attrs["phases"]`` is missing or cannot be read.
    """
    from ..diffraction import phase_from_record

    try:
        records = json.loads(data.attrs["phases"])
    except (KeyError, ValueError) as error:
        raise SchemaError(
            "read_phases: attrs['phases'] is missing or not JSON, needs the phases that build_templates writes there. "
            "Pass the dataset as match_orientations made it."
        ) from error
    return [phase_from_record(record) for record in records]


def proper_rotations(phase: Any) -> Array:
    """Proper rotations (n, 4) of the phase's Laue group, crystal frame (Friedel: diffraction adds an inversion)."""
    return np.asarray(phase.point_group.laue_proper_subgroup.data, dtype=float).reshape(-1, 4)
