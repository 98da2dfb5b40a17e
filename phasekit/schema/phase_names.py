"""Names of the phases that a map of indices stands for, and maps with different lists of names in one list.

Two maps of the same specimen may have been made with different lists: the truth of a simulation holds all phases, a
result only those that were given to it. Indices of one list mean nothing in the other.
"""

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError

_ATTRIBUTE = "phase_names"


def read_phase_names(data: xr.Dataset | xr.DataArray) -> list[str] | None:
    """Names that the phase indices of a dataset or a map stand for, ``None`` where nothing tells them.

    Parameters
    ----------
    data
        A map with ``attrs["phase_names"]``, or a dataset with a coordinate ``reference`` (STXM) or
        ``attrs["phases"]`` (ACOM).

    See Also
    --------
    write_phase_names : Gives a map its names.

    Examples
    --------
    >>> read_phase_names(xr.Dataset(coords={"reference": ["Na3", "Na1"]}))
    ['Na3', 'Na1']
    """
    if _ATTRIBUTE in data.attrs:
        return [str(name) for name in json.loads(data.attrs[_ATTRIBUTE])]
    if isinstance(data, xr.DataArray):
        return None
    if "phases" in data.attrs:
        return [str(record["name"]) for record in json.loads(data.attrs["phases"])]
    return [str(name) for name in data["reference"].values] if "reference" in data.coords else None


def write_phase_names(phase: xr.DataArray, names: Sequence[str]) -> xr.DataArray:
    """Give a map of indices the names of its phases, in ``attrs["phase_names"]`` as JSON.

    Parameters
    ----------
    phase
        Map of indices into ``names``.
    names
        Name of every index.

    See Also
    --------
    read_phase_names : Reads them.

    Examples
    --------
    >>> write_phase_names(xr.DataArray([0, 1]), ["Na3", "Na1"]).attrs["phase_names"]
    '["Na3", "Na1"]'
    """
    return phase.assign_attrs({_ATTRIBUTE: json.dumps([str(name) for name in names])})


def renumber_phases(
    phase: xr.DataArray, own: Sequence[str] | None, names: Sequence[str], *, step: str
) -> tuple[xr.DataArray, list[str]]:
    """Give a map the numbers of another list of names; phases that the other list lacks follow behind it.

    Parameters
    ----------
    phase
        Map of indices into ``own``; negative or NaN: no phase.
    own
        Names of the map itself. ``None``: unknown, the map is taken to use ``names`` already.
    names
        Names of the other list.
    step
        Name of the caller, for the message.

    Returns
    -------
    phase
        Map of indices into the second result, -1 where there is no phase.
    all_names
        ``names``, then those of ``own`` that are not among them.

    Raises
    ------
    SchemaError
        An index has no name.

    See Also
    --------
    read_phase_names : Names of a map.

    Examples
    --------
    >>> phase, names = renumber_phases(xr.DataArray([0, 1, 2]), ["Na3", "Na2", "Na1"], ["Na3", "Na1"], step="compare")
    >>> phase.values.tolist(), names
    ([0, 2, 1], ['Na3', 'Na1', 'Na2'])
    """
    given = list(names) if own is None else list(own)
    index = np.nan_to_num(np.asarray(phase, dtype=float), nan=-1.0).astype(int)
    highest = int(index.max(initial=-1))
    if highest >= len(given):
        raise SchemaError(
            f"{step}: found phase index {highest} in a map of {len(given)} phases ({', '.join(given)}). "
            "The map belongs to another list of names. Give the whole dataset that holds the map and its names."
        )
    if given == list(names):
        return phase.copy(data=index), given
    everything = [*names, *(name for name in given if name not in names)]
    # The last entry stands for "no phase", index -1.
    table = np.array([*(everything.index(name) for name in given), -1])
    return phase.copy(data=table[np.where(index < 0, -1, index)]), everything
