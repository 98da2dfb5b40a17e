"""Compile what numba compiles, on a few patterns, so that the first notebook in Binder does not wait for it.

Run by ``postBuild`` when the image is made. The code goes beside its source (numba's and orix's caches), and the fonts
of matplotlib into its own cache. Any error stops the image, because the notebooks would meet it too.
"""

import orix.quaternion.symmetry  # noqa: F401  (compiles when it is imported)

import phasekit as pk

SMALL = {"scan_y": slice(0, 6), "scan_x": slice(0, 6)}


def warm_up_orientations() -> None:
    """Peaks, templates, matching, refinement, grains and their figures, on 36 patterns."""
    patterns = pk.io.open_4dstem(pk.samples.path("acom_two_phases")).isel(SMALL)
    phases = [pk.io.open_phase(pk.samples.path(name)) for name in ("Ni.cif", "LiFePO4.cif")]
    mask = pk.detector.find_mask(patterns)
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(patterns, mask=mask).compute(), phase=phases)
    bank = pk.acom.build_templates(phases, voltage_kv=200.0, resolution_deg=10.0, precession_deg=1.0)
    matched = pk.acom.match_orientations(peaks, bank, n_matches=2)
    orientations = pk.acom.resolve_180_ambiguity(pk.acom.refine_orientations(peaks, bank, matched))
    grains = pk.acom.label_grains(orientations)
    pk.acom.misorientation_maps(orientations, grains)
    pk.viz.acom.orientation_figure(orientations).savefig("/dev/null", format="png")


def warm_up_components() -> None:
    """Features, choice of k, factorisation and overlap, on 36 patterns."""
    patterns = pk.io.open_4dstem(pk.samples.path("nmf_grains")).isel(SMALL)
    features = pk.nmf.to_features(patterns, mask=pk.detector.find_mask(patterns))
    ranks = pk.nmf.scan_ranks(features, range(1, 4), n_runs=2, seed=0, progress=False)
    factors = pk.nmf.separate_background(pk.nmf.factorise(features, max(2, pk.nmf.choose_rank(ranks)), seed=0))
    pk.nmf.overlap_probability(pk.nmf.fit_loadings(features, factors), factors)


def warm_up_phases() -> None:
    """Alignment, optical density, clusters and phases, on a stack of 24 x 32 pixels."""
    stack = pk.synthetic.stxm_stack(shape=(24, 32), n_particles=2)
    od = pk.stxm.optical_density(pk.stxm.align(stack))
    refs = pk.synthetic.vanadium_references()
    clusters = pk.stxm.assign_clusters(od, pk.stxm.fit_gmvae(od, n_clusters=3, n_runs=1))
    pk.stxm.label_phases(od, clusters, refs).compute()


if __name__ == "__main__":
    pk.viz.setup(interactive=False)
    warm_up_orientations()
    warm_up_components()
    warm_up_phases()
