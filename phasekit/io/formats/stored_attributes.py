"""Attributes that netCDF and zarr cannot hold, as JSON text and back.

Neither format knows dict, bool or None. netCDF returns numbers as NumPy scalars, and zarr stores its attributes as
JSON, which loses the dtype of an array. Fixed-width text would come back as text of any length.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

_JSON = "json:"  # marks an attribute stored as JSON text
_WIDTH = "fixed_width_dtype"  # attribute that remembers the dtype of fixed-width text, e.g. <U8


def encode_attributes(data: xr.Dataset, *, arrays_as_text: bool) -> xr.Dataset:
    """Copy a dataset, without stale encodings, so that its attributes can be stored.

    ``arrays_as_text`` also turns array attributes into text; zarr needs it.
    """
    # Encodings of the file the data came from would be used again for the new one, with the wrong chunks or fill
    # values.
    out = data.copy(deep=False).drop_encoding()
    out.attrs = {key: _encode_value(value, arrays_as_text) for key, value in data.attrs.items()}
    for name, variable in data.variables.items():
        attrs = {key: _encode_value(value, arrays_as_text) for key, value in variable.attrs.items()}
        # netCDF stores text of any length, so the width is remembered beside it.
        if variable.dtype.kind == "U":
            out[name] = out[name].astype(object)
            attrs[_WIDTH] = variable.dtype.str
        out[name].attrs = attrs
    return out


def decode_attributes(data: xr.Dataset) -> xr.Dataset:
    """Restore the attributes and text dtypes of a dataset that :func:`encode_attributes` made."""
    data.attrs = {key: _decode_value(value) for key, value in data.attrs.items()}
    # A damaged history is found here, and not when a later step adds to it.
    if "schema" in data.attrs and not isinstance(json.loads(data.attrs.get("provenance", "[]")), list):
        raise ValueError("the provenance is not a list of steps")
    for name in data.variables:
        attrs = {key: _decode_value(value) for key, value in data[name].attrs.items()}
        width = attrs.pop(_WIDTH, None)
        if width is not None:
            data[name] = data[name].astype(width)
        data[name].attrs = attrs
    return data


def _encode_value(value: Any, arrays_as_text: bool) -> Any:
    if isinstance(value, np.ndarray):
        # Arrays of one element come back as a number, and other dtypes as something else.
        plain = not arrays_as_text and value.dtype.kind in "iuf" and value.ndim == 1 and value.size > 1
        return value if plain else _make_json({"dtype": value.dtype.str, "array": value.tolist()})
    # bool of NumPy and of Python come back as bool of Python.
    if isinstance(value, np.bool_):
        return _make_json(bool(value))
    if isinstance(value, bool | None | Mapping | list | tuple):
        return _make_json(value)
    # text that looks like ours, holds a zero byte or is empty would not come back as it was
    if isinstance(value, str) and (value.startswith(_JSON) or "\0" in value or not value):
        return _make_json(value)
    return value


def _make_json(value: Any) -> str:
    return _JSON + json.dumps(value)


def _decode_value(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_JSON):
        plain = json.loads(value[len(_JSON) :])
        if isinstance(plain, dict) and set(plain) == {"dtype", "array"}:
            return np.array(plain["array"], dtype=plain["dtype"])
        return plain
    # h5netcdf returns numbers as NumPy scalars.
    if isinstance(value, np.generic):
        return value.item()
    return value
