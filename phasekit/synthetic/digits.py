"""Rounding of simulated truth to the digits that every processor agrees on."""

import numpy as np
import xarray as xr

#: Far fewer than the 15 of double precision, far more than any comparison with the truth needs.
_DIGITS = 8


def round_truth(data: xr.Dataset) -> xr.Dataset:
    """Round the double-precision variables named ``truth_...`` to eight digits of their largest absolute value.

    Processors disagree about the last bits of a sine or a power, up to 1e-15 of the value. Without rounding, the same
    recipe would give different files on different machines. A value lies that near to the middle between two rounded
    ones once in about ten million times. Counts need no rounding: a random draw rarely depends on the last bits of its
    rate.
    """
    rounded = {}
    for name, variable in data.data_vars.items():
        if not str(name).startswith("truth_") or variable.dtype != np.float64:
            continue
        largest = float(np.nanmax(np.abs(variable.values), initial=0.0))
        if largest > 0:
            places = _DIGITS - int(np.ceil(np.log10(largest) - 1e-9))  # a last bit above a power of ten is none
            rounded[name] = variable.copy(data=np.round(variable.values, places))
    return data.assign(rounded)
