"""The STXM chain on five generated specimens with truth: 13 energies, 1500 photons, energy offset, drift."""

import numpy as np
import pytest

import phasekit as pk


def _chain(seed):
    refs = pk.synthetic.vanadium_references()
    stack = pk.synthetic.stxm_stack(seed=seed, energy_offset=0.2)
    aligned = pk.stxm.align(stack, progress=False)
    od = pk.stxm.optical_density(aligned).compute()
    gmvae = pk.stxm.fit_gmvae(od, seed=seed, progress=False)
    phases = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), refs)
    table = pk.stxm.compare_methods(od, refs, stack["truth_phase"], phases)
    drift = np.hypot(aligned["shift_y"] - stack["truth_shift_y"], aligned["shift_x"] - stack["truth_shift_x"])
    assert float(np.sqrt((drift**2).mean())) < 0.3
    assert float(phases["energy_offset"]) == pytest.approx(0.2, abs=0.05)
    return table


@pytest.mark.slow
def test_unflagged_pixels_are_right_and_the_baselines_are_beaten():
    tables = [_chain(seed) for seed in range(5)]
    rows = [table.sel(approach="GMVAE + Pearson") for table in tables]
    assert np.mean([float(row["accuracy_unflagged"]) for row in rows]) >= 0.95
    assert min(float(row["share_unflagged"]) for row in rows) >= 0.75
    for table, row in zip(tables, rows, strict=True):
        assert float(row["accuracy"]) == float(table["accuracy"].max())
