"""Short view of datasets in notebooks: long attributes as one line each; the data keep them whole."""

import json
from typing import Any, TypeVar

import xarray as xr

#: Longer texts are folded; an ordinary unit or name is shorter.
_LONGEST = 80

Data = TypeVar("Data", xr.Dataset, xr.DataArray)


def fold_attributes(data: Data) -> Data:
    """Copy of a dataset for reading only: texts of more than 80 characters are replaced by what they say in short.

    Phases become their names, a provenance the names of its steps. Any other text is cut, and its length is stated.

    Parameters
    ----------
    data
        Dataset or array; it is not changed, and lazy data stay lazy.

    Returns
    -------
    xarray.Dataset or xarray.DataArray
        The same values with short attributes.

    See Also
    --------
    setup : Makes notebooks show datasets in this form.

    Examples
    --------
    >>> long = xr.Dataset(attrs={"phases": '[{"name": "Ni", "cif": "%s"}, {"name": "LiFePO4"}]' % ("x" * 500)})
    >>> fold_attributes(long).attrs["phases"]
    'Ni, LiFePO4 (folded, 548 characters)'
    """
    short = data.copy(deep=False)
    short.attrs = {name: _fold_value(value) for name, value in data.attrs.items()}
    parts = data.variables if isinstance(data, xr.Dataset) else data.coords
    for name in parts:
        short[name].attrs = {key: _fold_value(value) for key, value in data[name].attrs.items()}
    return short


def render_html(data: Data) -> str:
    """HTML of a dataset for notebooks: xarray's own, with folded attributes."""
    return str(fold_attributes(data)._repr_html_())  # type: ignore[no-untyped-call]


def _fold_value(value: Any) -> Any:
    if not isinstance(value, str) or len(value) <= _LONGEST:
        return value
    return f"{_summarise(value)} (folded, {len(value)} characters)"


def _summarise(text: str) -> str:
    """Names in a JSON list of records, else the beginning."""
    try:
        records = json.loads(text)
    except ValueError:
        records = None
    for key, link in (("name", ", "), ("step", " → ")):
        if isinstance(records, list) and records and all(isinstance(one, dict) and key in one for one in records):
            return _cut(link.join(str(one[key]) for one in records))
    return _cut(text)


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 2] + " …"
