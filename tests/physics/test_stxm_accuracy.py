"""The STXM chain on generated specimens with truth: 13 energies, 1500 or 700 photons, energy offset, drift."""

import numpy as np
import pytest

import phasekit as pk


def _chain(seed, photons):
    refs = pk.synthetic.vanadium_references()
    stack = pk.synthetic.stxm_stack(seed=seed, photons=photons, energy_offset=0.2)
    aligned = pk.stxm.align(stack, progress=False)
    drift = np.hypot(aligned["shift_y"] - stack["truth_shift_y"], aligned["shift_x"] - stack["truth_shift_x"])
    assert float(np.sqrt((drift**2).mean())) < 0.3
    od = pk.stxm.optical_density(aligned).compute()
    gmvae = pk.stxm.fit_gmvae(od, seed=seed, progress=False)
    phases = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), refs)
    assert float(phases["energy_offset"]) == pytest.approx(0.2, abs=0.05)
    return stack["truth_phase"], phases, pk.stxm.compare_methods(od, refs, stack["truth_phase"], phases)


@pytest.mark.slow
def test_unflagged_pixels_are_right_confidence_is_a_rate_and_the_baselines_are_beaten():
    chains = [_chain(seed, photons) for seed, photons in ((30, 1500.0), (31, 1500.0), (32, 700.0))]
    rows = [table.sel(approach="GMVAE + Pearson") for _, _, table in chains]
    assert np.mean([float(row["accuracy_unflagged"]) for row in rows]) >= 0.95
    assert np.mean([float(row["share_unflagged"]) for row in rows]) >= 0.75
    for (_, _, table), row in zip(chains, rows, strict=True):
        others = table["accuracy"].where(table["approach"] != "GMVAE + Pearson")
        assert float(row["accuracy"]) > float(others.max())
    material = [((truth >= 0) & (phases["phase"] >= 0)).values for truth, phases, _ in chains]
    pairs = list(zip(chains, material, strict=True))
    right = np.concatenate([(phases["phase"] == truth).values[use] for (truth, phases, _), use in pairs])
    stated = np.concatenate([phases["confidence"].values[use] for (_, phases, _), use in pairs])
    assert right.mean() == pytest.approx(stated.mean(), abs=0.03)
    for low, high in ((0.0, 0.8), (0.8, 0.95), (0.95, 1.01)):
        those = (stated >= low) & (stated < high)
        assert right[those].mean() == pytest.approx(stated[those].mean(), abs=0.08)
