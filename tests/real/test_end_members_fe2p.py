"""The measured Fe 2p stack with one of its two references, or none: the withheld one is found in the data."""

import numpy as np
import pytest

import phasekit as pk

from .fe2p import MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def clusters(od):
    training = pk.stxm.Training(n_steps=300)
    return pk.stxm.assign_clusters(od, pk.stxm.fit_gmvae(od, progress=False, training=training)).compute()


@pytest.mark.parametrize("method", ["extreme", "mcr"])
@pytest.mark.parametrize("given", [["oxidized"], ["reduced"], []])
def test_the_withheld_reference_is_found(od, clusters, refs, given, method):
    few = refs.sel(reference=given) if given else None
    found = pk.stxm.find_end_members(od, clusters, few, n=2 - len(given), method=method)
    truth = refs["reference_spectrum"].interp(energy=np.clip(od["energy"], *refs["energy"].values[[0, -1]])).values
    likeness = np.corrcoef(np.concatenate([found["reference_spectrum"].values, truth]))[:2, 2:]
    assert sorted(likeness.argmax(axis=1).tolist()) == [0, 1]
    assert (likeness.max(axis=1) > 0.96).all()
    # the map of the oxidised fraction is that of both references
    both = pk.stxm.fit_references(od, refs, energy_offset=0.0, slope=True)
    few_fit = pk.stxm.fit_references(od, found, energy_offset=0.0, slope=True)
    total = both["amount"].sum("reference")
    rich = (od["valid"] & ~od["empty"] & (total > 0.5 * total.quantile(0.95))).values
    oxidised = few_fit["fraction"].values[rich][:, likeness[:, 0].argmax()]
    assert np.corrcoef(oxidised, both["fraction"].values[rich][:, 0])[0, 1] > 0.98
