"""Number of crystals over several numbers of components."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import CRYSTAL_COUNTS, CRYSTAL_GROUPS, describe, require


def count_crystals(groups: Mapping[int, xr.Dataset], probability: xr.DataArray | None = None) -> xr.Dataset:
    """Count the crystals for several numbers of components k, and over all of them.

    Parameters
    ----------
    groups
        CRYSTAL_GROUPS by k, as of :func:`group_crystals`; usually for the k that the evidence leaves open.
    probability
        Probability of each k, with a coordinate ``rank``; ``None`` takes all as equally likely.

    Returns
    -------
    xarray.Dataset
        CRYSTAL_COUNTS by ``rank``: ``n_crystals``, ``n_low``, ``n_high``, ``n_background``. Attributes: ``n_crystals``,
        the most probable count (of equal ones the smallest); ``n_crystals_low`` and ``n_crystals_high``, the extremes.

    Raises
    ------
    SchemaError
        No groups, not CRYSTAL_GROUPS, or a k without probability.

    See Also
    --------
    group_crystals : The count for one k.
    factorise_ranks : FACTORS for several k.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, shape=(24, 24), seed=1)
    >>> factors = pk.nmf.truth_as_factors(scan)
    >>> groups = pk.nmf.group_crystals(factors, pk.acom.find_peaks(pk.nmf.component_patterns(factors)))
    >>> counted = count_crystals({4: groups})
    >>> counted.n_crystals.values, counted.attrs["n_crystals_high"]
    (array([3]), 3)
    """
    if not groups:
        raise SchemaError("count_crystals: there are no groups, needs CRYSTAL_GROUPS for at least one k.")
    for data in groups.values():
        require(data, CRYSTAL_GROUPS, step="count_crystals", argument="groups")
    ranks = sorted(int(k) for k in groups)
    sources = {"n_crystals": "n_crystals", "n_low": "n_crystals_low", "n_high": "n_crystals_high"}
    sources |= {"n_background": "n_background"}
    table = {name: [int(groups[k].attrs[source]) for k in ranks] for name, source in sources.items()}
    out = xr.Dataset({name: ("rank", values) for name, values in table.items()}, coords={"rank": ranks})
    weight = np.ones(len(ranks)) if probability is None else _select_probability(probability, ranks)
    votes = np.bincount(out["n_crystals"].to_numpy(), weights=weight)
    out.attrs = {"n_crystals": int(votes.argmax()), "n_crystals_low": min(table["n_low"])}
    out.attrs["n_crystals_high"] = max(table["n_high"])
    return describe(out, CRYSTAL_COUNTS, step="count_crystals", settings={"ranks": ranks}, source=groups[ranks[0]])


def _select_probability(probability: xr.DataArray, ranks: list[int]) -> NDArray[np.float64]:
    """Probability of each of the ranks."""
    missing = sorted(set(ranks) - {int(k) for k in probability["rank"].to_numpy()})
    if missing:
        raise SchemaError(f"count_crystals: k = {missing} have no probability. Scan them too, or leave them out.")
    return probability.sel(rank=ranks).to_numpy().astype(float)
