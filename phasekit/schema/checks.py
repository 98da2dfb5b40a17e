"""The first and the last call of every step: :func:`require` checks its input, :func:`describe` its output."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import xarray as xr

from phasekit.errors import SchemaError

from .core import ANY, DIMENSION_UNITS, Schema, Variable


def require(
    data: xr.Dataset, schema: Schema, *, step: str, argument: str = "", units: Mapping[str, str] | None = None
) -> None:
    """Check that ``data`` is what ``step`` needs, before any block of it is read.

    Parameters
    ----------
    data
        Dataset to check. Only names, dimensions, shapes and units are looked at; lazy data stay lazy.
    schema
        The kind of dataset needed. Variables that are not optional must be there with exactly these dimensions.
    step, argument
        Name of the caller and of its argument, for the message.
    units
        Further demands, ``{"qx": "1/angstrom"}``, on variables or coordinates.

    Raises
    ------
    SchemaError
        A variable is missing, empty, has other dimensions, holds no real numbers, or has another unit.

    See Also
    --------
    describe : The last line of a step.

    Examples
    --------
    >>> from phasekit.schema import STACK
    >>> require(xr.Dataset(), STACK, step="align", argument="stack")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: align: 'stack' has no variable 'intensity', needs STACK (...). pk.io.open_stxm ...
    """
    given = f"'{argument}'" if argument else "the dataset"
    # A DataArray has dims and attrs, too, and would fail later with a message nobody understands.
    if not isinstance(data, xr.Dataset):
        raise SchemaError(
            f"{step}: {given} is a {type(data).__name__}, needs an xarray.Dataset of kind {schema.name}. "
            f"{schema.made_by} makes one."
        )
    needed = ", ".join(f"{v.name}({', '.join(v.dims)})" for v in schema.variables if not v.optional)
    for variable in schema.variables:
        if variable.name not in data:
            if variable.optional:
                continue
            raise SchemaError(
                f"{step}: {given} has no variable '{variable.name}', needs {schema.name} ({needed}). "
                f"{schema.made_by} makes one."
            )
        _check_shape(data[variable.name], variable, step)
    # Units last: a missing variable is the clearer message.
    for name, unit in {**_required_units(data, schema), **(units or {})}.items():
        _check_unit(data, name, unit, step)


def _check_shape(array: xr.DataArray, variable: Variable, step: str) -> None:
    """Refuse other dimensions, values that are no real numbers, and empty arrays."""
    # The order counts, too: kernels address the axes by their number.
    if tuple(map(str, array.dims)) != variable.dims:
        raise SchemaError(
            f"{step}: '{variable.name}' has dimensions {array.dims}, needs {variable.dims}. "
            f"Reorder it with .transpose{variable.dims} or rename them with .rename(...)."
        )
    if array.dtype.kind not in "iufb":
        raise SchemaError(
            f"{step}: '{variable.name}' holds values of type {array.dtype}, needs real numbers. "
            "Convert them with .astype(float), or take abs(...) of complex ones."
        )
    if 0 in array.shape:
        raise SchemaError(
            f"{step}: '{variable.name}' is empty, shape {dict(array.sizes)}. Check the selection that made it."
        )


def _required_units(data: xr.Dataset, schema: Schema) -> dict[str, str]:
    """Units of those coordinates that allow only one."""
    # Coordinates may be missing: a dataset without them counts pixels.
    dims = {dim for variable in schema.variables if variable.name in data for dim in variable.dims}
    fixed = {dim: DIMENSION_UNITS.get(dim) for dim in dims if dim in data.coords}
    return {dim: units[0] for dim, units in fixed.items() if units is not None and len(units) == 1}


def _check_unit(data: xr.Dataset, name: str, unit: str, step: str) -> None:
    """Refuse a variable or coordinate that has another unit, or none."""
    given = data[name].attrs.get("units") if name in data.variables else None
    if given == unit:
        return
    # Only the scale of the detector is measured; other units are converted by hand.
    cure = (
        "Run calibrate_peaks first, or set the scale with pk.acom.calibrate(...)."
        if name in ("qx", "qy") and unit == "1/angstrom"
        else f"Convert the values and set data['{name}'].attrs['units'] = '{unit}'."
    )
    problem = "has no unit" if given is None else f"is in '{given}'"
    # The reader of a file says here why it could not give the unit, and the argument that helps.
    remark = data[name].attrs.get("comment") if name in data.variables else None
    raise SchemaError(f"{step}: '{name}' {problem}, needs '{unit}'. {cure}" + (f" ({remark})" if remark else ""))


def describe(
    data: xr.Dataset,
    schema: Schema,
    *,
    step: str,
    settings: Mapping[str, Any],
    source: xr.Dataset | None = None,
) -> xr.Dataset:
    """Write names, units and provenance on the result of a step; the last line of every public step.

    xarray keeps attributes through arithmetic, after which they may be wrong. The variables' attributes are therefore
    replaced here. ``flag_*`` attributes and the unit of an ``ANY`` variable are kept.

    Parameters
    ----------
    data
        Result of the step. It is not changed; a shallow copy is returned.
    schema
        Its kind.
    step, settings
        Name of the step and its settings. They are recorded with versions and the history of ``source``, as one JSON
        string in ``attrs["provenance"]``.
    source
        The step's main input; its history stands before this step.

    Returns
    -------
    xarray.Dataset
        The same data with fresh attributes.

    See Also
    --------
    require : The first line of a step.
    provenance : Reads what it wrote.

    Examples
    --------
    >>> import json
    >>> from phasekit.schema import REFERENCES
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), [[0.0, 1.0]])})
    >>> done = describe(refs, REFERENCES, step="demo", settings={"n": 1})
    >>> json.loads(done.attrs["provenance"])[-1]["settings"]
    {'n': 1}
    """
    out = data.copy(deep=False)
    for variable in schema.variables:
        if variable.name not in out:
            continue
        old = out[variable.name].attrs
        kept = {key: value for key, value in old.items() if key.startswith("flag_") or key in ("alt", "comment")}
        units = str(old.get("units", "1")) if variable.units == ANY else variable.units
        out[variable.name].attrs = {"long_name": variable.long_name, "units": units, **kept}
    # Coordinates keep their attributes; only a unit without a choice is written.
    for dim in out.dims:
        choices = DIMENSION_UNITS.get(str(dim))
        if dim in out.coords and choices is not None and len(choices) == 1:
            out[dim].attrs = {**out[dim].attrs, "units": choices[0]}
    history = json.loads(source.attrs.get("provenance", "[]")) if source is not None else []
    record = {
        "step": step,
        "settings": _to_json_value(dict(settings)),
        "versions": {"phasekit": package_version("phasekit")},
    }
    # One JSON string: attributes of netCDF can hold neither dict, bool nor None.
    out.attrs["schema"] = schema.name
    out.attrs["provenance"] = json.dumps([*history, record])
    return out


def provenance(data: xr.Dataset) -> list[dict[str, Any]]:
    """Read the steps that led to ``data``, oldest first, each with its settings and versions."""
    return list(json.loads(data.attrs.get("provenance", "[]")))


def _to_json_value(value: Any) -> Any:
    """Value as JSON can hold it; arrays and datasets are named by their shape, not stored."""
    if isinstance(value, Mapping):
        return {str(key): _to_json_value(item) for key, item in value.items()}
    if isinstance(value, str | bool | int | float | None):
        return value
    if isinstance(value, range | list | tuple):
        return [_to_json_value(item) for item in value]
    # numpy scalars and arrays without dimensions
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    if hasattr(value, "sizes"):
        return f"{type(value).__name__}{dict(value.sizes)}"
    return f"{type(value).__name__}{getattr(value, 'shape', '')}"


@cache  # the metadata are files, and every step asks
def package_version(package: str) -> str:
    """Read the version of an installed package; 'unknown' where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that was never installed
        return "unknown"
